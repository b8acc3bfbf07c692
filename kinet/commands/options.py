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
from kinet.cluster import Cluster
from kinet.data.tracks import Track, present, read_tracks
from kinet.errors import BackendError, DataError, SettingsError
from kinet.files import writing_to
from kinet.peers import ALONE, Place
from kinet.plugins import import_file
from kinet.remote import AnyPath, Url, is_there, path_or_url

# As the original code has them, and as kinet extract and kinet split are used without its layout.
DATA_DIR, OWN_DATA_DIR = Path("data/youtube_hpcp_npy"), Path("data")
META = Path("meta")
ORIGINAL_LISTS = "SHS100K"

_PARTS = {"TRAIN": "training", "VAL": "validation", "TEST": "test"}

F = TypeVar("F", bound=Callable[..., Any])

_IMPORTS_KERAS = re.compile(r"^\s*(?:import|from)\s+keras\b", re.MULTILINE)


class _Anywhere(click.Path):
    """A path of this machine, or an address in an object store.

    An empty one, as of a variable that is not set, would be the folder one stands in.
    """

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The path, or the address."""
        if not os.fspath(value):
            self.fail("an empty path; need the name of a file or a folder", param, ctx)
        try:
            place = path_or_url(os.fspath(value))
        except DataError as error:
            self.fail(str(error), param, ctx)
        return place if isinstance(place, Url) else Path(str(super().convert(place, param, ctx)))


class OfThisMachine(_Anywhere):
    """A path of this machine; it would else be taken for that of a folder named ``s3:``."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The path."""
        path = super().convert(value, param, ctx)
        if isinstance(path, Url):
            self.fail(f"{path} is in an object store; need a path of this machine.", param, ctx)
        return path


path_type, path_or_url_type = OfThisMachine(), _Anywhere()


def data_option(command: F) -> F:
    """``--data-dir``."""
    return _data_option(path_type)(command)


def data_or_url_option(command: F) -> F:
    """``--data-dir``, which can be in an object store."""
    return _data_option(path_or_url_type)(command)


def _data_option(kind: click.Path) -> Callable[[F], F]:
    return click.option(
        "--data-dir",
        type=kind,
        callback=lambda _, __, given: given or default_data_dir(),
        help="Folder of <song>_<version>.npy files, HPCP (T, 12), or a file of kinet pack.  "
        f"[default: {DATA_DIR}, or {OWN_DATA_DIR}]",
    )


def default_data_dir() -> Path:
    """Where features are looked for: as in the original's layout, or as one would name it."""
    own = OWN_DATA_DIR.is_dir() and not DATA_DIR.exists()
    return OWN_DATA_DIR if own else DATA_DIR


def default_list(part: str) -> Path:
    """Where the list of a part, such as TRAIN, is looked for: the only one in `META`, if there is.

    The original's, whether it is there or not, where it is there or others are none or several.
    """
    original = META / f"{ORIGINAL_LISTS}-{part}"
    found = _lists(part)
    return found[0] if len(found) == 1 else original


def _lists(part: str) -> list[Path]:
    return sorted(META.glob(f"*-{part}"))


def list_option(part: str, *names: str) -> Callable[[F], F]:
    """An option for the list of a part, such as TRAIN."""
    return click.option(
        *names,
        type=path_type,
        callback=lambda _, __, given: given or default_list(part),
        help=f"The {_PARTS[part]} list.  [default: the {META}/*-{part}]",
    )


def workers_options(command: F) -> F:
    """``--workers`` and ``--cluster``; the command gets ``workers``, or None."""

    @functools.wraps(command)
    def with_workers(*args: Any, workers: int | None, cluster: str | None, **rest: Any) -> Any:
        if workers is not None and cluster is not None:
            raise click.UsageError("--workers are of this machine; give them or --cluster.")
        try:
            who = workers if cluster is None else Cluster(cluster)
        except SettingsError as error:
            raise click.UsageError(f"--cluster: {error}.") from error
        return command(*args, workers=who, **rest)

    with_workers = click.option(
        "--cluster",
        metavar="ADDRESS",
        help="The workers of a Dask cluster, by the address of its scheduler, tcp://host:port, in "
        "place of processes of this machine. They see the same files under the same paths.",
    )(with_workers)
    return click.option(
        "--workers", type=click.IntRange(1), help="Processes; by default one for every core."
    )(with_workers)  # type: ignore[return-value]


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


def start_backend(backend: str | None, gpu: str | None, place: Place = ALONE) -> int:
    """Choose backend and GPUs, and meet the other processes of `place`.

    Returns over how many devices of this process a batch is spread.
    """
    numbers = select_gpus(gpu)
    choose(backend)
    import_quietly()
    if place.others:
        from kinet.backend.several import join

        join(place)
    check_gpus(numbers)
    return max(1, len(numbers or ()))


def require_target(path: AnyPath, force: bool, instead: str = "--force replaces it") -> None:
    """Refuse a place where no file can be written, before any work is done for it.

    In an object store that is seen when it is written.

    Raises
    ------
    DataError
        If the path names no file, its folder is not there or closed, or a file is there already.
    """
    if isinstance(path, Url):
        with writing_to(path):
            is_taken = path.exists() and not force
        if is_taken:
            raise DataError(f"{path} is there already; {instead}")
        return
    if not path.name or path.is_dir():
        raise DataError(f"{str(path)!r} is a folder; need the path of a file to write")
    if not path.parent.is_dir():
        raise DataError(f"{path} cannot be written: no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK):
        raise DataError(f"{path} cannot be written: the folder {path.parent} is closed to you")
    if path.exists() and not force:
        raise DataError(f"{path} is there already; {instead}")


def require_layout(list_file: AnyPath) -> None:
    """Explain the documented layout where a list of it is not there.

    Raises
    ------
    DataError
        If `list_file` is a default one and is missing.
    """
    name, _, part = list_file.name.partition("-")
    is_default = (list_file.parent, name) == (META, ORIGINAL_LISTS)
    if not is_default or is_there(list_file):
        return
    several = ", ".join(map(str, _lists(part)))
    if several:
        raise DataError(f"no list was named, and there are several: {several}; name one of them")
    raise DataError(
        f"no list {list_file} here; the default layout is {META}/<name>-TRAIN, -VAL and -TEST, as "
        f"kinet split LIST --out {META} writes them (lines '<song> <version>'), with "
        f"<song>_<version>.npy in {DATA_DIR} or {OWN_DATA_DIR}. Name your own lists and "
        "--data-dir, or let kinet quickstart --train write a small corpus"
    )


def read_complete_list(list_file: AnyPath, data_dir: Path) -> list[Track]:
    """The tracks of a list, each with a usable file.

    Raises
    ------
    DataError
        If list or files cannot be used, or a file is missing.
    """
    require_layout(list_file)
    there, missing = present(read_tracks(list_file, data_dir))
    if missing:
        raise DataError(
            f"{len(missing)} of {len(there) + len(missing)} feature files of {list_file} are "
            f"missing, first {missing[0].path}; kinet check lists them all"
        )
    return there
