"""The network as converters need it, in float32, and what it is compared on."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import numpy as np

from kinet.embeddings import Embedder, as_embedder
from kinet.export.formats import FULL_PRECISION
from kinet.export.sample import compose

FORMAT = 1


def dynamic_axes(embedder: Embedder) -> tuple[str, ...]:
    """``("batch",)`` or ``("batch", "T")``."""
    return ("batch", "T") if embedder.fixed_vectors is None else ("batch",)


def sample_batches(embedder: Embedder) -> list[np.ndarray]:
    """Made-up HPCP ``(B, T, 12)`` of several batch sizes and, where it may vary, several T."""
    least, usual = embedder.minimum_vectors, embedder.vectors
    shapes = [(8, usual), (1, usual)]
    if embedder.fixed_vectors is None:
        shapes.append((2, least if least < usual else usual + 17))
    return compose(shapes)


def load_network(model_file: Path, precision: str = FULL_PRECISION) -> tuple[Any, str]:
    """The embedder of a model file in float32, and the JSON that an exported file says of itself.

    Parameters
    ----------
    model_file : pathlib.Path
        A ``.keras`` file.
    precision : str
        In which the exported file is to compute.

    Raises
    ------
    CheckpointError
        If the file cannot be loaded.
    """
    from kinet.checkpoint import load_model
    from kinet.network import embedder_of

    loaded, metadata = load_model(model_file)
    model = as_float32(embedder_of(loaded))
    embedder = as_embedder(model)
    own = metadata.to_dict()
    description = {
        "format": FORMAT,
        "kinet": importlib.metadata.version("mulkinet"),
        "trained_with_kinet": own["kinet"],
        "input": {
            "name": "hpcp",
            "axes": ["batch", "T", "pitch class"],
            "dynamic": list(dynamic_axes(embedder)),
            "vectors": embedder.vectors,
            "minimum_vectors": embedder.minimum_vectors,
        },
        "output": {"axes": ["batch", "embedding"], "size": embedder.size},
        "precision": precision,
        **{name: own[name] for name in ("model", "features", "fingerprint", "plugins")},
    }
    return model, json.dumps(description)


def as_float32(model: Any) -> Any:
    """The same weights in a model that computes in float32; `model` itself if it already does.

    A model trained in mixed precision is exported, and compared, in float32: no format has the
    policies of Keras.
    """
    from keras import ops

    from kinet.inference.graph import Chain, rewrite

    if all(layer.dtype_policy.name == "float32" for layer in model.layers):
        return model

    def in_float32(layer: Any) -> Chain:
        own = type(layer).from_config({**layer.get_config(), "dtype": "float32"})
        return [(own, [ops.convert_to_numpy(ops.cast(w, "float32")) for w in layer.weights])]

    return rewrite(model, in_float32)
