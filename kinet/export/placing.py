"""Put a finished export in place: whole or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from kinet.errors import ExportError
from kinet.export.formats import FULL_PRECISION, Format
from kinet.export.pairs import replace_pair

if sys.platform != "win32":
    import fcntl

_PREFIX = ".kinet-export-"
# As `tempfile` makes them.
_STAGING = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}")
NEW, OLD = "new", "old"


def default_target(model_file: Path, form: Format, precision: str = FULL_PRECISION) -> Path:
    """Next to the model: ``best.keras`` gives ``best.onnx``, ``best_int8.xml``, ..."""
    mark = "" if precision == FULL_PRECISION else f"_{precision}"
    return model_file.with_name(model_file.stem + mark + form.ending)


def check_target(path: Path, form: Format, force: bool) -> None:
    """Refuse a target that the format does not allow, or that would be lost.

    Raises
    ------
    ExportError
        If the name has another ending, the target exists and `force` is not set, or it is
        something that an export must not replace.
    """
    if not form.is_folder and path.suffix != form.ending:
        raise ExportError(f"{form.title} output is {path}; allowed: a name ending in {form.ending}")
    for file in form.files(path):
        if not os.path.lexists(file):
            continue
        if not force:
            raise ExportError(f"{file} is already there; --force replaces it")
        if form.is_folder and not (file / "saved_model.pb").is_file():
            raise ExportError(f"{file} is there and is no SavedModel; --force replaces only those")
        if not form.is_folder and file.is_dir():
            raise ExportError(f"{file} is a folder; {form.title} output is a file")


@contextlib.contextmanager
def staging(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`, on the same file system; gone when this is left.

    It has the folders `NEW` and `OLD`. What killed runs left beside `path` is put right first.

    Raises
    ------
    ExportError
        If it cannot be made, or the system refuses something within.
    """
    try:
        _clear_up(path.parent)
        folder, descriptor = _locked_folder(path.parent)
    except OSError as error:
        raise ExportError(
            f"cannot write to {path.parent}: {error.strerror}; name another place with --out"
        ) from error
    try:
        for name in (NEW, OLD):
            (folder / name).mkdir()
        yield folder
    except OSError as error:
        raise ExportError(
            f"cannot write to {path.parent}: {error.strerror or error}; what was there is unchanged"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def _locked_folder(parent: Path) -> tuple[Path, int | None]:
    """A new folder, locked as long as this process lives or until the descriptor is closed."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        # Between these two steps another run can take it for a dead one's, and remove it.
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            descriptor = _lock(folder)
            if folder.is_dir():
                return folder, descriptor
            if descriptor is not None:
                os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the lock; None where nobody can lock.

    Raises
    ------
    BlockingIOError
        If somebody else holds it.
    OSError
        If the folder cannot be opened.
    """
    if sys.platform == "win32":
        return None
    descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None  # a file system without locks
    return descriptor


def _clear_up(parent: Path) -> None:
    """Remove the folders of runs that were killed; none of a process that lives is touched."""
    for folder in [item for item in parent.iterdir() if _STAGING.fullmatch(item.name)]:
        try:
            descriptor = _lock(folder)
        except OSError:
            continue
        if descriptor is None:
            continue
        try:
            # Where two folders cannot be exchanged, the old one is away for a moment.
            for item in (folder / OLD).iterdir() if (folder / OLD).is_dir() else ():
                if not os.path.lexists(parent / item.name):
                    os.replace(item, parent / item.name)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def place(staged: Sequence[Path], targets: Sequence[Path], aside: Path) -> None:
    """Give finished files or folders their names; what they replace is whole until it is gone.

    Parameters
    ----------
    staged, targets : sequence of pathlib.Path
        One file, one folder, or a ``.bin`` and its ``.xml``.
    aside : pathlib.Path
        A folder on the same file system for what is replaced or in between.

    Raises
    ------
    ExportError
        If the system refuses.
    """
    try:
        for item in staged:
            _sync_tree(item)
        if len(staged) == 1:
            _place_one(staged[0], targets[0], aside)
        elif all(map(os.path.lexists, targets)):
            replace_pair((staged[0], staged[1]), (targets[0], targets[1]))
        else:
            # Nobody reads half of a pair: that is opened last, so it comes last.
            for new, target in zip(staged, targets, strict=True):
                os.replace(new, target)
        _sync(targets[0].parent)
    except OSError as error:
        raise ExportError(
            f"cannot write {targets[-1]}: {error.strerror}; what is there is whole"
        ) from error


def _place_one(new: Path, target: Path, aside: Path) -> None:
    if new.is_file() or not os.path.lexists(target):
        os.replace(new, target)
    elif not _exchange(new, target):
        os.replace(target, aside / target.name)
        try:
            os.replace(new, target)
        except BaseException:
            os.replace(aside / target.name, target)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system cannot."""
    if sys.platform == "win32":
        return False
    library = ctypes.CDLL(None)
    first, second = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):  # Linux: AT_FDCWD, RENAME_EXCHANGE
        return bool(library.renameat2(-100, first, -100, second, 2) == 0)
    if hasattr(library, "renamex_np"):  # macOS: RENAME_SWAP
        return bool(library.renamex_np(first, second, 2) == 0)
    return False


def size(paths: Sequence[Path]) -> int:
    """Bytes of files, and of all files in folders."""
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return sum(file.stat().st_size for file in files if file.is_file())


def _sync_tree(path: Path) -> None:
    for item in (*path.rglob("*"), path):
        _sync(item)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
