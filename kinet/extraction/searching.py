"""Audio files in folders, each once, whatever links there are."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from kinet.audio import SUFFIXES
from kinet.errors import DataError
from kinet.reading import reason, show_path

COLUMNS = ("path", "song_id", "version_id")
NEED = "need an audio file, a folder of them, or a .csv file with the columns " + ",".join(COLUMNS)


def audio_files(root: Path, on_error: Callable[[OSError], object] | None = None) -> Iterator[Path]:
    """Audio files in and below a folder; links come last, so that none hides a real folder.

    Hidden files and folders are left out.

    Parameters
    ----------
    root : pathlib.Path
        The folder.
    on_error : callable, optional
        Called for a folder that cannot be read, which is passed over then.

    Raises
    ------
    DataError
        If the folder or one below it cannot be read, and `on_error` is not given.
    """
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
                if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                    yield Path(folder, name)
        pending.extend(sorted(links))


def _refuse(error: OSError) -> None:
    raise unreadable(error) from error


def unreadable(error: OSError) -> DataError:
    """What is said of a source that the system does not give."""
    where = show_path(error.filename) if error.filename else "source"
    return DataError(f"{where}: {reason(error)}; {NEED}")
