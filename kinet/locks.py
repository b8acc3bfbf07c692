"""A folder that one process at a time works in."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from kinet.errors import DataError
from kinet.files import writing_to
from kinet.remote import AnyPath, Url

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Where a folder itself cannot be locked.
_LOCK = ".lock"


@contextlib.contextmanager
def alone_in(folder: AnyPath, otherwise: str) -> Iterator[None]:
    """Make a folder, and refuse a second process in it.

    The system frees the lock when the process ends, however it ends. On file systems without
    locks nothing is refused, nor in an object store, which has neither locks nor folders.

    Parameters
    ----------
    folder : pathlib.Path or Url
        The folder, made if it is not there.
    otherwise : str
        What is said if another process is at work in it.

    Raises
    ------
    DataError
        With `otherwise`, or if the folder cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     with alone_in(Path(root, "a"), "another one is there"):
    ...         try:
    ...             with alone_in(Path(root, "a"), "another one is there"):
    ...                 pass
    ...         except DataError as error:
    ...             print(error)
    another one is there
    """
    if isinstance(folder, Url):
        yield
        return
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _opened(folder)
    try:
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError) as error:
            raise DataError(otherwise) from error
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(descriptor)


def _opened(folder: Path) -> int:
    if sys.platform == "win32":
        return os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT)
    return os.open(folder, os.O_RDONLY)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # PermissionError if another one has it
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
