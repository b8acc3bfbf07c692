"""``kinet duplicates``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kinet.address import Address
from kinet.commands.libraries import (
    described_match,
    folder_or_library,
    model_name_option,
    place_type,
    settle,
    show_where,
    show_within,
    workers_option,
)
from kinet.commands.options import engine_options
from kinet.commands.output import (
    json_option,
    say,
    show_csv,
    show_json,
    show_table,
    tracks_progress,
)

if TYPE_CHECKING:
    from kinet.library import Group

COLUMNS = ("group", "title", "artist", "song", "path", "kind", "score", "probability", "nearest")


@click.command("duplicates")
@click.argument("where", metavar="FOLDER|LIBRARY", type=place_type)
@click.option(
    "--threshold",
    metavar="P",
    type=click.FloatRange(0, 1),
    default=0.5,
    help="Least probability of two versions; where the library is not calibrated, least score.",
)
@model_name_option
@engine_options
@workers_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for spreadsheets.")
def command(
    where: Path | Address,
    threshold: float,
    model_file: str | None,
    backend: str | None,
    gpu: str | None,
    workers: int | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show which recordings of a folder or library are versions, or exact copies, of each other.

    Two recordings that reach the threshold are in one group, and so is what is joined by others.
    For each is shown which other it matches best, and where.
    """
    settle(backend, gpu)
    with folder_or_library(where, model_file, workers) as library:
        is_calibrated = library.calibration is not None
        with tracks_progress("comparing", unit="pairs") as progress:
            groups = library.duplicates(threshold, progress)
    if as_json:
        show_json({"calibrated": is_calibrated, "groups": [_described(group) for group in groups]})
        return
    lines = [line for number, group in enumerate(groups, start=1) for line in _lines(number, group)]
    if as_csv:
        show_csv(COLUMNS, [[line[name] for name in COLUMNS] for line in lines])
        return
    if not groups:
        say("no versions and no copies here")
        return
    names = ("group", "title", "artist", "kind", "score", "where", "nearest")
    headings = ("group", "title", "artist", "", "score", "this ~ that", "that", "file")
    rows = [
        (*(_shown(line[name]) for name in names), show_within(line["file"], where))
        for line in lines
    ]
    show_table(headings, rows)
    if not is_calibrated:
        say("scores are not calibrated: they rank, but are no probabilities")


def _shown(value: object) -> object:
    return f"{value:.3f}" if isinstance(value, float) else value


def _lines(number: int, group: Group) -> list[dict[str, Any]]:
    """One for each file of a group."""
    from kinet.reading import show_path

    lines = []
    for member in group.members:
        match = member.nearest
        for place, file in enumerate(member.files):
            is_version = match is not None and not place
            lines.append(
                {
                    "group": number,
                    "title": file.title,
                    "artist": file.artist,
                    "song": file.song,
                    "file": file.path,
                    "path": show_path(file.path),
                    "kind": "version" if is_version else "copy" if place else "original",
                    "score": match.score if match and is_version else "",
                    "probability": match.probability if match and is_version else "",
                    "nearest": show_path(match.path.name) if match and is_version else "",
                    "where": show_where(match) if match and is_version else "",
                }
            )
    return lines


def _described(group: Group) -> list[dict[str, Any]]:
    from kinet.reading import show_path

    return [
        {
            "paths": [show_path(file.path) for file in member.files],
            "title": member.files[0].title,
            "artist": member.files[0].artist,
            "song": member.files[0].song or None,
            "nearest": described_match(member.nearest) if member.nearest else None,
        }
        for member in group.members
    ]
