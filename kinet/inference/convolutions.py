"""Which convolutions are computed in a transformed domain, and how.

Of many taps by `kinet.inference.fourier`, of few and along time alone by
`kinet.inference.minimal_filtering`, of one input channel by `kinet.inference.pitch_fourier`; only a
compiler that fuses their steps makes them fast.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import keras
import numpy as np
from keras import layers

from kinet.config import PITCH_CLASSES
from kinet.inference.circular import CircularConvolution
from kinet.inference.fourier import FourierConvolution
from kinet.inference.graph import Chain, Graph, GraphCall, graph_of, rewrite
from kinet.inference.minimal_filtering import (
    MOST_COLUMNS,
    SHORT_COLUMNS,
    DilatedWinogradConvolution,
    WinogradConvolution,
)
from kinet.inference.pitch_fourier import PitchFourierConvolution
from kinet.layers import PitchWrap

# Below these the transforms cost more than they save (measured).
_LEAST_FOURIER_TAPS = 24
_LEAST_WINOGRAD_COLUMNS = 4
_LEAST_CHANNELS = 16
_LEAST_ROWS = 6

FAST = (
    FourierConvolution,
    PitchFourierConvolution,
    WinogradConvolution,
    DilatedWinogradConvolution,
)


def with_fast_convolutions(model: keras.Model, kinds: Collection[type] = FAST) -> keras.Model:
    """The same embedder with transformed convolutions where they save most, for inference only.

    Parameters
    ----------
    model : keras.Model
        An embedder on 12 rows; it is left as it is.
    kinds : collection of type
        Those of `FAST` that may be taken.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, D)``: those of `model` up to rounding. `model`
        itself where no circular convolution is replaced: the rest alone does not pay.

    Examples
    --------
    >>> from kinet.config import ModelConfig
    >>> from kinet.model import build_embedder
    >>> config = ModelConfig(block="simple", stages=2, channels=16, attention=())
    >>> model = with_fast_convolutions(build_embedder(config))
    >>> [layer.name for layer in model.layers if isinstance(layer, FourierConvolution)]
    ['stage1_kernel_conv']
    """
    graph = graph_of(model)
    chosen: dict[str, type] = {}
    wraps = set()
    for call in graph.calls:
        kind, wrap = _faster(graph, call)
        if kind is None or kind not in kinds or not graph.is_only_call(call):
            continue
        chosen[call.layer.name] = kind
        if wrap is not None:  # a circular convolution wraps by itself
            wraps.add(wrap.layer.name)
    if not wraps:
        return model

    def replace(layer: Any) -> Chain | None:
        if layer.name in wraps:
            return []
        return [_transformed(layer, chosen[layer.name])] if layer.name in chosen else None

    return rewrite(model, replace)


def count_fast(model: keras.Model) -> int:
    """How many convolutions of `model` are transformed ones."""
    return sum(isinstance(layer, FAST) for layer in model.layers)


def _transformed(layer: Any, kind: Callable[..., Any]) -> tuple[Any, list[np.ndarray]]:
    """A layer of `kind` that does what `layer` does, and its weights."""
    named = {"name": layer.name, "dtype": layer.dtype_policy}
    if kind is DilatedWinogradConvolution:
        fast = kind(layer.filters, layer.kernel_size[1], layer.dilation_rate[1], **named)
    else:
        fast = kind(layer.filters, layer.kernel_size, **named)
    kernel, *bias = layer.get_weights()
    return fast, [fast.transformed(kernel), *(bias or [np.zeros(layer.filters)])]


def _faster(graph: Graph, call: GraphCall) -> tuple[type | None, GraphCall | None]:
    """The kind of layer that does faster what `call` does, with the wrap before it, if any."""
    layer, before = call.layer, graph.before(call)
    if not _can_be_replaced(layer):
        return None, None
    if before is not None and isinstance(before.layer, PitchWrap):
        alone = graph.is_only_call(before) and graph.only_reader(before) is not None
        return _circular(layer, before) if alone else None, before
    short = layer.kernel_size[1] % SHORT_COLUMNS == 0
    if call.rows is not None or not short or layer.kernel.shape[2] < _LEAST_CHANNELS:
        return None, None
    return DilatedWinogradConvolution, None


def _can_be_replaced(layer: Any) -> bool:
    """Whether `layer` is a convolution of the form that all of ours compute."""
    return (
        type(layer) is layers.Conv2D
        and tuple(layer.strides) == (1, 1)
        and (layer.padding, layer.groups) == ("valid", 1)
        and layer.data_format == "channels_last"
        and layer.activation is keras.activations.linear
        and layer.compute_dtype == "float32"
    )


def _circular(layer: Any, wrap: GraphCall) -> type[CircularConvolution] | None:
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
