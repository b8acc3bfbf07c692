"""All kinds of plug-ins, and the files of a user's that register some."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kinet import attention, blocks, datasets, losses
from kinet.config import ModelConfig
from kinet.errors import KinetError, PluginError, first_line
from kinet.metadata import PluginUse
from kinet.registry import Registry, printing_to_stderr

REGISTRIES: dict[str, Registry[Any]] = {
    registry.kind: registry
    for registry in (blocks.registry, attention.registry, losses.registry, datasets.registry)
}
_imported: dict[Path, None] = {}


def plugins_of(model: ModelConfig, losses: Iterable[str] = ()) -> tuple[PluginUse, ...]:
    """Block, attention modules and losses of a network, with where they come from.

    Raises
    ------
    PluginError
        If a name is unknown or claimed by two distributions.

    Examples
    --------
    >>> [use.name for use in plugins_of(ModelConfig.original(), ["softmax"])]
    ['wider', 'channel', 'temporal', 'softmax']
    """
    names = [("block", model.block), *(("attention", name) for name in model.attention)]
    names += [("loss", name) for name in losses]
    return tuple(PluginUse.of(kind, name, REGISTRIES[kind].origin(name)) for kind, name in names)


def import_file(file: str | os.PathLike[str]) -> None:
    """Import a Python file that registers plug-ins, as ``kinet train --plugin FILE.py`` does.

    It is imported by its name, as ``import`` would do it where the file lies, and once; modules
    beside it can be imported by it. What it prints goes to stderr.

    Parameters
    ----------
    file : path
        Of a file of one's own: it is run.

    Raises
    ------
    PluginError
        If it cannot be imported, or nothing of it is registered.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> source = (
    ...     "from kinet.blocks import Block, register\\n"
    ...     "register(Block('example', 'one convolution', lambda x, stage: stage.conv(x)))"
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "example_block.py")
    ...     _ = path.write_text(source)
    ...     import_file(path)
    >>> blocks.registry.get("example").description
    'one convolution'
    >>> blocks.registry.unregister("example")
    """
    # Before it is resolved: a link that leads to itself cannot be.
    path = Path(file)
    if not os.path.isfile(path) or path.resolve().suffix != ".py":
        raise PluginError(f"no plug-in file {file}; need a Python file, NAME.py")
    path = path.resolve()
    if not _is_loaded(path):
        _require_own_name(path)
        before = _registered()
        _import(path)
        if _registered() == before:
            raise PluginError(
                f"{file} registers nothing; it must call kinet.blocks.register(block), or that of "
                "kinet.attention, kinet.losses or kinet.datasets"
            )
    _imported[path] = None


def imported_files() -> list[Path]:
    """What `import_file` has imported, in that order."""
    return list(_imported)


def files_of(uses: Iterable[PluginUse]) -> list[Path]:
    """The imported files that a network's plug-ins came from, for a process that loads it too."""
    names = {use.file for use in uses}
    return [path for path in _imported if path.name in names]


def _registered() -> list[tuple[str, str]]:
    return [(kind, name) for kind, known in REGISTRIES.items() for name in known.registered_names()]


def _is_loaded(path: Path) -> bool:
    files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
    return any(file.endswith(path.name) and Path(file).resolve() == path for file in files)


def _require_own_name(path: Path) -> None:
    """Make `path` importable by its name, if that is the name of no other module."""
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # at the end: what lies there hides nothing
    importlib.invalidate_caches()
    other = None
    if path.stem in sys.modules:
        other = getattr(sys.modules[path.stem], "__file__", None) or "Python"
    elif "." not in path.stem:
        spec = importlib.util.find_spec(path.stem)
        if spec and spec.origin and Path(spec.origin).resolve() == path:
            return
        other = spec.origin if spec else None
    raise PluginError(
        f"{path} cannot be imported by its name: "
        + (f"{path.stem} is {other}; rename it" if other else "need letters, digits and _")
    )


def _import(path: Path) -> None:
    try:
        with printing_to_stderr():
            importlib.import_module(path.stem)
    except KinetError as error:
        raise PluginError(f"{_where(path, error)}: {error}") from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"{_where(path, error)}: {first_line(error)}") from error


def _where(path: Path, error: BaseException) -> str:
    """The file, and the line of it that an error came through."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    return f"{path}, line {lines[-1]}" if lines else str(path)
