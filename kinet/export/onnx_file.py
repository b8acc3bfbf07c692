"""ONNX: one file; what it says of itself is in its ``metadata_props``, under ``kinet``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kinet.config import PITCH_CLASSES
from kinet.embeddings import Embedder, as_embedder
from kinet.export import torch_onnx

KEY = "kinet"


def write(network: Any, path: Path, description: str, scratch: Path) -> None:
    """Write the network as it is held by the running backend, and what it says of itself."""
    import keras
    import onnx

    raw, embedder = scratch / "raw.onnx", as_embedder(network)
    if keras.config.backend() == "tensorflow":
        # Keras refuses to write ONNX from a model that was never called since it was loaded.
        network.predict_on_batch(np.zeros((1, embedder.vectors, PITCH_CLASSES), np.float32))
        network.export(str(raw), format="onnx", verbose=False)
    else:
        torch_onnx.write(network, raw)
    model = onnx.load(raw)
    _name_axes(model, embedder)
    model.metadata_props.add(key=KEY, value=description)
    onnx.save(model, path)


def _name_axes(model: Any, embedder: Embedder) -> None:
    """Names that people can read: ``hpcp`` (batch, T, 12) and ``embedding`` (batch, D)."""
    from onnx.tools.update_model_dims import update_inputs_outputs_dims

    old = model.graph.output[0].name
    for node in model.graph.node:
        node.input[:] = ["embedding" if name == old else name for name in node.input]
        node.output[:] = ["embedding" if name == old else name for name in node.output]
    model.graph.output[0].name = "embedding"
    vectors = embedder.fixed_vectors or "T"
    update_inputs_outputs_dims(
        model,
        {model.graph.input[0].name: ["batch", vectors, PITCH_CLASSES]},
        {"embedding": ["batch", embedder.size]},
    )


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The file as a function from ``(B, T, 12)`` to ``(B, D)``."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: np.asarray(session.run(None, {name: batch})[0])


def read(path: Path) -> str:
    """What the file says of itself; empty if it is not one of kinet's."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base class of their own
        raise ValueError(str(error).splitlines()[0]) from error
    return str(session.get_modelmeta().custom_metadata_map.get(KEY, ""))
