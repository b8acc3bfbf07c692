"""A library of recordings on disk, in which songs are found; and finding in any folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from kinet.address import Address, place_of
from kinet.errors import DataError
from kinet.extraction.searching import audio_files
from kinet.library.adding import Added, Progress, Unread
from kinet.library.finding import TOP, Match
from kinet.library.groups import Group
from kinet.library.library import Information, Library
from kinet.library.queries import Answer
from kinet.library.rows import File
from kinet.reading import PathLike, show_path

__all__ = ["Added", "Answer", "File", "Group", "Information", "Library", "Match", "Unread", "find"]

#: Where the library of a folder of music is, in it.
IN_FOLDER = Path(".kinet", "library.sqlite")


def find(
    queries: PathLike | Sequence[PathLike],
    where: PathLike,
    top: int = TOP,
    threshold: float = 0.0,
    model: str | None = None,
) -> list[Answer]:
    """Look for the songs of recordings in a folder of music, or in a library.

    Parameters
    ----------
    queries : path, or sequence of path
        Recordings of 10 seconds or more.
    where : path, or str
        A folder, whose library is made in ``.kinet`` in it, kept, and brought up to date: it has
        the recordings of the folder, and no others; or the file of a library, or its address,
        ``postgresql://user@host/database``.
    top, threshold
        As of `Library.find`.
    model : str, optional
        Name or path of the model; by default the library's own, for a new one ``small``, or
        ``fourier`` where that does not come with kinet.

    Returns
    -------
    list of Answer
        One for each query.

    Raises
    ------
    DataError, SettingsError, CheckpointError, ExportError
        If folder, library, model or a number cannot be used.

    Examples
    --------
    >>> import tempfile, numpy as np, soundfile
    >>> from kinet import find
    >>> time = np.arange(12 * 22050) / 22050
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     music = Path(folder, "music")
    ...     music.mkdir()
    ...     for step in (0, 5):
    ...         notes = 2 ** ((step * np.floor(time) % 12) / 12)
    ...         sound = 0.1 * np.sin(2 * np.pi * 220 * notes * time)
    ...         soundfile.write(music / f"song {step}.wav", sound, 22050)
    ...     soundfile.write(Path(folder, "query.wav"), sound * 0.5, 22050)
    ...     [answer] = find(Path(folder, "query.wav"), music, model="fourier")
    >>> answer.matches[0].title, answer.matches[0].transposition
    ('song 5', 0)
    """
    given = [queries] if isinstance(queries, str | os.PathLike) else queries
    with open_anything(where, model) as library:
        return library.find(given, top, threshold)


def open_anything(
    where: PathLike,
    model: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    told: Callable[[Added, list[Path]], object] | None = None,
) -> Library:
    """The library of a folder, made or brought up to date, or that of a file.

    Parameters
    ----------
    where : path, or str
        A folder of music, the file of a library, or its address.
    model : str, optional
        As of `find`.
    workers, progress
        As of `Library.add`.
    told : callable, optional
        Called with what became of the files of a folder, and those that are no more there.

    Raises
    ------
    DataError, CheckpointError, ExportError
        As `find`.
    """
    place = place_of(where)
    if isinstance(place, Address) or not place.is_dir():
        return Library.open(place, model)
    # One name, so that its files are known by whatever link it is reached.
    where = os.path.realpath(where)
    path = Path(where, IN_FOLDER)
    if next(audio_files(Path(where)), None) is None:
        raise DataError(f"{show_path(where)}: no audio in this folder; need recordings")
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{show_path(path.parent)} cannot be made ({error.strerror or error}); make a library "
            "elsewhere with kinet index add"
        ) from error
    library = Library.open(path, model) if path.exists() else Library.create(path, model)
    try:
        added = library.add([where], workers, progress)
        gone = library.keep_only(where)
        if told:
            told(added, gone)
    except BaseException:
        library.close()
        raise
    return library
