"""What to make features of: files, folders and CSV files to records with ids."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kinet.audio import SUFFIXES
from kinet.data.feature_files import feature_path
from kinet.errors import DataError
from kinet.reading import read_text, reason, show_path

COLUMNS = ("path", "song_id", "version_id")
# Of a file on its own nothing is known but its name, which is its song.
ONLY_VERSION = "1"

# White space separates the ids in a list; the others cannot be in a file's name everywhere.
_FORBIDDEN = re.compile(r"[\s/\\:*?\"<>|\x00-\x1f\x7f]+")
# Two ids, "_" and ".npy" fit into the 255 bytes that a file's name may have.
_LONGEST = 100
_REMEDY = "rename one, or give ids in a .csv file"
_NEED = "need an audio file, a folder of them, or a .csv file with the columns " + ",".join(COLUMNS)


@dataclass(frozen=True)
class Source:
    """One recording, and whose version of which song it is.

    Attributes
    ----------
    path : pathlib.Path
        The audio file, which need not exist.
    song_id, version_id : str
        Without white space, '/' and such.
    fault : str
        Why nothing can be made of it, as ids that are another's too; empty if all is well.
    """

    path: Path
    song_id: str
    version_id: str
    fault: str = ""


def make_id(name: str) -> str:
    """The id that a file or folder gets from its name.

    White space around it is dropped; every run of white space and of characters that cannot be
    in a file's name everywhere (``/ \\ : * ? " < > |`` and control characters) becomes one ``-``.
    Letters of all scripts stay, in Unicode's form NFC. An id of more than 100 bytes is cut and
    ends with eight digits that depend on all of it.

    Parameters
    ----------
    name : str
        Any text.

    Returns
    -------
    str
        1 to 100 bytes as UTF-8; an id of an id is the id itself.

    Examples
    --------
    >>> make_id(" Für  Elise / live")
    'Für-Elise-live'
    """
    # What was no text in a file's name comes as lone surrogates, which no file can hold.
    text = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    text = _FORBIDDEN.sub("-", text.strip()) or "-"
    whole = text.encode()
    if len(whole) <= _LONGEST:
        return text
    digits = hashlib.sha256(whole).hexdigest()[:8]
    return whole[: _LONGEST - 9].decode(errors="ignore") + "-" + digits


def read_sources(arguments: Iterable[str | os.PathLike[str]]) -> list[Source]:
    """The recordings that files, folders and CSV files name.

    A folder, with all in it, is searched for names that end like audio or video
    (`kinet.audio.SUFFIXES`); hidden files and folders are left out, and links to folders are
    followed, each folder once. A folder within it is a song: its name is the song's id, the file's
    name without its ending the version's. A file directly in the given folder, or one that is
    given itself, is a song of its own, of the version ``1``. Names become ids by `make_id`.

    A CSV file has the columns ``path``, ``song_id`` and ``version_id``, in any order; others are
    not looked at. Relative paths start from the folder of the CSV file.

    Parameters
    ----------
    arguments : iterable of path
        What a user named.

    Returns
    -------
    list of Source
        At least one, sorted by song and version, whatever the order of the arguments and of the
        file system. Those of two songs that share an id, and of two versions, say so in `fault`:
        nobody knows which is meant.

    Raises
    ------
    DataError
        If an argument is missing or unreadable, a folder holds no audio, or a line of a CSV file
        is not a path and two ids.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("Let It Be/studio.flac", "Let It Be/live.mp3", "demo.wav"):
    ...         path = pathlib.Path(folder, name)
    ...         path.parent.mkdir(exist_ok=True)
    ...         path.touch()
    ...     [(source.song_id, source.version_id) for source in read_sources([folder])]
    [('Let-It-Be', 'live'), ('Let-It-Be', 'studio'), ('demo', '1')]
    """
    found = [pair for argument in arguments for pair in _of_argument(Path(argument))]
    origins: dict[str, dict[Hashable, Source]] = {}
    for source, origin in found:
        origins.setdefault(source.song_id, {}).setdefault(origin, source)
    return distinct(_marked(source, origin, origins[source.song_id]) for source, origin in found)


def _marked(source: Source, origin: Hashable, songs: dict[Hashable, Source]) -> Source:
    """`source`, saying which other of `songs` has its id."""
    others = [other for its_origin, other in songs.items() if its_origin != origin]
    if not others or source.fault:
        return source
    return replace(
        source,
        fault=f"two songs have the id {source.song_id}, this and that of "
        f"{show_path(others[0].path)}; {_REMEDY}",
    )


def distinct(sources: Iterable[Source]) -> list[Source]:
    """Each recording once, sorted by ids; those that would write one feature file say so.

    Parameters
    ----------
    sources : iterable of Source
        A recording may be repeated with the same ids.

    Returns
    -------
    list of Source
        Recordings with one song and version id, or with ids that give one file name, be it only
        where capital and small letters are the same, have a `fault`.

    Examples
    --------
    >>> twice = [Source(Path("a.wav"), "a", "1")] * 2
    >>> len(distinct(twice))
    1
    >>> [bool(source.fault) for source in distinct([*twice, Source(Path("b.wav"), "a", "1")])]
    [True, True]
    """
    unique = set(sources)
    ordered = sorted(unique, key=lambda source: (source.song_id, source.version_id, source.path))
    names: dict[str, list[Source]] = {}
    for source in ordered:
        names.setdefault(_file_name(source).casefold(), []).append(source)
    marked = {}
    for group in names.values():
        for place, source in enumerate(group):
            if len(group) > 1 and not source.fault:
                other = group[0] if place else group[1]
                fault = (
                    f"would be {_file_name(source)}, as {show_path(other.path)} "
                    f"(song {other.song_id}, version {other.version_id}); {_REMEDY}"
                )
                marked[source] = replace(source, fault=fault)
    return [marked.get(source, source) for source in ordered]


def _file_name(source: Source) -> str:
    return feature_path("", source.song_id, source.version_id).name


def _of_argument(path: Path) -> Iterable[tuple[Source, Hashable]]:
    """Sources, each with what makes it one song with others: equal for the same song."""
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError as error:
        raise _unreadable(error) from error
    if is_folder:
        return _of_folder(path)
    if not is_there:
        raise DataError(f"{show_path(path)}: missing; {_NEED}")
    if path.suffix.lower() == ".csv":
        return [(source, "ids of a CSV file") for source in _of_csv(path)]
    return [_on_its_own(path)]


def _on_its_own(path: Path) -> tuple[Source, Hashable]:
    return Source(path, make_id(path.stem), ONLY_VERSION), os.path.abspath(path)


def _of_folder(root: Path) -> Iterator[tuple[Source, Hashable]]:
    errors: list[OSError] = []
    files = list(audio_files(root, errors.append))
    if not files:
        raise (
            _unreadable(errors[0])
            if errors
            else DataError(f"{show_path(root)}: a folder without audio; {_NEED}")
        )
    for error in errors:
        # Told with what else fails; the rest is made.
        folder = Path(error.filename)
        fault = f"a folder, {reason(error)}: nothing in it was looked at"
        name = make_id(folder.relative_to(root).as_posix())
        yield Source(folder, name, ONLY_VERSION, fault), os.path.abspath(folder)
    for path in files:
        song = path.parent.relative_to(root)
        if song == Path():
            yield _on_its_own(path)
        else:
            source = Source(path, make_id(song.as_posix()), make_id(path.stem))
            yield source, os.path.abspath(path.parent)


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
    raise _unreadable(error) from error


def _unreadable(error: OSError) -> DataError:
    where = show_path(error.filename) if error.filename else "source"
    return DataError(f"{where}: {reason(error)}; {_NEED}")


def _of_csv(path: Path) -> list[Source]:
    try:
        text = read_text(path)
    except OSError as error:
        raise _unreadable(error) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{show_path(path)}: not UTF-8 text; need {','.join(COLUMNS)}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    sources = []
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise DataError(
                f"{show_path(path)}:1: no column {missing[0]!r} in {','.join(header)!r}; "
                f"need a first line with {','.join(COLUMNS)}"
            )
        columns = [header.index(name) for name in COLUMNS]
        for row in reader:
            if any(field.strip() for field in row):
                where = f"{show_path(path)}:{reader.line_num}"
                sources.append(_of_row(row, columns, len(header), path.parent, where))
    except csv.Error as error:
        raise DataError(f"{show_path(path)}:{reader.line_num}: {error}; need CSV") from error
    if not sources:
        raise DataError(f"{show_path(path)}: no recordings; need lines of {','.join(COLUMNS)}")
    return sources


def _of_row(row: list[str], columns: list[int], width: int, folder: Path, where: str) -> Source:
    if len(row) != width:
        raise DataError(f"{where}: {len(row)} fields; need {width}, as in the first line")
    name, *ids = (row[column].strip() for column in columns)
    if not name:
        raise DataError(f"{where}: no path; need a file and two ids")
    normal = [unicodedata.normalize("NFC", text) for text in ids]
    for column, text in zip(COLUMNS[1:], normal, strict=True):
        if not text:
            raise DataError(f"{where}: no {column}; need a file and two ids")
        if make_id(text) != text:
            raise DataError(
                f"{where}: {column} is {text!r}; allowed: up to {_LONGEST} bytes without white "
                f"space, '/' and such, as {make_id(text)!r}"
            )
    return Source(folder / name, *normal)
