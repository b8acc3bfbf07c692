"""Audio files in folders, each once, whatever links there are."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import overload

from kinet.audio import SUFFIXES
from kinet.errors import DataError
from kinet.reading import reason, show_path
from kinet.remote import AnyPath, Url, urls_below

COLUMNS = ("path", "song_id", "version_id")
NEED = "need an audio file, a folder of them, or a .csv file with the columns " + ",".join(COLUMNS)


@overload
def audio_files(
    root: Path, on_error: Callable[[OSError], object] | None = None
) -> Iterator[Path]: ...
@overload
def audio_files(
    root: AnyPath, on_error: Callable[[OSError], object] | None = None
) -> Iterator[AnyPath]: ...
def audio_files(
    root: AnyPath, on_error: Callable[[OSError], object] | None = None
) -> Iterator[AnyPath]:
    """Audio files in and below a folder; links come last, so that none hides a real folder.

    Hidden files and folders are left out. A store lists all at once.

    Parameters
    ----------
    root : pathlib.Path or Url
        The folder.
    on_error : callable, optional
        Called for a folder that cannot be read, which is passed over then.

    Raises
    ------
    DataError
        If the folder or one below it cannot be read, and `on_error` is not given.
    """
    if isinstance(root, Url):
        yield from _objects(root, on_error or _refuse)
        return
    within = Path(os.path.realpath(root))
    seen: set[str] = set()
    pending = deque([str(root)])
    while pending:
        links = []
        for folder, names, files in os.walk(pending.popleft(), onerror=on_error or _refuse):
            real = os.path.realpath(folder)
            if real in seen:
                names.clear()
                continue
            seen.add(real)
            names[:] = sorted(name for name in names if not name.startswith("."))
            linked = [os.path.join(folder, name) for name in names]
            # A link to where one came from would bring in what was never named.
            links += [
                path
                for path in linked
                if os.path.islink(path) and not within.is_relative_to(os.path.realpath(path))
            ]
            for name in sorted(files):
                if _is_audio(name):
                    yield Path(folder, name)
        pending.extend(sorted(links))


def _objects(root: Url, on_error: Callable[[OSError], object]) -> Iterator[Url]:
    try:
        found = urls_below(root)
    except OSError as error:
        on_error(error)
        return
    for url in found:
        folders = url.relative_to(root).parts[:-1]
        if _is_audio(url.name) and not any(name.startswith(".") for name in folders):
            yield url


def _is_audio(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def _refuse(error: OSError) -> None:
    raise unreadable(error) from error


def unreadable(error: OSError) -> DataError:
    """What is said of a source that the system does not give."""
    where = show_path(error.filename) if error.filename else "source"
    return DataError(f"{where}: {reason(error)}; {NEED}")
