"""One feature file: from a .npy to a (T, 12) array, and what makes an array HPCP."""

from __future__ import annotations

import math
import os
import tokenize
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike, NDArray

from kinet.config import PITCH_CLASSES
from kinet.errors import DataError
from kinet.reading import open_regular, reason

_SHOWN = 60  # characters of an id or a line that a message repeats
_LONGEST_NAME = 255  # bytes, on every file system in use
# What NumPy raises for damaged headers; the third comes from its filter for Python 2, the others
# from Python's parser, to which it gives the header.
_DAMAGED_HEADER = (
    *(ValueError, TypeError, tokenize.TokenError),
    *(SyntaxError, RecursionError, MemoryError, OverflowError),
)


class FeatureError(DataError):
    """A feature file that cannot be used.

    Attributes
    ----------
    kind : {"missing", "unreadable", "damaged", "type", "shape", "not finite"}
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
        If the ids cannot name a file in the folder, as `file_name`.

    Examples
    --------
    >>> feature_path("features", "12", "7").as_posix()
    'features/12_7.npy'
    """
    return Path(data_dir, file_name(song_id, version_id))


def file_name(song_id: str, version_id: str) -> str:
    """The name of a feature file.

    Raises
    ------
    DataError
        If it would lead out of its folder or is longer than names can be.

    Examples
    --------
    >>> file_name("12", "7")
    '12_7.npy'
    """
    name = f"{song_id}_{version_id}.npy"
    # The last holds for a drive ("C:x") on Windows.
    if "/" in name or "\\" in name or "\0" in name or os.path.basename(name) != name:
        raise DataError(
            f"ids {shown(song_id)} and {shown(version_id)} do not name a file in the data "
            "folder; an id has no '/', '\\' or null character"
        )
    if len(name) > _LONGEST_NAME or len(os.fsencode(name)) > _LONGEST_NAME:
        raise DataError(
            f"ids {shown(song_id)} and {shown(version_id)} are too long to name a file; allowed: "
            f"{_LONGEST_NAME - len('_.npy')} bytes together"
        )
    return name


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
        are never loaded), or anything but a (T, 12) array of real numbers. What the header
        claims is compared with the file's size before anything is made of it.

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
        with open_regular(path) as file:
            sizes, fortran, dtype = _header(file, path)
            shape = tuple(int(size) for size in sizes)  # NumPy lets True pass
            _require_form(shape, dtype, path)
            start = file.tell()
            size = math.prod(shape) * dtype.itemsize
            held = os.fstat(file.fileno()).st_size - start
            if held < size:
                message = f"cut off: {held} bytes of values, expected {min(size, 2**63)}"
                raise FeatureError("unreadable", path, message)
            order: Literal["C", "F"] = "F" if fortran else "C"
            return np.memmap(file, dtype, "r", start, shape, order)
    except OSError as error:
        kind = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
        raise FeatureError(kind, path, f"{reason(error)}; need a readable .npy file") from error


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
    return np.array(finite(load_hpcp(path), path), order="C")


def as_hpcp(values: ArrayLike, name: str = "HPCP") -> NDArray[np.float32]:
    """An array in memory as HPCP.

    Parameters
    ----------
    values : array_like
        What is said to be HPCP.
    name : str
        What a message calls it.

    Returns
    -------
    (T, 12) array of float32
        T >= 1, finite.

    Raises
    ------
    FeatureError
        If it is anything but a (T, 12) array of finite real numbers.

    Examples
    --------
    >>> as_hpcp([[0.5] * 12]).shape
    (1, 12)
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        message = f"has rows of unequal length; expected (T, {PITCH_CLASSES})"
        raise FeatureError("shape", name, message) from error
    _require_form(array.shape, array.dtype, name)
    return finite(array, name)


def finite(values: NDArray[Any], path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Values as float32, if all of them are finite there.

    Parameters
    ----------
    values : ndarray
        Real numbers, all of a track or a part.
    path : path
        Whose, for the message.

    Raises
    ------
    FeatureError
        If one is NaN, infinite, or beyond what float32 can hold.

    Examples
    --------
    >>> finite(np.array([0.25, 1.0]), "s1_v1.npy").dtype
    dtype('float32')
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is told
        numbers = values.astype(np.float32, copy=False)
    right = int(np.count_nonzero(np.isfinite(numbers)))
    if right < numbers.size:
        wrong = numbers.size - right
        message = f"{wrong} of {numbers.size} values are NaN or infinite; need finite values"
        raise FeatureError("not finite", path, message)
    return numbers


def shown(text: str) -> str:
    """Text of a user as a message repeats it, not all of a long one."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def _shape(sizes: tuple[int, ...]) -> str:
    """As Python writes it; a damaged header can claim more axes and sizes than fit a line."""
    return str(tuple(min(max(size, -1), 2**63) for size in sizes[:5]))


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
    except _DAMAGED_HEADER as error:
        message = "not a .npy file; need a (T, 12) array"
        raise FeatureError("unreadable", path, message) from error
    # Later versions differ only in names of fields, which an array of numbers does not have.
    message = f".npy of version {version[0]}.{version[1]}; need 1.0 or 2.0"
    raise FeatureError("unreadable", path, message)


def _require_form(
    shape: tuple[int, ...], dtype: np.dtype[Any], path: str | os.PathLike[str]
) -> None:
    """Refuse what is not a (T, 12) array of real numbers."""
    if dtype.hasobject:
        message = "contains pickled objects, which are never loaded; need real numbers"
        raise FeatureError("type", path, message)
    if dtype.kind not in "fiu":
        raise FeatureError("type", path, f"is of type {str(dtype)[:_SHOWN]}; need real numbers")
    if len(shape) == 2 and shape[0] == PITCH_CLASSES != shape[1]:
        message = f"is {_shape(shape)}: transposed, expected (T, {PITCH_CLASSES})"
        raise FeatureError("shape", path, message)
    if len(shape) != 2 or shape[1] != PITCH_CLASSES:
        message = f"is {_shape(shape)}, expected (T, {PITCH_CLASSES})"
        raise FeatureError("shape", path, message)
    if shape[0] < 1:
        message = f"is empty, {_shape(shape)}; expected (T, {PITCH_CLASSES}), T from 1"
        raise FeatureError("shape", path, message)
