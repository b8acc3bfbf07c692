"""`kinet check`: faults of a list file and its features."""

from __future__ import annotations

from pathlib import Path

import click

from kinet.commands import output
from kinet.commands.options import OfThisMachine, path_type
from kinet.data.inspection import Problem, inspect, inspect_unlisted
from kinet.data.packing import PackedFile
from kinet.data.tracks import Track, read_numbered

# Shorter lists are read before a progress bar could be looked at.
_LONG_LIST = 200


@click.command("check")
@click.argument("list_file", metavar="LIST", type=path_type)
@click.option(
    "--data-dir",
    type=OfThisMachine(exists=True),
    required=True,
    help="Folder of the <song>_<version>.npy files, or a file of kinet pack.",
)
@click.option(
    "--against",
    metavar="OTHER-LIST",
    type=path_type,
    multiple=True,
    help="Another list that should share no song and no track; can be given several times.",
)
@output.json_option
@click.pass_context
def command(
    ctx: click.Context, list_file: Path, data_dir: Path, against: tuple[Path, ...], as_json: bool
) -> None:
    """Look for faults in LIST and its features.

    Missing and unreadable files, wrong shapes (a transposed one is named as such), NaN, all-zero
    tracks, duplicates, songs with one version, and songs or tracks shared with other lists. Of a
    packed file all values are compared with their checksums, listed or not.

    The exit code is 1 if something is wrong. Values outside [0, 1] are a warning.
    """
    tracks = _tracks(list_file, data_dir)
    problems = _inspect(tracks, {str(name): _tracks(name, data_dir) for name in against})
    if data_dir.is_file():
        problems += inspect_unlisted(PackedFile(data_dir), tracks)
    errors = sum(problem.is_error for problem in problems)
    songs = len({track.song_id for track in tracks})
    if as_json:
        output.show_json(
            {
                "list": str(list_file),
                "tracks": len(tracks),
                "songs": songs,
                "errors": errors,
                "warnings": len(problems) - errors,
                "problems": [_row(problem) for problem in problems],
            }
        )
    else:
        if problems:
            rows = [list(_row(problem).values()) for problem in problems]
            output.show_table(("", "problem", "song, version", "what was found"), rows)
        click.echo(
            f"{len(tracks)} tracks of {songs} songs: {errors} errors, "
            f"{len(problems) - errors} warnings"
        )
    ctx.exit(1 if errors else 0)


def _tracks(list_file: Path, data_dir: Path) -> list[Track]:
    return [track for _, track in read_numbered(list_file, data_dir)]


def _inspect(tracks: list[Track], others: dict[str, list[Track]]) -> list[Problem]:
    if len(tracks) < _LONG_LIST:
        return inspect(tracks, others)
    with output.progress_bar("tracks") as bar:
        task = bar.add_task("Reading", total=len(tracks), rate="-", note="")

        def advance(done: int, total: int) -> None:
            speed = bar.tasks[0].speed
            rate = "-" if speed is None else f"{speed:.0f}"
            bar.update(task, completed=done, total=total, rate=rate)

        return inspect(tracks, others, advance)


def _row(problem: Problem) -> dict[str, str]:
    return {
        "severity": "error" if problem.is_error else "warning",
        "kind": problem.kind,
        "subject": problem.subject,
        "message": problem.message,
    }
