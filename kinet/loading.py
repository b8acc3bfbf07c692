"""The network of a model file, loaded when all that the file claims has been held against it."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

import keras
import numpy as np

import kinet.layers  # noqa: F401 - registers the layers
from kinet.archive import CONFIG, check_arrays, check_network, opened, stored_bytes, text_of
from kinet.model import shapes_without_memory

# Of a weight: nothing is kept in less than half precision.
_LEAST_BYTES = 2


def load_network(path: Path, packages: Collection[str], foreign: bool) -> keras.Model:
    """Load a network as it was saved, not compiled.

    Parameters
    ----------
    path : pathlib.Path
        A model file.
    packages, foreign
        As of `kinet.archive.check_network`.

    Raises
    ------
    ValueError, or another of kinet.archive.DAMAGES
        If the file is damaged, asks for what a model file may not, or has weights that are not
        finite.
    """
    with opened(path) as archive:
        check_network(archive, packages, foreign)
        _check_memory(archive)
    with _under_a_name_for_keras(path) as copy:
        model = keras.saving.load_model(copy, compile=False, safe_mode=True)
    _check_finite(model)
    return model


def load_weights(path: Path, model: keras.Model) -> None:
    """Give a model the weights of a file, and its optimizer the state.

    Raises
    ------
    ValueError, or another of kinet.archive.DAMAGES
        As `load_network`, or if they do not fit.
    """
    with opened(path) as archive:
        check_arrays(archive)
    with _under_a_name_for_keras(path) as copy:
        model.load_weights(copy)
    with warnings.catch_warnings():
        # Of Keras under NumPy 2, where the caller takes warnings for errors.
        warnings.simplefilter("ignore", DeprecationWarning)
        _check_finite(model)


@contextlib.contextmanager
def _under_a_name_for_keras(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kinet-") as folder:
        copy = Path(folder, "model.keras")
        shutil.copyfile(path, copy)
        yield copy


def _check_memory(archive: zipfile.ZipFile) -> None:
    """Weights that are built must be in the file: else a line of text can fill the memory."""
    config = {**json.loads(text_of(archive, CONFIG)), "compile_config": None}
    shapes = shapes_without_memory(
        lambda: keras.saving.deserialize_keras_object(config, safe_mode=True)
    )
    claimed = _LEAST_BYTES * sum(math.prod(shape) for all_ in shapes.values() for shape in all_)
    if claimed > stored_bytes(archive):
        raise ValueError(
            f"its layers have weights of at least {claimed} bytes, the file has "
            f"{stored_bytes(archive)}"
        )


def _check_finite(model: keras.Model) -> None:
    for layer in model.layers:
        for weight in layer.weights:
            values = keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32"))
            if not np.isfinite(values).all():
                raise ValueError(f"layer {layer.name} has weights that are not finite numbers")
