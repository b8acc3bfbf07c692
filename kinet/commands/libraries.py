"""What the commands of libraries share: opening one, and how a match is said."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kinet.address import Address, is_address, place_of
from kinet.commands.options import OfThisMachine
from kinet.commands.output import progress_bar, say
from kinet.errors import DataError
from kinet.remote import AnyPath

if TYPE_CHECKING:
    from kinet.library import Added, Library, Match, Shards

model_name_option = click.option(
    "--model-file",
    metavar="NAME|PATH",
    help="What makes embeddings; by default the library's own, for a new one small, or fourier "
    "where that does not come with kinet.",
)
workers_option = click.option(
    "--workers", type=click.IntRange(1), help="Processes; by default one for every core."
)


class _Place(OfThisMachine):
    """A path, or the address of a database; whatever shows it shows no password."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The path, or the address."""
        if is_address(os.fspath(value)):
            try:
                return place_of(value)
            except DataError as error:
                self.fail(str(error), param, ctx)
        return super().convert(value, param, ctx)


place_type = _Place()


def settle(backend: str | None, gpu: str | None) -> None:
    """Choose backend and GPUs, which are loaded when something is to be embedded by a network."""
    from kinet.backend import choose, select_gpus

    select_gpus(gpu)
    if backend is not None:
        choose(backend)


@contextlib.contextmanager
def folder_or_library(
    where: Path | Address, model: str | None, workers: int | None = None
) -> Iterator[Library]:
    """The library of a folder, brought up to date, or that of a file; open within."""
    from kinet.library import open_anything

    library = None
    try:
        with _gone_on_with(), adding_progress() as progress:
            library = open_anything(where, model, workers, progress, say_added)
        yield library
    finally:
        if library is not None:
            library.close()


@contextlib.contextmanager
def several_libraries(
    where: Sequence[Path | Address], model: str | None, workers: int | None = None
) -> Iterator[Shards]:
    """Several libraries as one; folders are brought up to date. Open within."""
    from kinet.library import open_several

    with _gone_on_with(), adding_progress() as progress:
        shards = open_several(where, model, workers, progress, say_added)
    with shards:
        yield shards


@contextlib.contextmanager
def _gone_on_with() -> Iterator[None]:
    """Tell at Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted; what was read stays, and the same command goes on")
        raise


@contextlib.contextmanager
def adding_progress() -> Iterator[Callable[[int, int, float], None]]:
    """A bar on stderr with recordings and seconds of sound per second; none without work."""
    started = time.monotonic()
    progress = progress_bar("files")
    bar = progress.add_task("reading music", total=None, rate="-", note="")

    def move(done: int, total: int, audio: float) -> None:
        if not total:
            return
        progress.start()
        speed = progress.tasks[0].speed
        rate = audio / max(time.monotonic() - started, 1e-3)
        progress.update(
            bar,
            completed=done,
            total=total,
            rate=f"{speed:.1f}" if speed else "-",
            note=f"{rate:.0f} s of sound/s" if done else "",
        )

    try:
        yield move
    finally:
        if progress.live.is_started:  # else it would end with an empty line
            progress.stop()


def say_added(added: Added, gone: Sequence[AnyPath]) -> None:
    """Files that could not be read, each with its cause, and how many came and went."""
    from kinet.reading import show_path

    for unread in added.failed:
        say(f"{show_path(unread.path)}: {unread.message}")
    parts = [
        f"{len(added.added)} files read ({added.seconds / 3600:.2f} h of sound)",
        f"{len(added.known)} copied or moved",
        f"{added.unchanged} as before",
        f"{len(gone)} no more there",
        f"{len(added.failed)} not readable",
    ]
    counts = (len(added.added), len(added.known), added.unchanged, len(gone), len(added.failed))
    said = [part for part, count in zip(parts, counts, strict=True) if count]
    if any(counts[i] for i in (0, 1, 3, 4)):
        say("; ".join(said))


def described_added(added: Added) -> dict[str, Any]:
    """What became of files, for programs."""
    from kinet.reading import show_path

    return {
        "added": [show_path(path) for path in added.added],
        "known": [show_path(path) for path in added.known],
        "unchanged": added.unchanged,
        "audio_seconds": round(added.seconds, 3),
        "failed": [
            {"path": show_path(unread.path), "message": unread.message} for unread in added.failed
        ],
    }


def clock(seconds: float) -> str:
    """Minutes and seconds.

    Examples
    --------
    >>> clock(95.4), clock(3600)
    ('1:35', '60:00')
    """
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def show_where(match: Match) -> str:
    """The longest passage, of the query and of the song: ``0:40-1:35 ~ 1:12-2:10``."""
    if not match.passages:
        return "-"
    passage = match.passages[0]
    here = f"{clock(passage.start_a)}-{clock(passage.end_a)}"
    return f"{here} ~ {clock(passage.start_b)}-{clock(passage.end_b)}"


def show_match(match: Match, where: Path | Address | None) -> str:
    """The file of a match, in a folder without that, and how many others the song has."""
    more = f" (+{len(match.others)})" if match.others else ""
    return f"{show_within(match.path, where)}{more}"


def show_within(path: AnyPath, where: Path | Address | None) -> str:
    """A file, in a folder without that."""
    from kinet.reading import show_path

    root = where.resolve() if isinstance(where, Path) else None
    if root is not None and path.is_relative_to(root):
        return show_path(path.relative_to(root))
    return show_path(path)


def described_match(match: Match) -> dict[str, Any]:
    """A match for programs."""
    from kinet.reading import show_path

    return {
        "title": match.title,
        "artist": match.artist,
        "song": match.song or None,
        "path": show_path(match.path),
        "others": [show_path(path) for path in match.others],
        "score": match.score,
        "probability": match.probability,
        "similarity": match.similarity,
        "transposition": match.transposition,
        "tempo_ratio": match.tempo_ratio,
        "passages": [
            {
                "query": [passage.start_a, passage.end_a],
                "song": [passage.start_b, passage.end_b],
            }
            for passage in match.passages
        ],
    }
