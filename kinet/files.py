"""Files as the system has them: opened, written in one step, and what to say of its errors.

A reader sees the old content of a file or the new one, never a part.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from kinet.errors import DataError

_NOT_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def show_path(path: str | os.PathLike[str]) -> str:
    """A path that can be printed, whatever bytes are in its name.

    Examples
    --------
    >>> show_path("caf\\udce9.wav")
    'caf�.wav'
    """
    return os.fsencode(path).decode("utf-8", "replace")


def reason(error: OSError) -> str:
    """Why a file cannot be read, in the words that all messages use.

    Examples
    --------
    >>> reason(FileNotFoundError()), reason(PermissionError(13, "Permission denied"))
    ('missing', 'unreadable (Permission denied)')
    """
    if isinstance(error, FileNotFoundError):
        return "missing"
    return f"unreadable ({error.strerror or error})"


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading, if it is one: a pipe would be waited for, a device has no end.

    Raises
    ------
    OSError
        If it cannot be opened, or is no regular file.

    Examples
    --------
    >>> try:
    ...     open_regular(os.devnull)
    ... except OSError as error:
    ...     print(error.strerror)
    not a regular file
    """
    try:
        # Not to wait for the other end of a pipe; with regular files it means nothing.
        descriptor = os.open(path, os.O_RDONLY | _NOT_WAITING)
    except ValueError as error:  # a null character in the name
        raise OSError(0, str(error), os.fspath(path)) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        why = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise OSError(0, why, os.fspath(path))
    return os.fdopen(descriptor, "rb")


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a regular file, UTF-8 with or without a byte order mark, line ends as ``\\n``.

    Raises
    ------
    OSError
        As `open_regular`.
    UnicodeDecodeError
        If it is not UTF-8.
    """
    with io.TextIOWrapper(open_regular(path), "utf-8-sig") as file:
        return file.read()


@contextlib.contextmanager
def writing_to(folder: str | os.PathLike[str]) -> Iterator[None]:
    """What the system says about a folder that cannot be written to, as one line.

    Raises
    ------
    DataError
        In place of an OSError within; it names the file that the system named, else `folder`.

    Examples
    --------
    >>> try:
    ...     with writing_to("features"):
    ...         raise OSError(28, "No space left on device")
    ... except DataError as error:
    ...     print(error)
    cannot write features: No space left on device; need a folder that can be made and written to
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write {show_path(error.filename or folder)}: {error.strerror or error}; need "
            "a folder that can be made and written to"
        ) from error


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Create or replace a file in one step.

    The content goes to a temporary file in the same folder, is flushed to the disk, and takes the
    name `path` only when it is complete. The temporary file is removed on any failure, Ctrl-C
    included.

    Parameters
    ----------
    path : path
        The file to create or replace; its folder must exist.
    write : callable
        Called once with the open binary file; what it returns is ignored.

    Raises
    ------
    OSError
        If the file cannot be written; `filename` names `path` where the system named no file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = pathlib.Path(folder, "list")
    ...     write_atomically(target, lambda file: file.write(b"s1\\tv1\\n"))
    ...     target.read_bytes()
    b's1\\tv1\\n'
    """
    path = Path(path)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        # Not tempfile: its files are private (mode 0600) and would stay so under their new name.
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Create or replace a UTF-8 text file in one step; line ends are written as they are.

    Parameters
    ----------
    path : path
        The file to create or replace; its folder must exist.
    text : str
        The whole content.

    Raises
    ------
    OSError
        As `write_atomically`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text_atomically(pathlib.Path(folder, "list"), "s1\\tv1\\n")
    ...     pathlib.Path(folder, "list").read_text()
    's1\\tv1\\n'
    """
    write_atomically(path, lambda file: file.write(text.encode()))


def write_array_atomically(path: str | os.PathLike[str], array: NDArray[Any]) -> None:
    """Create or replace a .npy file in one step.

    Parameters
    ----------
    path : path
        The file to create or replace; its folder must exist.
    array : ndarray
        Its values; objects, which would be pickled, are refused.

    Raises
    ------
    OSError
        As `write_atomically`.
    ValueError
        If the array holds objects.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_array_atomically(pathlib.Path(folder, "a.npy"), np.ones((2, 12)))
    ...     np.load(pathlib.Path(folder, "a.npy")).shape
    (2, 12)
    """
    # NumPy writes to memory: to a file it would not say that a disk is full.
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    write_atomically(path, lambda file: file.write(content.getbuffer()))


def digest_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, or of all files of a folder with their names, as 64 hexadecimal digits.

    Parameters
    ----------
    path : path
        A file, or a folder such as a SavedModel.

    Raises
    ------
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "empty")
    ...     path.touch()
    ...     digest_of(path)[:8]
    'e3b0c442'
    """
    path = Path(path)
    if not path.is_dir():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    inside = sorted(file for file in path.rglob("*") if file.is_file())
    named = (f"{file.relative_to(path).as_posix()}\0{digest_of(file)}\n" for file in inside)
    return hashlib.sha256("".join(named).encode()).hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
