"""``kinet index``: what looks after libraries."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kinet.address import Address
from kinet.commands.libraries import (
    adding_progress,
    clock,
    described_added,
    model_name_option,
    place_type,
    say_added,
    settle,
)
from kinet.commands.options import engine_options, path_or_url_type, workers_options
from kinet.commands.output import json_option, say, show_json, show_table, tracks_progress
from kinet.extraction.readings import READINGS
from kinet.remote import AnyPath

if TYPE_CHECKING:
    from kinet.cluster import Cluster
    from kinet.library import Library
    from kinet.library.calibration import Calibration

library_argument = click.argument("library", metavar="LIBRARY", type=place_type)


@click.group("index")
def command() -> None:
    """Keep a library: recordings with what kinet find needs of them.

    LIBRARY is a file, or the address of a PostgreSQL database: postgresql://user@host/database.
    """


@contextlib.contextmanager
def opened(path: Path | Address, model: str | None = None) -> Iterator[Library]:
    """A library that is there, open within; of a folder that which kinet find keeps in it."""
    from kinet.library import Library

    with Library.open(within(path), model) as library:
        yield library


def within(path: Path | Address) -> Path | Address:
    """Of a folder the library that kinet find keeps in it."""
    from kinet.library import IN_FOLDER

    return Path(path, IN_FOLDER) if isinstance(path, Path) and path.is_dir() else path


@command.command("add")
@library_argument
@click.argument("sources", metavar="SOURCE...", type=path_or_url_type, nargs=-1, required=True)
@click.option(
    "--songs-by",
    type=click.Choice(tuple(READINGS)),
    help="State songs, too: by folder, title or tags; see kinet extract.",
)
@model_name_option
@engine_options
@workers_options
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    library: Path | Address,
    sources: tuple[AnyPath, ...],
    songs_by: str | None,
    model_file: str | None,
    backend: str | None,
    gpu: str | None,
    workers: int | Cluster | None,
    as_json: bool,
) -> None:
    """Add recordings to LIBRARY, which is made if it is not there.

    SOURCE is a recording, a folder with all in it, a file of features (.npy), or a CSV file with
    the columns path, song_id and version_id, which states songs; so does --songs-by. All of these
    can be in an object store: s3://bucket/path, gs://bucket/path. What is in the library already,
    be it under another name, is not read again. After Ctrl-C, or worse, the same command goes on.

    Files that cannot be read are told, with the cause, and the rest is added; the exit code is 1
    then.
    """
    from kinet.extraction.sources import read_sources
    from kinet.library import Library
    from kinet.reading import show_path

    inputs = read_sources(sources, songs_by) if songs_by else sources
    settle(backend, gpu)
    with Library.create(library, model_file) as made:
        try:
            with adding_progress() as progress:
                report = made.add(inputs, workers, progress)
        except KeyboardInterrupt:
            say("interrupted; what was added stays, and the same command goes on")
            raise
    if as_json:
        show_json({"library": show_path(library), **described_added(report)})
    else:
        say_added(report, [])
        if not (report.added or report.known or report.failed):
            say(f"nothing new; {report.unchanged} files as before")
    ctx.exit(1 if report.failed else 0)


@command.command("remove")
@library_argument
@click.argument("paths", metavar="PATH...", type=path_or_url_type, nargs=-1, required=True)
@json_option
def remove(library: Path | Address, paths: tuple[AnyPath, ...], as_json: bool) -> None:
    """Take files, or all below a folder, out of LIBRARY; the files themselves stay."""
    from kinet.reading import show_path

    with opened(library) as here:
        gone = here.remove(paths)
    if as_json:
        show_json({"removed": [show_path(path) for path in gone]})
    else:
        say(f"{len(gone)} files are out of {show_path(library)}")


@command.command("list")
@library_argument
@json_option
def list_(library: Path | Address, as_json: bool) -> None:
    """List the files of LIBRARY."""
    from kinet.reading import show_path

    with opened(library) as here:
        files, seconds = here.files(), here.durations()
    if as_json:
        show_json(
            [
                {
                    "path": show_path(file.path),
                    "title": file.title,
                    "artist": file.artist,
                    "song": file.song or None,
                    "seconds": seconds[file.recording],
                    "recording": file.recording,
                }
                for file in files
            ]
        )
        return
    rows = [
        (
            *(file.title, file.artist, file.song, clock(seconds[file.recording])),
            show_path(file.path),
        )
        for file in files
    ]
    show_table(("title", "artist", "song", "length", "file"), rows)


@command.command("info")
@library_argument
@json_option
def info(library: Path | Address, as_json: bool) -> None:
    """Show what LIBRARY is and holds."""
    from dataclasses import asdict

    with opened(library) as here:
        said = here.info()
    if as_json:
        show_json({**asdict(said), "path": str(said.path)})
        return
    is_calibrated = "no: scores rank, but are no probabilities"
    if said.calibration:
        how = "by its own recordings" if said.has_own_calibration else "as the model comes"
        is_calibrated = f"yes, {how}, Brier score {said.calibration.brier:.3f}"
    rows = [
        ("model", f"{said.model} ({said.digest[:12]})"),
        ("features", said.fingerprint),
        ("numbers of an embedding", said.size),
        ("recordings", said.recordings),
        ("files", said.files),
        ("embeddings", said.embeddings),
        ("hours of sound", f"{said.seconds / 3600:.2f}"),
        ("megabytes", f"{said.bytes / 1e6:.1f}"),
        ("calibrated", is_calibrated),
    ]
    show_table(("what", "value"), rows, title=str(library))


@command.command("check")
@library_argument
@json_option
@click.pass_context
def check(ctx: click.Context, library: Path | Address, as_json: bool) -> None:
    """Read all of LIBRARY, and hold it against its checksums; faults give the exit code 1."""
    from kinet.reading import show_path

    with opened(library) as here:
        faults = here.check()
    if as_json:
        show_json({"library": show_path(library), "faults": faults})
    else:
        for fault in faults:
            say(fault)
        say(f"{show_path(library)}: {f'{len(faults)} faults' if faults else 'all is well'}")
    ctx.exit(1 if faults else 0)


@command.command("compact")
@library_argument
@json_option
def compact(library: Path | Address, as_json: bool) -> None:
    """Give back the room that removed recordings took in LIBRARY."""
    with opened(library) as here:
        size = here.compact()
    if as_json:
        show_json({"bytes_before": size.before, "bytes_after": size.after})
    else:
        say(f"{size.before / 1e6:.1f} MB before, {size.after / 1e6:.1f} MB after")


@command.command("upgrade")
@library_argument
@click.option("--sql", "is_shown", is_flag=True, help="Print the SQL of it, and change nothing.")
@json_option
def upgrade(library: Path | Address, is_shown: bool, as_json: bool) -> None:
    """Bring LIBRARY, of an earlier kinet, to the tables of this one: wholly or not at all.

    On PostgreSQL this needs who made the library, and waits ten seconds for others that use it.
    What is of now is left as it is.
    """
    from kinet.library.databases import upgrade_database, upgrade_script
    from kinet.library.schema import VERSION

    place = within(library)
    if is_shown:
        script = upgrade_script(place)
        if as_json:
            show_json({"sql": script})
        elif script:
            click.echo(script, nl=False)
        else:
            say(f"{place} is of version {VERSION}, that of this kinet: nothing to do")
        return
    before = upgrade_database(place)
    if as_json:
        show_json({"version_before": before, "version": VERSION})
    elif before == VERSION:
        say(f"{place} is of version {VERSION}, that of this kinet: nothing to do")
    else:
        say(f"{place} was of version {before}, and is of version {VERSION} now")


@command.command("build")
@library_argument
@json_option
def build(library: Path | Address, as_json: bool) -> None:
    """Make an index of LIBRARY for kinet find --approximate.

    Then a search looks at some hundred recordings, not at all. What it finds less than an exact
    search is measured and printed. After the library has changed, make the index again.

    The index of a file is made by usearch, and lies in ~/.cache/kinet; that on PostgreSQL is made
    there, by pgvector.
    """
    from dataclasses import asdict

    with opened(library) as here, tracks_progress("linking", unit="embeddings") as progress:
        made = here.build_index(progress)
    if as_json:
        show_json(asdict(made))
    else:
        say(
            f"{made.rows} embeddings in {made.seconds:.1f} s; of their ten nearest "
            f"{100 * made.recall:.2f} % are found, in {made.milliseconds:.1f} ms"
        )


@command.command("merge")
@library_argument
@click.argument("others", metavar="OTHER...", type=place_type, nargs=-1, required=True)
@json_option
def merge(library: Path | Address, others: tuple[Path | Address, ...], as_json: bool) -> None:
    """Put into LIBRARY what OTHER libraries of the same model hold; nothing is read again."""
    with opened(library) as here:
        came = here.merge(others)
    if as_json:
        show_json({"files": came})
    else:
        say(f"{came} files came")


@command.command("calibrate")
@library_argument
@json_option
def calibrate(library: Path | Address, as_json: bool) -> None:
    """Learn what scores mean, from the recordings of LIBRARY whose songs were stated.

    After this, kinet find shows probabilities, and --threshold is one. The table tells, for each
    threshold, how many pairs of versions reach it, and how many pairs of other songs: false
    alarms. These pairs are the hard ones, the nearest of other songs.
    """
    from dataclasses import asdict

    with opened(library) as here, tracks_progress("comparing", unit="pairs") as progress:
        learned = here.calibrate(progress)
    if as_json:
        show_json(asdict(learned))
        return
    _show_calibration(library, learned)


def _show_calibration(library: Path | Address, learned: Calibration) -> None:
    from kinet.library.calibration import THRESHOLDS

    rows = [
        (f"{threshold:g}", found, alarms)
        for threshold, found, alarms in zip(
            THRESHOLDS, learned.found, learned.false_alarms, strict=True
        )
    ]
    show_table(("threshold", "versions found", "false alarms"), rows, title=str(library))
    say(
        f"learned from {learned.versions} pairs of versions and {learned.others} of other songs; "
        f"Brier score {learned.brier:.3f}"
    )
