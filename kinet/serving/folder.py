"""Where uploads lie while the page is open; what a killed one left goes at the next start."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kinet.errors import DataError
from kinet.locks import alone_in

_PREFIX = "kinet-serve-"
_FILES = "files"


@contextlib.contextmanager
def upload_folder() -> Iterator[Path]:
    """An empty folder that only this user can read; it goes at the end.

    Raises
    ------
    DataError
        If no folder can be made.

    Examples
    --------
    >>> with upload_folder() as folder:
    ...     (folder / "a").touch()
    >>> folder.exists()
    False
    """
    _sweep()
    try:
        root = Path(tempfile.mkdtemp(prefix=_PREFIX))
    except OSError as error:
        raise DataError(
            f"no folder for uploads can be made in {tempfile.gettempdir()}: "
            f"{error.strerror or error}; set TMPDIR to one that can be written to"
        ) from error
    try:
        with alone_in(root, f"another process works in {root}"):
            # A folder without this is one that is just being made: nobody sweeps it away.
            (root / _FILES).mkdir()
            yield root / _FILES
            shutil.rmtree(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _sweep() -> None:
    """Remove the folders of processes that are no more: nobody has locked them."""
    for root in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # What is another user's, or cannot be removed, stays.
        with contextlib.suppress(OSError, DataError):
            is_own = not hasattr(os, "getuid") or root.lstat().st_uid == os.getuid()
            if is_own and not root.is_symlink() and (root / _FILES).is_dir():
                with alone_in(root, "in use"):
                    shutil.rmtree(root)
