"""Model files: a Keras archive (``.keras``) whose model says what it is.

What Keras's own `save` writes of a network of kinet's is such a file too. Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from kinet.archive import CONFIG, DAMAGES, opened, text_of
from kinet.errors import CheckpointError, PluginError, first_line
from kinet.files import write_atomically
from kinet.metadata import Metadata
from kinet.plugins import REGISTRIES

T = TypeVar("T")

_OWN = "mulkinet"
_NETWORK = "kinet>Network"


def metadata_of(model: Any) -> Metadata:
    """What a network in memory says of itself.

    Raises
    ------
    CheckpointError
        If it is not a network of kinet's, or a copy that Keras made of its layers.
    """
    said = getattr(model, "metadata", None)
    if not isinstance(said, Metadata):
        name = getattr(model, "name", type(model).__name__)
        raise CheckpointError(
            f"the model {name!r} does not say what it is; allowed: what kinet.build, "
            "kinet.build_classifier or kinet.load gives"
        )
    return said


def save(model: Any, path: str | Path) -> None:
    """Write a model file in one step: the old one stays until the new one is complete.

    That is what Keras's own `save` lacks; the file is the same. That of a compiled model holds
    the state of its optimizer.

    Parameters
    ----------
    model : keras.Model
        An embedder or a classifier, from `kinet.build`, `kinet.build_classifier` or `kinet.load`.
    path : path
        The ``.keras`` file to create or replace; `kinet.load` and `keras.saving.load_model` open
        it.

    Raises
    ------
    CheckpointError
        If the file cannot be written, or the model is not one of kinet's.

    Examples
    --------
    >>> import kinet, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(kinet.build("simple", 1, channels=8, attention=()), f"{folder}/model.keras")
    ...     kinet.load(f"{folder}/model.keras").output_shape
    (None, 128)
    """
    metadata_of(model)

    def write(file: BinaryIO) -> None:
        with tempfile.TemporaryDirectory(prefix="kinet-") as folder:
            archive = Path(folder, "model.keras")
            model.save(archive)
            with archive.open("rb") as source:
                shutil.copyfileobj(source, file)

    try:
        write_atomically(path, write)
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise CheckpointError(
            f"cannot write {path}: {reason}; the previous file, if any, is unchanged"
        ) from error


def read_metadata(path: str | Path) -> Metadata:
    """What a model file says of itself, without loading Keras.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, not one of kinet's, or of a later format.
    """
    text = _member(Path(path), CONFIG, text_of)
    try:
        config = json.loads(text)
        name, said = config["registered_name"], config["config"].get("metadata")
    except DAMAGES as error:
        raise CheckpointError(
            f"{path} has an unreadable {CONFIG} ({first_line(error)}); expected that of a .keras "
            "file"
        ) from error
    if name != _NETWORK or not said:
        raise CheckpointError(
            f"{path} holds a {name or config.get('class_name')} that does not say what it is; "
            "expected a network of kinet's; keras.saving.load_model opens others"
        )
    try:
        return Metadata.from_dict(said)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def load_model(path: str | Path) -> tuple[Any, Metadata]:
    """Load the network of a model file as it was saved, and what the file says of itself.

    The code of a plug-in is needed only if it defines layers of its own.

    Returns
    -------
    model : keras.Model
        The classifier, or the embedder where it was trained without one; not compiled.
    metadata : Metadata

    Raises
    ------
    CheckpointError
        If the file cannot be loaded, with what to do if a plug-in is missing.
    """
    metadata = read_metadata(path)
    from kinet.loading import load_network

    foreign = any(use.distribution != _OWN for use in metadata.plugins)
    try:
        return load_network(Path(path), _packages(metadata), foreign), metadata
    except DAMAGES as error:
        _require_plugins(path, metadata, error)
        try:
            _register_plugin_layers(metadata)
            return load_network(Path(path), _packages(metadata), foreign), metadata
        except DAMAGES as again:
            raise _cannot_load(path, metadata, again) from again


def restore(path: str | Path, model: Any) -> None:
    """Give a compiled model the weights and the state of the optimizer that a file holds.

    Parameters
    ----------
    path : path
        A model file that `save` wrote of a compiled model.
    model : keras.Model
        Built and compiled from the same settings.

    Raises
    ------
    CheckpointError
        If the file cannot be read or does not fit.
    """
    from kinet.loading import load_weights

    with warnings.catch_warnings():
        # Of an optimizer that does not fit Keras only warns.
        warnings.filterwarnings("error", "Skipping variable loading for optimizer")
        try:
            load_weights(Path(path), model)
        except (*DAMAGES, UserWarning) as error:
            raise _cannot_load(path, read_metadata(path), error) from error


def _cannot_load(path: str | Path, metadata: Metadata, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be loaded ({first_line(error)}); it was written by kinet {metadata.kinet}"
    )


def _packages(metadata: Metadata) -> set[str]:
    """The packages of the plug-ins that a file names, as far as they are here."""
    found = set()
    for use in metadata.plugins:
        with contextlib.suppress(PluginError):
            if use.kind != "loss" and use.distribution != _OWN:
                build = inspect.unwrap(REGISTRIES[use.kind].get(use.name).build)
                found.add(getattr(build, "func", build).__module__.split(".")[0])
    return found


def _require_plugins(path: str | Path, metadata: Metadata, error: Exception) -> None:
    for use in metadata.plugins:
        if use.kind == "loss":
            continue
        try:
            REGISTRIES[use.kind].get(use.name)
        except PluginError as missing:
            raise CheckpointError(
                f"{path} needs the {use.kind} {use.name!r} of {use.origin}, whose layers are not "
                f"here; {use.how_to_get_it()} ({missing})"
            ) from error


def _register_plugin_layers(metadata: Metadata) -> None:
    """Build the model once: a plug-in may import its layers only then."""
    from kinet.model import build_embedder, shapes_without_memory

    shapes_without_memory(lambda: build_embedder(metadata.model))


def _member(path: Path, name: str, read: Callable[[zipfile.ZipFile, str], T]) -> T:
    if not os.path.isfile(path):
        raise CheckpointError(f"no model file {path}; expected a .keras file that kinet wrote")
    try:
        with opened(path) as archive:
            if name in archive.namelist():
                return read(archive, name)
    except DAMAGES as error:
        raise CheckpointError(
            f"{path} is damaged or not a model file ({first_line(error)}); "
            "expected a .keras file that kinet wrote; kinet convert reads the original's .h5 files"
        ) from error
    raise CheckpointError(f"{path} has no {name}: expected a .keras file that kinet wrote")
