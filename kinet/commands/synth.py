"""``kinet synth``."""

from __future__ import annotations

from pathlib import Path

import click

from kinet.commands.options import path_type
from kinet.commands.output import json_option, say, show_json, tracks_progress
from kinet.errors import DataError


@click.command("synth")
@click.argument("notes", metavar="PACK", type=path_type)
@click.option("--out", metavar="DIR", type=path_type, required=True, help="Folder to write to.")
@click.option("--songs", type=click.IntRange(1), help="Works, drawn at random; by default all.")
@click.option("--versions", type=click.IntRange(1), default=8, help="Versions of every work.")
@click.option(
    "--vectors",
    type=click.IntRange(1),
    nargs=2,
    default=(150, 400),
    help="Least and largest number of HPCP vectors of a version.",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Same seed, same versions.")
@click.option("--workers", type=click.IntRange(1), help="Processes; one per processor by default.")
@click.option("--force", is_flag=True, help="Write into a folder that is not empty.")
@json_option
def command(
    notes: Path,
    out: Path,
    songs: int | None,
    versions: int,
    vectors: tuple[int, int],
    seed: int,
    workers: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Make versions of the works in PACK, a file of kinet scores, as a data set.

    Every version is played in another key, tempo, form, arrangement and timbre, and written as
    HPCP; no sound is made. DIR gets the features, a list of them and works.csv: what every song
    is, where it comes from and under which licence.
    """
    import numpy as np

    from kinet.versions.dataset import Plan, write_versions
    from kinet.versions.note_pack import read_note_pack

    plan = Plan(versions, *vectors, seed)
    if out.is_dir() and any(out.iterdir()) and not force:
        raise DataError(f"{out} is not empty; --force writes into it")
    works = read_note_pack(notes)
    if songs is not None:
        if songs > len(works):
            raise DataError(f"{notes} holds {len(works)} works; allowed: --songs up to that")
        chosen = np.sort(np.random.default_rng(seed).permutation(len(works))[:songs])
        works = [works[i] for i in chosen]
    with tracks_progress("making versions", "songs") as progress:
        tracks = write_versions(works, out, plan, workers, progress)
    if as_json:
        show_json({"out": str(out), "songs": len(works), "tracks": tracks, "seed": seed})
        return
    say(f"{out}: {tracks} versions of {len(works)} works; kinet split {out / 'list'} makes lists")
