"""Mean chroma, best of 12 transpositions: what a network must beat. Prints JSON.

``python benchmarks/baselines.py LIST --data-dir DIR``
"""

from __future__ import annotations

import json

import click
import numpy as np

from kinet.data.tracks import Track, read_tracks
from kinet.evaluation import ranks_without_query
from kinet.metrics import Metrics, from_ranks

FRAMES = 400


def mean_chroma(tracks: list[Track], centred: bool) -> Metrics:
    """Rank by the cosine of mean HPCP vectors, each minus its own mean if `centred`."""
    rows = np.stack([track.read(0, FRAMES).mean(axis=0) for track in tracks])
    if centred:
        rows = rows - rows.mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = np.max([rows @ np.roll(rows, k, axis=1).T for k in range(12)], axis=0)
    songs = np.array([track.song_id for track in tracks])
    everyone = np.arange(len(tracks))
    versions = [np.flatnonzero((songs == songs[i]) & (everyone != i)) for i in everyone]
    queries = [int(i) for i in everyone if len(versions[i])]
    rows32 = cosines.astype(np.float32)
    ranks = [ranks_without_query(rows32[i], i, versions[i]) for i in queries]
    return from_ranks(ranks, queries, tracks=len(tracks), songs=len(set(songs)))


@click.command()
@click.argument("list_file", metavar="LIST")
@click.option("--data-dir", required=True)
def main(list_file: str, data_dir: str) -> None:
    """Mean chroma on the first 400 vectors of the tracks of LIST."""
    tracks = read_tracks(list_file, data_dir)
    report = {
        name: mean_chroma(tracks, centred).to_dict()
        for name, centred in (("mean chroma", False), ("mean chroma, centred", True))
    }
    print(json.dumps({"list": list_file, **report}, indent=1))


if __name__ == "__main__":
    main()
