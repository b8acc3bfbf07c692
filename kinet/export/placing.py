"""Put a finished export in place: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from kinet.errors import ExportError
from kinet.export.formats import FULL_PRECISION, Format


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

    Raises
    ------
    ExportError
        If it cannot be made.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=".kinet-export-", dir=path.parent))
    except OSError as error:
        raise ExportError(
            f"cannot write to {path.parent}: {error.strerror}; name another place with --out"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place(staged: Sequence[Path], targets: Sequence[Path], aside: Path) -> None:
    """Give finished files or folders their names; what they replace goes to `aside`.

    On failure everything that was there is back.

    Raises
    ------
    ExportError
        If the system refuses.
    """
    try:
        for item in staged:
            _sync_tree(item)
        if len(staged) == 1 and staged[0].is_file():
            os.replace(staged[0], targets[0])  # one step: nobody sees the name without a file
        else:
            _swap(staged, targets, aside)
        _sync(targets[0].parent)
    except OSError as error:
        raise ExportError(
            f"cannot write {targets[-1]}: {error.strerror}; what was there is unchanged"
        ) from error


def _swap(staged: Sequence[Path], targets: Sequence[Path], aside: Path) -> None:
    """Move the old away and the new in.

    A reader opens the last target first, so that goes first and comes last.
    """
    undo: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        os.replace(source, target)
        undo.append((target, source))

    try:
        for target in reversed(targets):
            if os.path.lexists(target):
                move(target, aside / target.name)
        for new, target in zip(staged, targets, strict=True):
            move(new, target)
    except BaseException:
        for now, before in reversed(undo):
            os.replace(now, before)
        raise


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
