"""Write files so that a reader sees the old content or the new one, never a part."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from kinet.errors import DataError
from kinet.reading import PathLike, show_path
from kinet.remote import Url, put

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def writing_to(folder: PathLike) -> Iterator[None]:
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


def write_atomically(path: PathLike, write: Callable[[BinaryIO], object]) -> None:
    """Create or replace a file in one step.

    The content goes to a temporary file in the same folder, is flushed to the disk, and takes the
    name `path` only when it is complete. The temporary file is removed on any failure, Ctrl-C
    included. An object of a store needs none of it: it is put there as a whole.

    Parameters
    ----------
    path : path or Url
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
    if isinstance(path, Url):
        content = io.BytesIO()
        write(content)
        put(path, content.getvalue())
    else:
        write_together({path: write})


def write_together(contents: Mapping[PathLike, Callable[[BinaryIO], object]]) -> None:
    """Create or replace files that belong together: never is one of the new beside one of the old.

    All are written before the first is placed. Then the old ones go, and the new ones come, the
    first of `contents` last: where it is, the others are its own, even if the process was killed.

    Parameters
    ----------
    contents : mapping of path to callable
        As of `write_atomically`.

    Raises
    ------
    OSError
        As `write_atomically`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train, test = pathlib.Path(folder, "TRAIN"), pathlib.Path(folder, "TEST")
    ...     write_together({path: lambda file: file.write(b"s1\\tv1\\n") for path in (train, test)})
    ...     train.read_bytes() == test.read_bytes()
    True
    """
    pending: list[_Pending] = []
    try:
        for path, write in contents.items():
            pending.append(_Pending(Path(path)))
            pending[-1].fill(write)
        if len(pending) > 1:
            for item in pending:
                item.target.unlink(missing_ok=True)
        for item in reversed(pending):
            item.place()
    except OSError as error:
        names = {str(item.temporary): str(item.target) for item in pending}
        error.filename = names.get(error.filename, error.filename) or names[next(reversed(names))]
        raise
    finally:
        for item in pending:
            item.close()


class _Pending:
    """A file on its way to its name.

    Its temporary name depends on `target`, so that the next one that writes this file uses up what
    a killed process has left. Who writes holds a lock on it: a second one takes another name.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        try:
            self.temporary, self._file = self._own()
            self._is_locked = True
        except OSError:  # another one is writing, or there are no locks here
            self.temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
            self._is_locked = False
            try:
                self._file = _opened(self.temporary, os.O_EXCL)
            except OSError as error:
                error.filename = str(target)
                raise
        self._is_placed = False

    def _own(self) -> tuple[Path, BinaryIO]:
        if sys.platform == "win32":  # where an open file cannot be renamed
            raise OSError
        digits = hashlib.sha256(os.fsencode(self.target.name)).hexdigest()[:16]
        temporary = self.target.with_name(f".{digits}.tmp")
        file = _opened(temporary)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(file.fileno()), os.stat(temporary)):
                raise OSError  # it had been placed before it was locked
            file.truncate(0)
        except OSError:
            file.close()
            raise
        return temporary, file

    def fill(self, write: Callable[[BinaryIO], object]) -> None:
        write(self._file)
        self._file.flush()
        os.fsync(self._file.fileno())

    def place(self) -> None:
        if not self._is_locked:
            self._file.close()
        os.replace(self.temporary, self.target)
        self._is_placed = True
        _sync_folder(self.target.parent)

    def close(self) -> None:
        if not self._is_placed:
            self.temporary.unlink(missing_ok=True)
        # A full disk refuses once more what is thrown away here; the error has been raised.
        with contextlib.suppress(OSError):
            self._file.close()


def _opened(path: Path, flag: int = 0) -> BinaryIO:
    # Not tempfile: its files are private (mode 0600) and would stay so under their new name.
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0) | flag
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def write_text_atomically(path: PathLike, text: str) -> None:
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


def write_array_atomically(path: PathLike, array: NDArray[Any]) -> None:
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


def path_in_cache(name: str) -> Path:
    """A file in the user's folder for what can be made again, which only they may read."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "kinet")
    with contextlib.suppress(OSError):
        folder.mkdir(0o700, parents=True, exist_ok=True)
    return folder / name


def digest_of(path: PathLike) -> str:
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
