"""`kinet split`: lists for training, validation and test that share no song."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import BinaryIO

import click

from kinet.commands import output
from kinet.commands.options import OfThisMachine, path_type
from kinet.data.splits import split_by_song
from kinet.data.tracks import Track, read_tracks
from kinet.errors import DataError
from kinet.files import write_together, writing_to


@click.command("split")
@click.argument("list_file", metavar="LIST", type=path_type)
@click.option(
    "--out",
    metavar="DIR",
    type=OfThisMachine(file_okay=False),
    required=True,
    help="Folder for the lists; made if it is not there.",
)
@click.option("--val", type=float, default=0.1, help="Share of songs for validation.")
@click.option("--test", type=float, default=0.2, help="Share of songs for test.")
@click.option("--seed", type=int, default=0, help="Same seed, same split.")
@click.option("--force", is_flag=True, help="Replace lists that exist.")
@output.json_option
def command(
    list_file: Path, out: Path, val: float, test: float, seed: int, force: bool, as_json: bool
) -> None:
    """Split LIST into LIST-TRAIN, LIST-VAL and LIST-TEST that share no song.

    Shares count songs, not tracks. A part with the share 0 is not written.
    """
    split = split_by_song(read_tracks(list_file, ""), val, test, seed)
    parts = {"TRAIN": split.training, "VAL": split.validation, "TEST": split.test}
    name = list_file.name
    targets = {out / f"{name}-{part}": tracks for part, tracks in parts.items() if tracks}
    existing = [str(path) for path in targets if path.exists()]
    if existing and not force:
        raise DataError(f"{', '.join(existing)}: already there; --force replaces")
    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
        write_together({path: partial(_write, tracks) for path, tracks in targets.items()})
    rows = [
        (str(path), len({track.song_id for track in tracks}), len(tracks))
        for path, tracks in targets.items()
    ]
    if as_json:
        keys = ("list", "songs", "tracks")
        output.show_json({"lists": [dict(zip(keys, row, strict=True)) for row in rows]})
        return
    output.show_table(("list", "songs", "tracks"), rows)


def _write(tracks: list[Track], file: BinaryIO) -> None:
    lines = (f"{track.song_id}\t{track.version_id}\n" for track in tracks)
    file.write("".join(lines).encode())
