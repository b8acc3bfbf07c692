"""What a model finds of 10, 20 and 30 seconds of a recording.

    python benchmarks/excerpts.py small LIST --data-dir DIR --out benchmarks/results/excerpts.json

Every track of the list in turn is the query, of which only an excerpt from a random place is
embedded; the others are embedded as `kinet embed` does it. Beside it, what is found when the
others are excerpts too. `kinet quickstart --train` makes a list and features to measure on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from machine import write_report

import kinet
from kinet.config import FeatureConfig
from kinet.data.tracks import read_tracks
from kinet.evaluation import ranks_without_query
from kinet.metrics import Metrics, from_ranks

SECONDS = (5, 10, 20, 30, 60)
DISTRIBUTIONS = ("keras", "numpy", "tensorflow-cpu", "tensorflow", "jax", "torch")


def excerpt(hpcp: np.ndarray, vectors: int, rng: np.random.Generator) -> np.ndarray:
    """So many vectors on end, from a random place; all of a shorter track."""
    start = int(rng.integers(max(0, len(hpcp) - vectors) + 1))
    return hpcp[start : start + vectors]


def ranked(queries: np.ndarray, rows: np.ndarray, songs: np.ndarray) -> Metrics:
    """Metrics of queries ``(N, D)`` among the rows ``(N, D)`` of the same tracks."""
    everyone = np.arange(len(songs))
    versions = [np.flatnonzero((songs == songs[i]) & (everyone != i)) for i in everyone]
    asked = [int(i) for i in everyone if len(versions[i])]
    cosines = (queries @ rows.T).astype(np.float32)
    ranks = [ranks_without_query(cosines[i], i, versions[i]) for i in asked]
    return from_ranks(ranks, asked, tracks=len(songs), songs=len(set(songs.tolist())))


def measure(model: Any, hpcp: list[np.ndarray], songs: np.ndarray) -> list[dict[str, Any]]:
    """A record for each length, the whole tracks last."""
    whole = kinet.embed(model, hpcp)
    records = []
    for seconds in SECONDS:
        vectors = round(seconds / FeatureConfig().seconds_per_vector)
        rng = np.random.default_rng(0)
        part = kinet.embed(model, [excerpt(track, vectors, rng) for track in hpcp])
        found, both = ranked(part, whole, songs), ranked(part, part, songs)
        records.append(
            {
                "seconds": seconds,
                "vectors": vectors,
                "map": found.map,
                "hit1": found.hit1,
                "map_among_excerpts": both.map,
            }
        )
    found = ranked(whole, whole, songs)
    records.append({"seconds": None, "map": found.map, "hit1": found.hit1})
    return records


@click.command()
@click.argument("model_file", metavar="MODEL")
@click.argument("list_file", metavar="LIST", type=click.Path(exists=True))
@click.option("--data-dir", required=True)
@click.option("--out", type=click.Path(dir_okay=False), help="Write the JSON here, not to stdout.")
def command(model_file: str, list_file: str, data_dir: str, out: str | None) -> None:
    """Measure excerpts of the tracks of LIST with a model."""
    tracks = read_tracks(list_file, data_dir)
    model = kinet.load(model_file)
    hpcp = [track.read() for track in tracks]
    songs = np.array([track.song_id for track in tracks])
    lengths = [len(track) for track in hpcp]
    what = {
        "list": Path(list_file).name,
        "tracks": len(tracks),
        "songs": len(set(songs.tolist())),
        "model": Path(model_file).name,
        "model_vectors": model.metadata.model.vectors,
        "median_vectors": float(np.median(lengths)),
    }
    write_report({**what, "excerpts": measure(model, hpcp, songs)}, DISTRIBUTIONS, out)


if __name__ == "__main__":
    command()
