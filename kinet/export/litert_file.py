"""LiteRT: one file with a ZIP archive at its end that holds ``kinet.json``.

This is how LiteRT packs associated files: the interpreter reads the model from the front and
does not look at what follows, a ZIP reader finds the archive from the end.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kinet.export import savedmodel_folder

METADATA = "kinet.json"


def write(network: Any, path: Path, description: str, scratch: Path) -> None:
    """Write the network, held by TensorFlow, and what it says of itself."""
    import tensorflow as tf

    folder = scratch / "savedmodel"
    savedmodel_folder.write_bare(network, folder)
    path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(METADATA, description)


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The file as a function from ``(B, T, 12)`` to ``(B, D)``."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    entry = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]

    def embed(batch: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(entry, batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry, batch)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(result))

    return embed


def read(path: Path) -> str:
    """What the file says of itself; empty if it is not one of kinet's."""
    if not zipfile.is_zipfile(path):
        return ""
    with zipfile.ZipFile(path) as archive:
        return archive.read(METADATA).decode() if METADATA in archive.namelist() else ""
