"""The form of an embedder whose convolutions are computed in a transformed domain.

Of many taps by `kinet.inference.fourier`, of few and along time alone by
`kinet.inference.minimal_filtering`, of one input channel by `kinet.inference.pitch_fourier`; only a
compiler that fuses their steps makes them fast.
"""

from __future__ import annotations

import functools
from typing import Any

import keras
from keras import layers

from kinet.config import PITCH_CLASSES
from kinet.inference.fourier import FourierConvolution
from kinet.inference.graph import GraphCall, clone_layer, graph_of
from kinet.inference.minimal_filtering import (
    MOST_COLUMNS,
    SHORT_COLUMNS,
    DilatedWinogradConvolution,
    WinogradConvolution,
)
from kinet.inference.pitch_fourier import PitchFourierConvolution
from kinet.layers import CircularConvolution, PitchWrap

# Below these the transforms cost more than they save (measured).
_LEAST_FOURIER_TAPS = 24
_LEAST_WINOGRAD_COLUMNS = 4
_LEAST_CHANNELS = 16
_LEAST_ROWS = 6

_Circular = type[FourierConvolution | PitchFourierConvolution | WinogradConvolution]


def transformed_model(model: keras.Model) -> keras.Model:
    """The same embedder with transformed convolutions where they save most, for inference only.

    Parameters
    ----------
    model : keras.Model
        What `kinet.inference.folding.inference_model` returns, or
        `kinet.inference.joined_attention.attention_joined`; it is left as it is.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, D)``: those of `model` up to rounding. `model`
        itself where no circular convolution is replaced: the rest alone does not pay.

    Examples
    --------
    >>> from kinet.config import ModelConfig
    >>> from kinet.inference.folding import inference_model
    >>> from kinet.model import build_embedder
    >>> config = ModelConfig(block="simple", stages=2, channels=16, attention=())
    >>> model = transformed_model(inference_model(build_embedder(config)))
    >>> [layer.name for layer in model.layers if isinstance(layer, FourierConvolution)]
    ['stage1_kernel_conv']
    """
    graph = graph_of(model)
    chosen = {
        call.layer.name: faster
        for call in graph.calls
        if graph.is_only_call(call) and (faster := _faster(call, graph.before(call)))
    }
    if not any(isinstance(faster, CircularConvolution) for faster in chosen.values()):
        return model
    before_wrap: dict[int, Any] = {}

    @functools.cache
    def clone(layer: Any) -> Any:
        return chosen[layer.name] if layer.name in chosen else clone_layer(layer)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, CircularConvolution):
            return layer(before_wrap[id(args[0])])  # it wraps by itself
        output = layer(*args, **kwargs)
        if isinstance(layer, PitchWrap):
            before_wrap[id(output)] = args[0]
        return output

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in [layer for layer in copy.layers if layer.weights]:
        weights = model.get_layer(layer.name).get_weights()
        if layer.name in chosen:
            layer.set_kernel(*weights)
        else:
            layer.set_weights(weights)
    return copy


def transformed_convolutions(model: keras.Model) -> int:
    """How many convolutions of `model` are transformed ones."""
    kinds = (CircularConvolution, DilatedWinogradConvolution)
    return sum(isinstance(layer, kinds) for layer in model.layers)


def _faster(call: GraphCall, before: GraphCall | None) -> keras.layers.Layer | None:
    """What takes the place of the layer of `call`, and of a wrap before it."""
    layer = call.layer
    if not _can_be_replaced(layer):
        return None
    named = {"name": layer.name, "dtype": layer.dtype_policy}
    if before is not None and isinstance(before.layer, PitchWrap):
        kind = _circular(layer, before)
        return kind(layer.filters, layer.kernel_size, **named) if kind else None
    columns = layer.kernel_size[1]
    if call.rows is not None or columns % SHORT_COLUMNS or layer.kernel.shape[2] < _LEAST_CHANNELS:
        return None
    return DilatedWinogradConvolution(layer.filters, columns, layer.dilation_rate[1], **named)


def _can_be_replaced(layer: Any) -> bool:
    """Whether `layer` is a convolution of the form that all of ours compute."""
    return (
        type(layer) is layers.Conv2D
        and tuple(layer.strides) == (1, 1)
        and (layer.padding, layer.groups, layer.use_bias) == ("valid", 1, True)
        and layer.data_format == "channels_last"
        and layer.activation is keras.activations.linear
        and layer.compute_dtype == "float32"
    )


def _circular(layer: Any, wrap: GraphCall) -> _Circular | None:
    """The kind of circular convolution that is faster than `layer` behind `wrap`."""
    rows, columns = layer.kernel_size
    if (
        wrap.rows != PITCH_CLASSES
        or wrap.layer.rows != rows - 1
        or tuple(layer.dilation_rate) != (1, 1)
    ):
        return None
    if layer.kernel.shape[2] < _LEAST_CHANNELS:
        return PitchFourierConvolution if rows >= _LEAST_ROWS else None
    if rows * columns >= _LEAST_FOURIER_TAPS:
        return FourierConvolution
    if _LEAST_WINOGRAD_COLUMNS <= columns <= MOST_COLUMNS:
        return WinogradConvolution
    return None
