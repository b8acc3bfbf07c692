"""Works that sound like tracks that are tested on: what `held_out.txt` takes out of training.

``python benchmarks/held_out.py PACK --list LIST:FOLDER`` prints the pairs that align best. Of each
track the works whose Fourier magnitudes are nearest are aligned. Look at them: alignment also finds
pairs that share a scale, so what is no work of the list may stay.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from train_small import heard, tracks_of

from kinet.config import FeatureConfig
from kinet.features.fourier_magnitudes import learn_components
from kinet.matching import align
from kinet.versions.dataset import shares_for
from kinet.versions.generator import make_version
from kinet.versions.note_pack import PackedWork, read_note_pack

NEAREST, SHOWN, SHORTEST = 50, 60, 60
# A little slower than the score, so that the end is in it.
LONGER = 1.2


@click.command()
@click.argument("pack", type=Path)
@click.option("--list", "lists", multiple=True, required=True, metavar="LIST:FOLDER")
def main(pack: Path, lists: tuple[str, ...]) -> None:
    """Print the works of PACK that align best with tracks of the lists."""
    works = read_note_pack(pack)
    versions = [played(work, number) for number, work in enumerate(works)]
    components = learn_components(versions)
    rows = np.stack([components.describe(version) for version in versions])
    found = []
    for text in lists:
        for track in tracks_of(text):
            hpcp = heard(np.load(track.path))
            for place in np.argsort(-rows @ components.describe(hpcp))[:NEAREST]:
                score = align(hpcp, versions[place]).score
                found.append((score, track.path.name, works[place].record))
    for score, name, record in sorted(found, key=lambda row: -row[0])[:SHOWN]:
        click.echo(f"{score:.3f} {name} {record.title} ({record.file}, {record.source})")


def played(work: PackedWork, number: int) -> np.ndarray:
    """A version of a whole work, up to what a model looks at."""
    seconds = FeatureConfig().seconds_per_vector
    vectors = int(np.clip(LONGER * work.material.seconds / seconds, SHORTEST, 400))
    rng = np.random.default_rng([7, number])
    return make_version(work.material, vectors, rng, shares_for(work), 0.0)


if __name__ == "__main__":
    main()
