"""The network as a converter and the comparison need it: in float32, with its sizes at hand."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinet.config import PITCH_CLASSES
from kinet.export.formats import FULL_PRECISION

FORMAT = 1


@dataclass(frozen=True)
class Network:
    """An embedder in float32.

    Attributes
    ----------
    model : keras.Model
        From ``(B, T, 12)`` to unit rows ``(B, D)``.
    fixed_vectors : int or None
        The only T that it takes; None if it takes any from `minimum_vectors`.
    minimum_vectors, vectors : int
        The least T, and the T that it was trained for.
    """

    model: Any
    fixed_vectors: int | None
    minimum_vectors: int
    vectors: int

    @property
    def dynamic_axes(self) -> tuple[str, ...]:
        """``("batch",)`` or ``("batch", "T")``."""
        return ("batch",) if self.fixed_vectors else ("batch", "T")

    def batches(self) -> list[np.ndarray]:
        """Random HPCP ``(B, T, 12)`` of several batch sizes and, where it may vary, several T.

        Drawn from dense to sparse: among equally dense inputs the embeddings of many models
        hardly differ, and a comparison of these would show little.
        """
        shapes = [(4, self.vectors), (1, self.vectors)]
        if self.fixed_vectors is None:
            other = (
                self.minimum_vectors if self.minimum_vectors < self.vectors else self.vectors + 17
            )
            shapes.append((2, other))
        rng = np.random.default_rng(0)
        return [
            (
                rng.random((count, vectors, PITCH_CLASSES))
                ** (2.0 ** np.arange(count)[:, None, None])
            ).astype(np.float32)
            for count, vectors in shapes
        ]

    def folded(self) -> Network:
        """The same network as it is written: with less to compute."""
        from kinet.inference.folding import inference_model

        return dataclasses.replace(self, model=inference_model(self.model))

    def run(self, batches: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Embed batches with the model itself."""
        return [np.asarray(self.model.predict_on_batch(batch)) for batch in batches]


def load_network(model_file: Path, precision: str = FULL_PRECISION) -> tuple[Network, str]:
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
    from kinet.layers import PitchRows
    from kinet.model import embedder_of

    loaded, metadata = load_model(model_file)
    model = as_float32(embedder_of(loaded))
    rows = next(layer for layer in model.layers if isinstance(layer, PitchRows))
    fixed = model.input_shape[1]
    network = Network(model, fixed, fixed or rows.minimum_vectors, fixed or rows.vectors)
    own = json.loads(metadata.to_json())
    description = {
        "format": FORMAT,
        "kinet": importlib.metadata.version("mulkinet"),
        "trained_with_kinet": own["kinet"],
        "input": {
            "name": "hpcp",
            "axes": ["batch", "T", "pitch class"],
            "dynamic": list(network.dynamic_axes),
            "vectors": network.vectors,
            "minimum_vectors": network.minimum_vectors,
        },
        "output": {"axes": ["batch", "embedding"], "size": int(model.output_shape[-1])},
        "precision": precision,
        **{name: own[name] for name in ("model", "features", "fingerprint", "plugins")},
    }
    return network, json.dumps(description)


def as_float32(model: Any) -> Any:
    """The same weights in a model that computes in float32; `model` itself if it already does.

    A model trained in mixed precision is exported, and compared, in float32: no format has the
    policies of Keras.
    """
    import keras

    if all(layer.dtype_policy.name == "float32" for layer in model.layers):
        return model

    def clone(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(
        [keras.ops.convert_to_numpy(keras.ops.cast(w, "float32")) for w in model.weights]
    )
    return copy
