"""Mean chroma, best of 12 transpositions: what a network must beat. Prints JSON.

``python benchmarks/baselines.py LIST --data-dir DIR``
"""

from __future__ import annotations

import json

import click

from kinet.baselines import chance_map, mean_chroma
from kinet.data.tracks import read_tracks

FRAMES = 400


@click.command()
@click.argument("list_file", metavar="LIST")
@click.option("--data-dir", required=True)
def main(list_file: str, data_dir: str) -> None:
    """Chance, and mean chroma on the first 400 vectors of the tracks of LIST."""
    tracks = read_tracks(list_file, data_dir)
    songs = [track.song_id for track in tracks]
    hpcp = [track.read(0, FRAMES) for track in tracks]
    report = {
        name: mean_chroma(hpcp, songs, centred).to_dict()
        for name, centred in (("mean chroma", False), ("mean chroma, centred", True))
    }
    chance = {"map": chance_map(songs)}
    print(json.dumps({"list": list_file, "chance": chance, **report}, indent=1))


if __name__ == "__main__":
    main()
