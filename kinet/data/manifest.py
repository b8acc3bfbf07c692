"""Of what the features of a folder were made.

Beside the ``<song>_<version>.npy`` and their settings lie ``manifest.csv`` (of which recording
every file was made) and ``list`` (lines ``<song> <version>``, tab-separated, for the commands that
take a list).
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass

from kinet.data.tracks import Track
from kinet.errors import DataError
from kinet.files import write_atomically, write_text_atomically
from kinet.reading import open_regular, reason, show_path
from kinet.remote import inside

MANIFEST = "manifest.csv"
LIST = "list"


@dataclass(frozen=True)
class Entry:
    """One feature file and the recording that it was made of.

    Attributes
    ----------
    song_id, version_id : str
        As in the name of the file.
    source : str
        Path of the recording.
    bytes, modified_ns : int
        Size of the recording, and when it was changed last, in nanoseconds since 1970.
    seconds : float
        Duration of its sound.
    vectors : int
        T of the features ``(T, 12)``.
    fingerprint : str
        Of the settings, as `kinet.config.FeatureConfig.fingerprint`.
    title, artist : str
        As a person would say it; empty where nothing told.
    """

    song_id: str
    version_id: str
    source: str
    bytes: int
    modified_ns: int
    seconds: float
    vectors: int
    fingerprint: str
    title: str = ""
    artist: str = ""


_COLUMNS = [field.name for field in dataclasses.fields(Entry)]
_OPTIONAL = 2  # the last ones, which manifests of before did not have
_WRITTEN = {"seconds": "{:.3f}".format}
_TYPES = {"bytes": int, "modified_ns": int, "seconds": float, "vectors": int}


def write_manifest(data_dir: str | os.PathLike[str], entries: Iterable[Entry]) -> None:
    """Write ``manifest.csv`` and ``list``, sorted by song and version, each in one step.

    Parameters
    ----------
    data_dir : path
        Folder of the features.
    entries : iterable of Entry
        All of its finished files.

    Raises
    ------
    OSError
        If one cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> entry = Entry("s1", "v1", "/music/a.wav", 4096, 0, 12.5, 26, "0123456789ab")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_manifest(folder, [entry])
    ...     read_manifest(folder) == [entry], Path(folder, "list").read_text()
    (True, 's1\\tv1\\n')
    """
    ordered = sorted(entries, key=lambda entry: (entry.song_id, entry.version_id))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for entry in ordered:
        writer.writerow(_WRITTEN.get(name, str)(getattr(entry, name)) for name in _COLUMNS)
    # A path need not be text: its other bytes are kept as they are.
    content = text.getvalue().encode("utf-8", "surrogateescape")
    write_atomically(inside(data_dir, MANIFEST), lambda file: file.write(content))
    write_text_atomically(inside(data_dir, LIST), _lines(ordered))


def has_list_of(data_dir: str | os.PathLike[str], entries: Iterable[Entry]) -> bool:
    """Whether ``list`` names just these entries, as `write_manifest` leaves it.

    A run that was killed between the two files leaves a list that is behind.

    Examples
    --------
    >>> has_list_of("nowhere", [])
    False
    """
    ordered = sorted(entries, key=lambda entry: (entry.song_id, entry.version_id))
    try:
        with open_regular(inside(data_dir, LIST)) as file:
            return file.read() == _lines(ordered).encode()
    except OSError:
        return False


def read_manifest(data_dir: str | os.PathLike[str]) -> list[Entry]:
    """The entries of ``manifest.csv``, in its order; none where there is no such file.

    Parameters
    ----------
    data_dir : path
        Folder of the features.

    Returns
    -------
    list of Entry

    Raises
    ------
    DataError
        If the file cannot be read or a line is not what `write_manifest` writes.
    """
    path = inside(data_dir, MANIFEST)
    try:
        with open_regular(path) as file:
            text = file.read().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}; need what kinet extract writes") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    mend = "restore it, or remove it to make all features again"
    try:
        header = next(reader, [])
        if header not in (_COLUMNS, _COLUMNS[:-_OPTIONAL]):
            raise DataError(f"{path}:1: columns are {header}, expected {_COLUMNS}; {mend}")
        return [_entry(row, header) for row in reader]
    except (csv.Error, ValueError) as error:
        raise DataError(f"{path}:{reader.line_num}: {error}; {mend}") from error


def origins_of(data_dir: str | os.PathLike[str], tracks: Iterable[Track]) -> list[tuple[str, str]]:
    """Title and recording of tracks, as far as the manifest of their features tells.

    Parameters
    ----------
    data_dir : path
        Folder of the features, or a packed file, which has no manifest.
    tracks : iterable of Track
        Whose.

    Returns
    -------
    list of (str, str)
        Title and path of the recording, both printable; empty where nothing tells.

    Raises
    ------
    DataError
        As `read_manifest`.

    Examples
    --------
    >>> from pathlib import Path
    >>> origins_of("nowhere", [Track("s1", "v1", Path("s1_v1.npy"))])
    [('', '')]
    """
    known = {(entry.song_id, entry.version_id): entry for entry in read_manifest(data_dir)}
    found = (known.get((track.song_id, track.version_id)) for track in tracks)
    return [(show_path(e.title), show_path(e.source)) if e else ("", "") for e in found]


def _lines(entries: Iterable[Entry]) -> str:
    return "".join(f"{entry.song_id}\t{entry.version_id}\n" for entry in entries)


def _entry(row: list[str], columns: list[str]) -> Entry:
    if len(row) != len(columns):
        raise ValueError(f"{len(row)} fields, expected {len(columns)}")
    fields = zip(columns, row, strict=True)
    return Entry(**{name: _TYPES.get(name, str)(text) for name, text in fields})
