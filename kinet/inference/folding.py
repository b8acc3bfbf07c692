"""Batch normalisation folded into the convolution or the dense layer before it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from kinet.inference.graph import Chain, Graph, GraphCall, graph_of, rewrite


def with_folded_normalisation(model: keras.Model) -> keras.Model:
    """The same embedder without the batch normalisations that a layer before them can do.

    Parameters
    ----------
    model : keras.Model
        An embedder; it is left as it is.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, D)``: those of `model` up to rounding. Layers
        keep their names.

    Examples
    --------
    >>> from kinet.config import ModelConfig
    >>> from kinet.model import build_embedder
    >>> model = build_embedder(ModelConfig("simple", 2, attention=(), channels=4))
    >>> folded = with_folded_normalisation(model)
    >>> any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    False
    """
    folds = _folds(graph_of(model))
    folded = set(folds.values())

    def replace(layer: Any) -> Chain | None:
        if layer.name in folded:
            return []
        if layer.name not in folds:
            return None
        biased = type(layer).from_config({**layer.get_config(), "use_bias": True})
        return [(biased, _folded(layer, model.get_layer(folds[layer.name])))]

    return rewrite(model, replace)


def _folds(graph: Graph) -> dict[str, str]:
    """Layers with a kernel, each with the batch normalisation that alone takes its output."""
    folds = {}
    for call in graph.calls:
        before = graph.before(call)
        if before is None or not _is_normalisation(call, before):
            continue
        if all(map(graph.is_only_call, (call, before))) and graph.only_reader(before):
            folds[before.layer.name] = call.layer.name
    return folds


def _is_normalisation(call: GraphCall, before: GraphCall) -> bool:
    """Whether `call` scales each channel that `before` sums up."""
    return (
        type(before.layer) in (layers.Conv1D, layers.Conv2D, layers.Dense)
        and before.layer.activation is keras.activations.linear
        and getattr(before.layer, "data_format", "channels_last") == "channels_last"
        and type(call.layer) is layers.BatchNormalization
        and call.layer.axis in (-1, len(before.output.shape) - 1)
    )


def _folded(layer: Any, norm: Any) -> list[np.ndarray]:
    """Kernel and bias that do both."""
    kernel, *bias = [np.asarray(weight, np.float64) for weight in layer.get_weights()]
    own = dict(zip([w.name for w in norm.weights], norm.get_weights(), strict=True))
    scale = own.get("gamma", 1.0) / np.sqrt(np.float64(own["moving_variance"]) + norm.epsilon)
    shift = (bias[0] if bias else 0.0) - np.float64(own["moving_mean"])
    return [kernel * scale, shift * scale + own.get("beta", 0.0)]
