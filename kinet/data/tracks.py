"""List files and feature files: from lines and a folder to records and (T, 12) arrays."""

from __future__ import annotations

import math
import os
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from kinet.config import PITCH_CLASSES
from kinet.errors import DataError

_SHOWN = 60  # characters of a faulty line that a message repeats


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
        """Its HPCP, as `load_hpcp` gives it."""
        return load_hpcp(self.path)


class FeatureError(DataError):
    """A feature file that cannot be used.

    Attributes
    ----------
    kind : {"missing", "unreadable", "type", "shape", "not finite"}
        What is wrong, in short.
    path : path
        The file.
    message : str
        What was received and what is allowed, without the path.
    """

    def __init__(self, kind: str, path: str | os.PathLike[str], message: str) -> None:
        super().__init__(kind, path, message)
        self.kind, self.path, self.message = kind, path, message

    def __str__(self) -> str:
        return f"{os.fspath(self.path)}: {self.message}"


def feature_path(data_dir: str | os.PathLike[str], song_id: str, version_id: str) -> Path:
    """Where the features of a version are: ``<song_id>_<version_id>.npy`` in `data_dir`.

    Raises
    ------
    DataError
        If an id would lead out of the folder.

    Examples
    --------
    >>> feature_path("features", "12", "7").as_posix()
    'features/12_7.npy'
    """
    name = f"{song_id}_{version_id}.npy"
    path = Path(data_dir, name)
    # The last holds for a drive ("C:x") on Windows.
    if "/" in name or "\\" in name or "\0" in name or path.parent != Path(data_dir):
        raise DataError(
            f"ids {_shown(song_id)} and {_shown(version_id)} do not name a file in the data "
            "folder; an id has no '/', '\\' or null character"
        )
    return path


def read_numbered(
    list_file: str | os.PathLike[str], data_dir: str | os.PathLike[str]
) -> list[tuple[int, Track]]:
    """The tracks of a list with the numbers of their lines, repeated lines included.

    Parameters
    ----------
    list_file : path
        UTF-8 text, a byte order mark and Windows line ends accepted, with lines
        ``<song_id> <version_id>`` separated by a tab or spaces; blank lines are skipped.
    data_dir : path
        Folder of the feature files; it is not looked at.

    Returns
    -------
    list of (int, Track)
        1-based line numbers and tracks, in the order of the file; at least one.

    Raises
    ------
    DataError
        If the file is missing, unreadable, not text or without tracks, or a line is not two
        fields that name a file; the message begins with ``file:line:`` then.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     list_file = pathlib.Path(folder, "list")
    ...     _ = list_file.write_text("s1\\tv1\\n\\ns1 v2\\n")
    ...     [(line, track.version_id) for line, track in read_numbered(list_file, folder)]
    [(1, 'v1'), (3, 'v2')]
    """
    rows = []
    for number, line in enumerate(_text(Path(list_file)).split("\n"), start=1):
        fields = line.split()
        if not fields:
            continue
        where = f"{list_file}:{number}"
        if len(fields) != 2:
            raise DataError(
                f"{where}: line has {len(fields)} fields, {_shown(line.strip())}; "
                "need '<song_id> <version_id>'"
            )
        try:
            path = feature_path(data_dir, *fields)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        rows.append((number, Track(fields[0], fields[1], path)))
    if not rows:
        raise DataError(f"{list_file}: no tracks; need lines of '<song_id> <version_id>'")
    return rows


def read_list(list_file: str | os.PathLike[str], data_dir: str | os.PathLike[str]) -> list[Track]:
    """The tracks of a list, in its order, each once.

    Parameters
    ----------
    list_file, data_dir : path
        As `read_numbered`.

    Returns
    -------
    list of Track

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
    ...     [track.version_id for track in read_list(list_file, folder)]
    ['v1', 'v2']
    """
    lines: dict[Track, int] = {}
    for number, track in read_numbered(list_file, data_dir):
        first = lines.setdefault(track, number)
        if first != number:
            raise DataError(
                f"{list_file}:{number}: song {track.song_id} version {track.version_id} is "
                f"already in line {first}; list each track once"
            )
    return list(lines)


def load_hpcp(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Map the HPCP of a track into memory without reading it.

    Parameters
    ----------
    path : path
        A .npy file.

    Returns
    -------
    (T, 12) array
        T >= 1, read-only, of the file's own real type; values are read when they are used and
        are not looked at here.

    Raises
    ------
    FeatureError
        If the file is missing, unreadable, no .npy file, cut off, holds pickled objects (which
        are never loaded), or anything but a (T, 12) array of real numbers.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "s1_v1.npy")
    ...     np.save(path, np.ones((400, 12), dtype=np.float32))
    ...     load_hpcp(path).shape
    (400, 12)
    """
    try:
        with open(path, "rb") as file:
            shape, fortran, dtype = _header(file, path)
            _check_header(path, shape, dtype)
            start = file.tell()
            size = math.prod(shape) * dtype.itemsize
            held = os.fstat(file.fileno()).st_size - start
            if held < size:
                message = f"cut off: {held} bytes of values, expected {size}"
                raise FeatureError("unreadable", path, message)
            order: Literal["C", "F"] = "F" if fortran else "C"
            return np.memmap(file, dtype, "r", start, shape, order)
    except OSError as error:
        kind = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
        raise FeatureError(kind, path, f"{_cause(error)}; need a readable .npy file") from error


def read_hpcp(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Read the whole HPCP of a track.

    Parameters
    ----------
    path : path
        A .npy file.

    Returns
    -------
    (T, 12) array of float32
        T >= 1, finite.

    Raises
    ------
    FeatureError
        As `load_hpcp`, and if a value is NaN or infinite.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "s1_v1.npy")
    ...     np.save(path, np.ones((400, 12)))
    ...     read_hpcp(path).dtype
    dtype('float32')
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is told
        values = np.array(load_hpcp(path), dtype=np.float32, order="C")
    wrong = values.size - int(np.count_nonzero(np.isfinite(values)))
    if wrong:
        message = f"{wrong} of {values.size} values are NaN or infinite; need finite values"
        raise FeatureError("not finite", path, message)
    return values


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: {_cause(error)}; need a readable list file") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; need a list file") from error
    if "\0" in text:
        raise DataError(f"{path}: a binary file; need a list file")
    return text


def _cause(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "missing"
    return f"unreadable ({error.strerror or error})"


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def _header(
    file: BinaryIO, path: str | os.PathLike[str]
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of a .npy file, leaving `file` at its values."""
    try:
        version = npy.read_magic(file)
        if version == (1, 0):
            return npy.read_array_header_1_0(file)
        if version == (2, 0):
            return npy.read_array_header_2_0(file)
    # What NumPy raises for damaged headers; the second comes from its filter for Python 2.
    except (ValueError, TypeError, SyntaxError, tokenize.TokenError) as error:
        message = "not a .npy file; need a (T, 12) array"
        raise FeatureError("unreadable", path, message) from error
    # Later versions differ only in names of fields, which an array of numbers does not have.
    message = f".npy of version {version[0]}.{version[1]}; need 1.0 or 2.0"
    raise FeatureError("unreadable", path, message)


def _check_header(
    path: str | os.PathLike[str], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    if dtype.hasobject:
        message = "contains pickled objects, which are never loaded; need real numbers"
        raise FeatureError("type", path, message)
    if dtype.kind not in "fiu":
        raise FeatureError("type", path, f"is of type {dtype}; need real numbers")
    if len(shape) == 2 and shape[0] == PITCH_CLASSES != shape[1]:
        message = f"is {shape}: transposed, expected (T, {PITCH_CLASSES})"
        raise FeatureError("shape", path, message)
    if len(shape) != 2 or shape[1] != PITCH_CLASSES:
        raise FeatureError("shape", path, f"is {shape}, expected (T, {PITCH_CLASSES})")
    if shape[0] < 1:
        message = f"is empty, {shape}; expected (T, {PITCH_CLASSES}), T from 1"
        raise FeatureError("shape", path, message)


def present(tracks: Sequence[Track]) -> tuple[list[Track], list[Track]]:
    """The tracks whose feature file is there and has a good header, and those without a file.

    Raises
    ------
    FeatureError
        If a file is there but cannot be used, as `load_hpcp`; values are not looked at.

    Examples
    --------
    >>> present([Track("s1", "v1", Path("nowhere", "s1_v1.npy"))])[0]
    []
    """
    there, missing = [], []
    for track in tracks:
        try:
            track.load()
        except FeatureError as error:
            if error.kind != "missing":
                raise
            missing.append(track)
        else:
            there.append(track)
    return there, missing
