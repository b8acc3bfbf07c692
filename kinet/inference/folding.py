"""The form of an embedder that inference takes: the same function, fewer multiply-adds.

Three steps, each taken only where it leaves the function as it is:

- the unrolled pitch axis becomes the circular one, 12 rows in place of 23;
- a batch normalisation is folded into the convolution or the dense layer before it;
- layers that only training uses are left out.

A layer of a plug-in that is none of the kinds named here is kept as it is.
"""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
from keras import layers

from kinet.config import PITCH_CLASSES, UNROLLED_ROWS
from kinet.inference.graph import Graph, GraphCall, graph_of
from kinet.layers import ATTENTION, PitchRows, PitchWrap

_TRAINING_ONLY = (
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.ActivityRegularization,
)
# One row of output from the same row of input. Of exactly these types: who knows what a subclass
# does.
_ROW_BY_ROW = (
    layers.LeakyReLU,
    layers.ReLU,
    layers.Activation,
    layers.Add,
    layers.Subtract,
    layers.Multiply,
    layers.Average,
    layers.Maximum,
    *_TRAINING_ONLY,
)


def inference_model(model: keras.Model) -> keras.Model:
    """The same embedder with less to compute, for inference only.

    Parameters
    ----------
    model : keras.Model
        An embedder, as `kinet.model.build_embedder` and `kinet.load` give it; it is left as it
        is, and shares nothing with the result.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, D)``: those of `model` up to rounding. Layers
        keep their names.

    Examples
    --------
    >>> from kinet.config import ModelConfig
    >>> from kinet.model import build_embedder
    >>> config = ModelConfig("simple", 2, attention=(), pitch_axis="unrolled", channels=4)
    >>> model = build_embedder(config)
    >>> folded = inference_model(model)
    >>> [layer.rows for layer in (model.layers[1], folded.layers[1])]
    [23, 12]
    >>> any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    False
    """
    graph = graph_of(model)
    folds = _folds(graph)
    normalised = set(folds.values())
    wrapped = _can_be_circular(graph.calls)
    wrap_before = functools.cache(_wrap_before)

    @functools.cache  # a layer that is called twice is still one layer
    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in folds:
            config["use_bias"] = True
        if wrapped and isinstance(layer, PitchRows):
            config["rows"] = PITCH_CLASSES
        return type(layer).from_config(config)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.name in normalised or isinstance(layer, _TRAINING_ONLY):
            return args[0]
        if wrapped and _overlap(layer):
            args = (wrap_before(layer)(args[0]), *args[1:])
        return layer(*args, **kwargs)

    folded = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in folded.layers:
        if layer.name in folds:
            layer.set_weights(
                _folded(model.get_layer(layer.name), model.get_layer(folds[layer.name]))
            )
        elif layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return folded


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


def _can_be_circular(calls: list[GraphCall]) -> bool:
    """Whether 12 rows with circular convolutions compute what 23 rows do."""
    entries = [call.layer for call in calls if isinstance(call.layer, PitchRows)]
    return [entry.rows for entry in entries] == [UNROLLED_ROWS] and all(
        call.rows is None or _treats_rows_alike(call.layer, call.rows) for call in calls
    )


def _treats_rows_alike(layer: Any, rows: int) -> bool:
    """Whether repeated rows make no difference to a layer, whose input has `rows` rows."""
    if type(layer) is layers.Conv2D:
        return (
            tuple(layer.strides) == (1, 1)
            and layer.padding == "valid"
            and layer.data_format == "channels_last"
        )
    if isinstance(layer, layers.MaxPooling2D):
        return rows == PITCH_CLASSES == layer.pool_size[0] and layer.padding == "valid"
    if type(layer) in ATTENTION:
        return rows == PITCH_CLASSES  # beyond that, some rows would count twice
    if type(layer) in (layers.BatchNormalization, layers.Concatenate):
        return layer.axis in (-1, 3)
    return type(layer) in _ROW_BY_ROW


def _wrap_before(layer: Any) -> PitchWrap:
    """The rows below the last that `layer` takes when the pitch axis is circular."""
    return PitchWrap(_overlap(layer), name=f"{layer.name}_wrap", dtype=layer.dtype_policy)


def _overlap(layer: Any) -> int:
    """Rows that a convolution takes away."""
    if type(layer) is not layers.Conv2D:
        return 0
    return int((layer.kernel_size[0] - 1) * layer.dilation_rate[0])
