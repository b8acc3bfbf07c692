"""``kinet pack``."""

from __future__ import annotations

from pathlib import Path

import click

from kinet.commands.options import (
    data_option,
    path_type,
    read_complete_list,
    require_target,
)
from kinet.commands.output import json_option, say, show_json, tracks_progress
from kinet.data.packing import pack
from kinet.data.settings_file import features_of
from kinet.errors import DataError


@click.command("pack")
@click.argument("lists", metavar="LIST...", type=path_type, nargs=-1, required=True)
@data_option
@click.option("--out", type=path_type, required=True, help="The file to write.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@json_option
def command(lists: tuple[Path, ...], data_dir: Path, out: Path, force: bool, as_json: bool) -> None:
    """Write the features of the tracks of each LIST to one file, for training.

    check, train, eval and embed take the file as --data-dir. It is mapped into memory, so that a
    batch opens no files, and has a checksum for every track. Its format is safetensors.
    """
    if data_dir.is_file():
        raise DataError(f"--data-dir {data_dir} is a file; need a folder of features")
    require_target(out, force)
    # A track may be in several lists.
    files = {
        (track.song_id, track.version_id): track.path
        for name in lists
        for track in read_complete_list(name, data_dir)
    }
    features = features_of(data_dir)
    with tracks_progress("packing") as progress:
        size = pack(files, features, out, progress)
    fingerprint = features.fingerprint() if features else None
    if as_json:
        sizes = {"tracks": len(files), "bytes": size}
        show_json({"out": str(out), **sizes, "fingerprint": fingerprint})
        return
    known = fingerprint or "unknown"
    say(f"{out}: {len(files)} tracks, {size / 2**20:.1f} MiB, fingerprint of features {known}")
