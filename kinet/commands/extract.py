"""``kinet extract``."""

from __future__ import annotations

import contextlib
import functools
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kinet.commands.dataset_options import DatasetOptions, dataset_options
from kinet.commands.options import path_or_url_type, plugin_option, workers_options
from kinet.commands.output import json_option, progress_bar, say, show_json, tracks_progress
from kinet.extraction.readings import AUTOMATIC, READINGS, TAGS
from kinet.remote import AnyPath, Url

if TYPE_CHECKING:
    from kinet.cluster import Cluster
    from kinet.extraction import Report
    from kinet.extraction.naming import Source
    from kinet.extraction.readings import Reading


@click.command("extract")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=path_or_url_type)
@click.option(
    "--out", metavar="DIR", type=path_or_url_type, required=True, help="Folder for features."
)
@click.option(
    "--songs-by",
    type=click.Choice((AUTOMATIC, *READINGS)),
    default=AUTOMATIC,
    help="What makes files of a folder one song; told before the work begins.",
)
@workers_options
@json_option
@plugin_option
@click.pass_context
@dataset_options
def command(
    ctx: click.Context,
    sources: tuple[AnyPath, ...],
    out: AnyPath,
    workers: int | Cluster | None,
    songs_by: str,
    as_json: bool,
    dataset: DatasetOptions | None,
) -> None:
    """Make features of audio files: HPCP in DIR/<song>_<version>.npy.

    SOURCE is an audio file, a folder, or a CSV file with the columns path, song_id and version_id.
    In a folder every sub-folder is a song and the files in it are its versions. Where all files
    lie in the folder itself, or are numbered as those of albums are, files of one title are one
    song, as by --songs-by title; with tags their tags give the title. A file that is named itself
    is a song of its own. DIR also gets a list for the other commands, manifest.csv (which file was
    made of which recording) and features.json (the settings).

    With --dataset SOURCE is the folder of a data set, and its lists give the ids: covers80
    (Covers80 as it unpacks), shs100k (recordings of --list; what is not there is counted, written
    to DIR/missing-LIST and no error), da-tacos (HPCP in place of audio).

    SOURCE and DIR can be in an object store: s3://bucket/path, gs://bucket/path.

    Recordings that cannot be used are listed at the end; the exit code is 1 then. What is finished
    is not made again: after Ctrl-C, the same command goes on.
    """
    from kinet.data.manifest import LIST
    from kinet.extraction import ExtractionStopped, extract_all

    if dataset:
        root, target = _of_this_machine(sources[0], out)
        extract = dataset.prepare(root, target, workers)
    else:
        extract = functools.partial(extract_all, _read(sources, songs_by), out, workers=workers)
    started = time.monotonic()
    try:
        with _progress() as progress:
            report = extract(progress=progress)
    except KeyboardInterrupt:
        say("interrupted; what is finished stays, and the same command goes on")
        raise
    except ExtractionStopped as error:
        _show(error.report, out, time.monotonic() - started, as_json)
        raise
    _show(report, out, time.monotonic() - started, as_json)
    if dataset:
        dataset.write_coverage(Path(out))
    if report.done or report.skipped:
        list_file, folder = (shlex.quote(str(path)) for path in (out / LIST, out))
        what, rest = ("embed", " --out FILE") if isinstance(out, Url) else ("check", "")
        say(f"next: kinet {what} {list_file} --data-dir {folder}{rest}")
    ctx.exit(1 if report.failed else 0)


def _of_this_machine(*paths: AnyPath) -> Iterator[Path]:
    for path in paths:
        if isinstance(path, Url):
            raise click.UsageError(f"--dataset is for folders of this machine, not for {path}.")
        yield path


def _read(sources: tuple[AnyPath, ...], songs_by: str) -> list[Source]:
    """The recordings, and on stderr how folders were read."""
    from kinet.extraction.sources import read_sources

    if songs_by != TAGS:
        return read_sources(sources, songs_by, tell=lambda reading: say(str(reading)))
    readings: list[Reading] = []
    with tracks_progress("reading tags", unit="files") as progress:
        found = read_sources(sources, songs_by, tell=readings.append, progress=progress)
    for reading in readings:
        say(str(reading))
    return found


def _show(report: Report, out: AnyPath, seconds: float, as_json: bool) -> None:
    from kinet.reading import show_path

    failed = [
        {
            "path": show_path(failure.source.path),
            "song_id": failure.source.song_id,
            "version_id": failure.source.version_id,
            "message": " ".join(failure.message.split()),
        }
        for failure in report.failed
    ]
    audio = sum(entry.seconds for entry in report.done)
    if as_json:
        show_json(_summary(report, out, audio, seconds) | {"failed": failed})
        return
    for failure in failed:
        say(f"{failure['path']}: {failure['message']}")
    say(
        f"{len(report.done)} made ({audio / 3600:.2f} h of sound in {seconds:.0f} s), "
        f"{len(report.skipped)} finished before, {len(failed)} failed"
    )


def _summary(report: Report, out: AnyPath, audio: float, seconds: float) -> dict[str, Any]:
    from kinet.data.manifest import LIST, MANIFEST
    from kinet.data.settings_file import FEATURES, features_of

    config = features_of(out)
    return {
        "data_dir": str(out),
        "list": str(out / LIST),
        "manifest": str(out / MANIFEST),
        "features": str(out / FEATURES),
        "fingerprint": config.fingerprint() if config else None,
        "done": len(report.done),
        "skipped": len(report.skipped),
        "audio_seconds": round(audio, 3),
        "seconds": round(seconds, 3),
    }


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int, float], None]]:
    """A bar on stderr with recordings and seconds of sound per second."""
    with progress_bar("files") as progress:
        bar = progress.add_task("extracting", total=None, rate="-", note="")
        started = time.monotonic()

        def move(finished: int, total: int, audio: float) -> None:
            speed = progress.tasks[0].speed
            elapsed = max(time.monotonic() - started, 1e-3)
            progress.update(
                bar,
                completed=finished,
                total=total,
                rate=f"{speed:.1f}" if speed else "-",
                note=f"{audio / elapsed:.0f} s of sound/s" if finished else "",
            )

        yield move
