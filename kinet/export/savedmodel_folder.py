"""TensorFlow SavedModel: a folder; what it says of itself is in ``assets.extra/kinet.json``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# The place that TensorFlow keeps for what users add.
METADATA = Path("assets.extra", "kinet.json")


def write(network: Any, path: Path, description: str, scratch: Path) -> None:
    """Write the network, held by TensorFlow, and what it says of itself."""
    write_bare(network, path)
    file = path / METADATA
    file.parent.mkdir(exist_ok=True)
    file.write_text(description)


def write_bare(network: Any, path: Path) -> None:
    """Write the network alone, for converters to read."""
    network.export(str(path), format="tf_saved_model", verbose=False)


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The folder as a function from ``(B, T, 12)`` to ``(B, D)``."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return lambda batch: np.asarray(loaded.serve(batch))


def read(path: Path) -> str:
    """What the folder says of itself; empty if it is not one of kinet's."""
    file = path / METADATA
    return file.read_text() if file.is_file() else ""
