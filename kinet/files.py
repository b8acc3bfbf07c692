"""Write files so that a reader sees the old content or the new one, never a part."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray


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
