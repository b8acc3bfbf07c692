"""A model file before anything in it is unpacked: its members, their sizes, what it asks for.

The central directory of a ZIP archive stands at its end and costs nothing to read. What Keras
and kinet write is a handful of members, stored as they are; anything else is refused there, so
that no file takes more memory than it has bytes.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import h5py

from kinet.hdf5 import READING_ERRORS, checked_arrays

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = ("metadata.json", CONFIG, WEIGHTS)
# The layers of wider with S = 12 and two attention modules take 0.11 MB, 10,000 songs 0.1 MB, an
# epoch of the history 0.2 kB.
MAXIMUM_JSON = 16 * 2**20
# The family nests 7 deep; Keras reads a nested model by recursion.
MAXIMUM_DEPTH = 40
# The largest of the family has about 200.
MAXIMUM_LAYERS = 2000
# Everything that damaged archives, JSON and HDF5 make their readers raise.
DAMAGES = (*READING_ERRORS, zipfile.BadZipFile, zipfile.LargeZipFile)

_FAMILY = ("keras", "keras.layers", "keras.initializers", "keras.regularizers")
_FUNCTIONAL = ("keras.src.models.functional", "Functional")
# What Keras writes besides classes, with no module: values.
_VALUES = ("__keras_tensor__", "__tensor__", "__numpy__", "__slice__", "__ellipsis__", "__bytes__")
# Layers that run what a file holds or names: code, other files, a function by its name.
_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, if its directory is that of a model file.

    Raises
    ------
    ValueError, or another of DAMAGES
        If it is none, with what is wrong in one line.
    """
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        with zipfile.ZipFile(file) as archive:
            _check_directory(archive.infolist(), size)
            yield archive


def _check_directory(members: list[zipfile.ZipInfo], size: int) -> None:
    names = [member.filename for member in members]
    odd = [name for name in names if name not in MEMBERS]
    odd += [name for name in MEMBERS if names.count(name) > 1]
    if odd:
        raise ValueError(f"member {odd[0][:100]!r}; allowed: once each {', '.join(MEMBERS)}")
    for member in members:
        name = member.filename[:100]
        if member.flag_bits & 1:
            raise ValueError(f"{name!r} is encrypted; allowed: members as they are")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(
                f"{name!r} is compressed, {member.compress_size} bytes to {member.file_size}; "
                "allowed: members as they are, which is how kinet writes them"
            )
    claimed = sum(member.file_size for member in members)
    if claimed > size:
        raise ValueError(f"its members claim {claimed} bytes, the file has {size}")


def text_of(archive: zipfile.ZipFile, name: str) -> str:
    """A member that is JSON.

    Raises
    ------
    KeyError
        If there is none of this name.
    ValueError
        If it is longer than any model needs, or no UTF-8.
    """
    size = archive.getinfo(name).file_size
    if size > MAXIMUM_JSON:
        raise ValueError(f"{name} has {size} bytes; allowed: up to {MAXIMUM_JSON}")
    return archive.read(name).decode()


def check_network(archive: zipfile.ZipFile, packages: Collection[str], foreign: bool) -> None:
    """Look through what Keras will be asked to build, and the arrays that it will fill.

    Parameters
    ----------
    archive : zipfile.ZipFile
        From `opened`.
    packages : collection of str
        Top-level packages of the plug-ins that the file names and that are installed.
    foreign : bool
        Whether it names plug-ins that are not kinet's own, which may use any layer of Keras.

    Raises
    ------
    ValueError, or another of DAMAGES
        If it asks for a class of elsewhere, or is larger or deeper than any model.
    """
    layers = 0
    network = json.loads(text_of(archive, CONFIG))
    # Optimizer and loss are not built, and what a network says of itself is no part of it.
    layers_of = {**network["config"], "metadata": None}
    bare = {**network, "compile_config": None, "config": layers_of}
    waiting: list[tuple[Any, int]] = [(bare, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAXIMUM_DEPTH:
            raise ValueError(f"{CONFIG} is nested more than {MAXIMUM_DEPTH} deep")
        if isinstance(value, dict):
            if "class_name" in value:
                _check_class(value, packages, foreign)
            layers += "inbound_nodes" in value
            waiting += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, list):
            waiting += [(item, depth + 1) for item in value]
    if layers > MAXIMUM_LAYERS:
        raise ValueError(f"{CONFIG} has {layers} layers; allowed: up to {MAXIMUM_LAYERS}")
    check_arrays(archive)


def check_arrays(archive: zipfile.ZipFile) -> None:
    """Look through the arrays of the weights, and of the optimizer where there is one.

    Raises
    ------
    ValueError, or another of DAMAGES
        If the archive is damaged, or they are not what `kinet.hdf5` allows.
    """
    damaged = archive.testzip()
    if damaged:  # Keras reads the weights without looking at their checksum
        raise zipfile.BadZipFile(f"{damaged} is damaged")
    with archive.open(WEIGHTS) as member, h5py.File(member) as file:
        checked_arrays(file, stored_bytes(archive))


def _check_class(value: dict[str, Any], packages: Collection[str], foreign: bool) -> None:
    module, name = value.get("module"), value["class_name"]
    registered = value.get("registered_name")
    if module is None and name in _VALUES:
        return
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError(f"{CONFIG} asks for class {name!r} of module {module!r}")
    package = module.split(".")[0]
    if package == "keras":
        known = foreign or module in _FAMILY or (module, name) == _FUNCTIONAL
        # Keras looks for the registered name first, wherever it leads.
        if known and name not in _CODE and registered in (None, name):
            return
    elif package == "kinet":
        if registered == f"kinet>{name}":
            return
    elif package in packages:
        return
    raise ValueError(
        f"{CONFIG} asks for {module}.{name}, registered as {registered!r}; allowed: layers of "
        "Keras that the family has, kinet's own, and those of the plug-ins that the file names"
    )


def stored_bytes(archive: zipfile.ZipFile) -> int:
    """Bytes of the member with the weights."""
    return archive.getinfo(WEIGHTS).file_size
