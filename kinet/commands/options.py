"""Options and steps that several commands share."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from kinet.backend import BACKENDS, check_gpus, choose, import_quietly, select_gpus
from kinet.data.tracks import Track, present, read_tracks
from kinet.errors import BackendError, DataError
from kinet.plugins import import_file

DATA_DIR = "data/youtube_hpcp_npy"
TRAIN_LIST = "meta/SHS100K-TRAIN"
VALIDATION_LIST = "meta/SHS100K-VAL"
TEST_LIST = "meta/SHS100K-TEST"

F = TypeVar("F", bound=Callable[..., Any])

_IMPORTS_KERAS = re.compile(r"^\s*(?:import|from)\s+keras\b", re.MULTILINE)

path_type = click.Path(path_type=Path)


def data_option(command: F) -> F:
    """``--data-dir``."""
    return click.option(
        "--data-dir",
        type=path_type,
        default=DATA_DIR,
        help="Folder of <song>_<version>.npy files, HPCP (T, 12), or a file of kinet pack.",
    )(command)


def engine_options(command: F) -> F:
    """``--backend`` and ``--gpu``."""
    command = click.option(
        "--gpu",
        metavar="N[,N...]|none",
        help="GPUs to use; several share each batch. By default what the backend finds.",
    )(command)
    return click.option(
        "--backend",
        type=click.Choice(BACKENDS),
        help="By default $KERAS_BACKEND, or the first that is installed.",
    )(command)


def plugin_option(command: F) -> F:
    """``--plugin``: its files are imported before the command begins."""

    @functools.wraps(command)
    def with_plugins(*args: Any, plugin: tuple[Path, ...], **options: Any) -> Any:
        if plugin:
            _prepare_keras(plugin, **options)
        for file in plugin:
            import_file(file)
        return command(*args, **options)

    return click.option(
        "--plugin",
        metavar="FILE.py",
        type=path_type,
        multiple=True,
        help="A Python file of your own that registers plug-ins; it is run.",
    )(with_plugins)  # type: ignore[return-value]


def _prepare_keras(
    files: Sequence[Path], gpu: str | None = None, backend: str | None = None, **_: Any
) -> None:
    """Settle the backend for files that import Keras; of a command without one, if there is one."""
    select_gpus(gpu)
    try:
        choose(backend)
    except BackendError:
        if backend is not None:
            raise
        return  # it is missed where it is needed
    texts = [file.read_text(errors="replace") for file in files if file.is_file()]
    if any(map(_IMPORTS_KERAS.search, texts)):
        import_quietly()


def start_backend(backend: str | None, gpu: str | None) -> int:
    """Choose backend and GPUs; returns over how many devices a batch is spread."""
    numbers = select_gpus(gpu)
    choose(backend)
    import_quietly()
    check_gpus(numbers)
    return max(1, len(numbers or ()))


def require_target(path: Path, force: bool, instead: str = "--force replaces it") -> None:
    """Refuse a place where no file can be written, before any work is done for it.

    Raises
    ------
    DataError
        If the path names no file, its folder is not there or closed, or a file is there already.
    """
    if not path.name or path.is_dir():
        raise DataError(f"{str(path)!r} is a folder; need the path of a file to write")
    if not path.parent.is_dir():
        raise DataError(f"{path} cannot be written: no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK):
        raise DataError(f"{path} cannot be written: the folder {path.parent} is closed to you")
    if path.exists() and not force:
        raise DataError(f"{path} is there already; {instead}")


def require_layout(list_file: Path, default: str) -> None:
    """Explain the documented layout where its default list is not there.

    Raises
    ------
    DataError
        If `list_file` is the default one and is missing.
    """
    if list_file == Path(default) and not list_file.exists():
        raise DataError(
            f"no list {default} here; the default layout is {TRAIN_LIST}, {VALIDATION_LIST} and "
            f"{TEST_LIST} (lines '<song> <version>') with {DATA_DIR}/<song>_<version>.npy. Name "
            "your own lists and --data-dir, or let kinet quickstart write a small corpus"
        )


def read_complete_list(list_file: Path, default: str, data_dir: Path) -> list[Track]:
    """The tracks of a list, each with a usable file.

    Raises
    ------
    DataError
        If list or files cannot be used, or a file is missing.
    """
    require_layout(list_file, default)
    there, missing = present(read_tracks(list_file, data_dir))
    if missing:
        raise DataError(
            f"{len(missing)} of {len(there) + len(missing)} feature files of {list_file} are "
            f"missing, first {missing[0].path}; kinet check lists them all"
        )
    return there
