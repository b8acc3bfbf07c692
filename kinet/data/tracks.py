"""Lists to tracks, whose features are files of a folder or lie in one packed file."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinet.data.feature_files import FeatureError, feature_path, finite, load_hpcp, shown
from kinet.data.packing import PackedFile
from kinet.errors import DataError
from kinet.reading import open_regular, reason
from kinet.remote import path_or_url

LARGEST_LIST = 2**26  # bytes; a million tracks have less


@dataclass(frozen=True)
class Track:
    """One version of a song and the file with its features.

    Attributes
    ----------
    song_id, version_id : str
        As in the list.
    path : pathlib.Path
        Its feature file, which need not exist.

    Examples
    --------
    >>> Track("12", "7", feature_path("features", "12", "7")).path.name
    '12_7.npy'
    """

    song_id: str
    version_id: str
    path: Path

    def load(self) -> NDArray[Any]:
        """Its HPCP ``(T, 12)``, mapped: values are read when they are used.

        Raises
        ------
        FeatureError
            As `kinet.data.feature_files.load_hpcp`.
        """
        return load_hpcp(self.path)

    def is_there(self) -> bool:
        """Whether there are features of it, without a look at their values.

        Raises
        ------
        FeatureError
            If they are there but cannot be used, as `load`.
        """
        try:
            self.load()
        except FeatureError as error:
            if error.kind != "missing":
                raise
            return False
        return True

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Vectors `start` to `stop` of its HPCP, by default all: ``(T, 12)`` float32, finite.

        Raises
        ------
        FeatureError
            As `load`, and if a value there is NaN or infinite.
        """
        return finite(self.load()[start:stop], self.path)


@dataclass(frozen=True)
class PackedTrack(Track):
    """A track within a packed file.

    Attributes
    ----------
    packed : PackedFile
        The file, which need not have it.
    """

    packed: PackedFile = field(repr=False, compare=False, kw_only=True)

    def load(self) -> NDArray[Any]:
        """As of `Track`, from the packed file.

        Raises
        ------
        FeatureError
            If it is not in there, or its values are not those that were packed.
        """
        return self.packed.load(self.song_id, self.version_id)

    def is_there(self) -> bool:
        """Whether the packed file has it."""
        return (self.song_id, self.version_id) in self.packed


def read_numbered(
    list_file: str | os.PathLike[str], data: str | os.PathLike[str]
) -> list[tuple[int, Track]]:
    """The tracks of a list with the numbers of their lines, repeated lines included.

    Parameters
    ----------
    list_file : path
        UTF-8 text, a byte order mark and Windows line ends accepted, with lines
        ``<song_id> <version_id>`` separated by a tab or spaces; blank lines are skipped.
    data : path
        Folder of the feature files, which is not looked at, or a packed file, which is opened.

    Returns
    -------
    list of (int, Track)
        1-based line numbers and tracks, in the order of the file; at least one.

    Raises
    ------
    DataError
        If the file is missing, unreadable, not text or without tracks, or a line is not two
        fields that name a file; the message begins with ``file:line:`` then. And if `data` is a
        file that is not packed, or damaged.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     list_file = pathlib.Path(folder, "list")
    ...     _ = list_file.write_text("s1\\tv1\\n\\ns1 v2\\n")
    ...     [(line, track.version_id) for line, track in read_numbered(list_file, folder)]
    [(1, 'v1'), (3, 'v2')]
    """
    track = _tracks_of(data)
    rows = []
    for number, line in enumerate(_lines(list_file), start=1):
        fields = line.split()
        if not fields:
            continue
        where = f"{list_file}:{number}"
        if len(fields) != 2:
            raise DataError(
                f"{where}: line has {len(fields)} fields, {shown(line.strip())}; "
                "need '<song_id> <version_id>'"
            )
        try:
            rows.append((number, track(*fields)))
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
    if not rows:
        raise DataError(f"{list_file}: no tracks; need lines of '<song_id> <version_id>'")
    return rows


def read_tracks(list_file: str | os.PathLike[str], data: str | os.PathLike[str]) -> list[Track]:
    """The tracks of a list, in its order, each once.

    Parameters
    ----------
    list_file, data : path
        As `read_numbered`.

    Returns
    -------
    list of Track
        One whose features are not there says so when they are loaded.

    Raises
    ------
    DataError
        As `read_numbered`, and if a track is listed twice.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     list_file = pathlib.Path(folder, "list")
    ...     _ = list_file.write_text("s1\\tv1\\ns1\\tv2\\n")
    ...     [track.version_id for track in read_tracks(list_file, folder)]
    ['v1', 'v2']
    """
    lines: dict[Track, int] = {}
    for number, track in read_numbered(list_file, data):
        first = lines.setdefault(track, number)
        if first != number:
            raise DataError(
                f"{list_file}:{number}: song {track.song_id} version {track.version_id} is "
                f"already in line {first}; list each track once"
            )
    return list(lines)


def present(tracks: Sequence[Track]) -> tuple[list[Track], list[Track]]:
    """The tracks whose features are there, and those without; values are not looked at.

    Raises
    ------
    FeatureError
        As `Track.is_there`.

    Examples
    --------
    >>> present([Track("s1", "v1", Path("nowhere", "s1_v1.npy"))])[0]
    []
    """
    there: list[Track] = []
    missing: list[Track] = []
    for track in tracks:
        (there if track.is_there() else missing).append(track)
    return there, missing


def _tracks_of(data: str | os.PathLike[str]) -> Callable[[str, str], Track]:
    """What makes a track of two ids."""
    packed = PackedFile(data) if os.path.isfile(data) else None

    def track(song_id: str, version_id: str) -> Track:
        path = feature_path(data, song_id, version_id)
        if packed is None:
            return Track(song_id, version_id, path)
        return PackedTrack(song_id, version_id, path, packed=packed)

    return track


def _lines(list_file: str | os.PathLike[str]) -> io.StringIO:
    path = path_or_url(list_file)
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST_LIST + 1)
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}; need a readable list file") from error
    if len(content) > LARGEST_LIST:
        raise DataError(f"{path}: more than {LARGEST_LIST} bytes; need a list file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; need a list file") from error
    if "\0" in text:
        raise DataError(f"{path}: a binary file; need a list file")
    return io.StringIO(text, newline=None)
