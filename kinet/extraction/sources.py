"""What to make features of: files, folders and CSV files to records with ids."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace

from kinet.data.feature_files import file_name
from kinet.errors import DataError
from kinet.extraction.naming import LONGEST_ID, Source, make_id
from kinet.extraction.readings import AUTOMATIC, Progress, Reading, on_its_own, read_folder
from kinet.extraction.searching import COLUMNS, NEED, unreadable
from kinet.reading import PathLike, as_list, read_text, show_path
from kinet.remote import AnyPath, absolute, is_url, path_or_url

_REMEDY = "rename one, or give ids in a .csv file"


def read_sources(
    arguments: PathLike | Iterable[PathLike],
    songs_by: str = AUTOMATIC,
    tell: Callable[[Reading], object] | None = None,
    progress: Progress | None = None,
) -> list[Source]:
    """The recordings that files, folders and CSV files name.

    A folder, with all in it, is searched for names that end like audio or video
    (`kinet.audio.SUFFIXES`); hidden files and folders are left out, and links to folders are
    followed, each folder once. What makes files one song says `songs_by`:

    - ``folder``: a folder within it is a song, its name the song's id, the file's name without its
      ending the version's. A file directly in the given folder is a song of its own, of the
      version ``1``.
    - ``title``: the title in a file's name is the song, wherever the file lies: what is left of
      ``01 Help (Live)`` or ``The Beatles - Help`` without number, artist and remark. The version
      is the folders on the way, the artist and the remark.
    - ``tags``: as ``title``, but title, artist and album are those of the file's tags, where it
      has some.

    A file that is given itself is a song of its own. Names become ids by `make_id`.

    A CSV file has the columns ``path``, ``song_id`` and ``version_id``, in any order; others are
    not looked at. Relative paths start from the folder of the CSV file.

    All of these can be in an object store (`kinet.remote.path_or_url`).

    Parameters
    ----------
    arguments : path, or iterable of path
        What a user named.
    songs_by : str
        One of the above, or ``auto``, which is told for each folder: ``title`` where all files
        lie in the folder itself, or most names begin with the number of a track; else ``folder``.
    tell : callable, optional
        Called for each folder with how it was read.
    progress : callable, optional
        Called with the number of files whose tags are read, and of all.

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
    SettingsError
        If there is no such reading.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> def songs_of(*names):
    ...     with tempfile.TemporaryDirectory() as folder:
    ...         for name in names:
    ...             path = Path(folder, name)
    ...             path.parent.mkdir(exist_ok=True, parents=True)
    ...             path.touch()
    ...         return [(source.song_id, source.version_id) for source in read_sources([folder])]
    >>> songs_of("Let It Be/studio.flac", "Let It Be/live.mp3", "demo.wav")
    [('Let-It-Be', 'live'), ('Let-It-Be', 'studio'), ('demo', '1')]
    >>> songs_of("Simone/Gold/03 Feeling Good.mp3", "Muse/2001/11 Feeling Good (Live).mp3")
    [('feeling-good', 'Muse-2001-Live'), ('feeling-good', 'Simone-Gold')]
    """

    def of_folder(root: AnyPath) -> Iterable[tuple[Source, Hashable]]:
        reading, sources = read_folder(root, songs_by, progress)
        if tell is not None:
            tell(reading)
        return sources

    places = map(path_or_url, as_list(arguments))
    found = [pair for place in places for pair in _of_argument(place, of_folder)]
    origins: dict[str, dict[Hashable, Source]] = {}
    for source, origin in found:
        origins.setdefault(source.song_id, {}).setdefault(origin, source)
    return distinct(_marked(source, origin, origins[source.song_id]) for source, origin in found)


def _marked(source: Source, origin: Hashable, songs: dict[Hashable, Source]) -> Source:
    """`source`, saying which other of `songs` has its id."""
    others = [
        other
        for its_origin, other in songs.items()
        # A file may be named beside the folder that it lies in.
        if its_origin != origin and absolute(other.path) != absolute(source.path)
    ]
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
    >>> from pathlib import Path
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
    return file_name(source.song_id, source.version_id)


def _of_argument(
    path: AnyPath, of_folder: Callable[[AnyPath], Iterable[tuple[Source, Hashable]]]
) -> Iterable[tuple[Source, Hashable]]:
    """Sources, each with what makes it one song with others: equal for the same song."""
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError as error:
        raise unreadable(error) from error
    if is_folder:
        return of_folder(path)
    if not is_there:
        raise DataError(f"{show_path(path)}: missing; {NEED}")
    if path.suffix.lower() == ".csv":
        return [(source, "ids of a CSV file") for source in _of_csv(path)]
    return [on_its_own(path)]


def _of_csv(path: AnyPath) -> list[Source]:
    try:
        text = read_text(path)
    except OSError as error:
        raise unreadable(error) from error
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


def _of_row(row: list[str], columns: list[int], width: int, folder: AnyPath, where: str) -> Source:
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
                f"{where}: {column} is {text!r}; allowed: up to {LONGEST_ID} bytes without white "
                f"space, '/' and such, as {make_id(text)!r}"
            )
    # A list on this machine can name what is in a store, and the other way round.
    stands_alone = is_url(name) or name.startswith("/")
    return Source(path_or_url(name) if stands_alone else folder / name, *normal)
