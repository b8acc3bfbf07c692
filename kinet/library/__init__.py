"""A library of recordings on disk, in which songs are found; and finding in any folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from kinet.address import Address, is_address, place_of
from kinet.errors import DataError
from kinet.extraction.searching import audio_files
from kinet.library.adding import Added, Progress, Unread
from kinet.library.finding import TOP, Match, Missing
from kinet.library.groups import Group
from kinet.library.information import Information
from kinet.library.library import Library
from kinet.library.queries import Answer
from kinet.library.rows import File
from kinet.library.shards import Shards
from kinet.reading import PathLike, as_list, read_text, reason, show_path
from kinet.remote import AnyPath

__all__ = [
    "Added",
    "Answer",
    "File",
    "Group",
    "Information",
    "Library",
    "Match",
    "Missing",
    "Shards",
    "Unread",
    "find",
]

#: Where the library of a folder of music is, in it.
IN_FOLDER = Path(".kinet", "library.sqlite")
#: How a file ends that lists libraries.
LIST = ".shards"


def find(
    queries: PathLike | Sequence[PathLike],
    where: PathLike | Sequence[PathLike],
    top: int = TOP,
    threshold: float = 0.0,
    model: str | None = None,
    allow_missing: bool = False,
) -> list[Answer]:
    """Look for the songs of recordings in a folder of music, a library, or several of them.

    Parameters
    ----------
    queries : path, or sequence of path
        Recordings of 10 seconds or more.
    where : path or str, or sequence of these
        A folder, whose library is made in ``.kinet`` in it, kept, and brought up to date: it has
        the recordings of the folder, and no others; or the file of a library, or its address,
        ``postgresql://user@host/database``. Several are searched as if they were one (`Shards`);
        so are those that a text file lists whose name ends with ``.shards``, one a line.
    top, threshold
        As of `Library.find`.
    model : str, optional
        Name or path of the model; by default the library's own, for a new one ``small``, or
        ``fourier`` where that does not come with kinet.
    allow_missing : bool
        Whether to search the others where one of several libraries cannot be asked; answers have
        it in `missing` then.

    Returns
    -------
    list of Answer
        One for each query.

    Raises
    ------
    DataError, SettingsError, CheckpointError, ExportError
        If folder, library, model or a number cannot be used, or one of several libraries.

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
    places = as_list(where)
    if not are_several(places):
        with open_anything(places[0], model) as library:
            return library.find(queries, top, threshold)
    with open_several(places, model) as shards:
        if not allow_missing:
            shards.require_all()
        answers = shards.find(queries, top, threshold)
        if not allow_missing:
            shards.require_all()
        return answers


def are_several(places: Sequence[PathLike]) -> bool:
    """Whether places are several libraries, or a list of libraries."""
    return len(places) != 1 or Path(places[0]).suffix == LIST


def open_several(
    places: Sequence[PathLike],
    model: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    told: Callable[[Added, list[AnyPath]], object] | None = None,
) -> Shards:
    """Several libraries as one: files, addresses, folders of music, and lists of all these.

    Parameters
    ----------
    places : sequence of path or str
    model, workers, progress, told
        As of `open_anything`.

    Raises
    ------
    DataError, CheckpointError, ExportError
        As `Shards`, and if a list or a folder cannot be used.
    """
    found: list[PathLike] = []
    for place in (each for given in places for each in _listed(given)):
        if isinstance(place_of(place), Path) and os.path.isdir(place):
            open_anything(place, model, workers, progress, told).close()
            found.append(Path(os.path.realpath(place), IN_FOLDER))
        else:
            found.append(place)
    return Shards(found, model)


def _listed(place: PathLike) -> list[PathLike]:
    """What stands in a list of libraries, or what is none."""
    if is_address(os.fspath(place)) or Path(place).suffix != LIST:
        return [place]
    try:
        lines = [line.strip() for line in read_text(place).splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error) if isinstance(error, OSError) else "no text in UTF-8"
        raise DataError(f"{show_path(place)}: {why}; need a list of libraries") from error
    named = [line for line in lines if line and not line.startswith("#")]
    if not named:
        raise DataError(f"{show_path(place)} lists no libraries; need one a line")
    folder = Path(place).parent
    return [line if is_address(line) else folder / line for line in named]


def open_anything(
    where: PathLike,
    model: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    told: Callable[[Added, list[AnyPath]], object] | None = None,
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
    if isinstance(place, Address) or not os.path.isdir(place):
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
