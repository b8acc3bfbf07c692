"""The unrolled pitch axis as the circular one: 12 rows in place of 23, the same function."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from kinet.config import PITCH_CLASSES, UNROLLED_ROWS
from kinet.inference.graph import Chain, GraphCall, graph_of, rewrite
from kinet.layers import AxisAttention, LocalTimeAttention, PitchRows, PitchWrap

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
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.ActivityRegularization,
)


def with_twelve_rows(model: keras.Model) -> keras.Model:
    """The same embedder on the circular pitch axis, where that leaves the function as it is.

    Parameters
    ----------
    model : keras.Model
        An embedder; it is left as it is.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, D)``, those of `model`. `model` itself if it
        has 12 rows already, or a layer that may treat repeated rows otherwise: attention does
        where there are more than 12, and a plug-in's own layers are not known.

    Examples
    --------
    >>> from kinet.config import ModelConfig
    >>> from kinet.model import build_embedder
    >>> config = ModelConfig("simple", 2, attention=(), pitch_axis="unrolled", channels=4)
    >>> model = build_embedder(config)
    >>> [found.layers[1].rows for found in (model, with_twelve_rows(model))]
    [23, 12]
    """
    entries = [layer.rows for layer in model.layers if isinstance(layer, PitchRows)]
    if entries != [UNROLLED_ROWS] or not all(map(_treats_rows_alike, graph_of(model).calls)):
        return model
    return rewrite(model, _on_twelve_rows)


def _on_twelve_rows(layer: Any) -> Chain | None:
    if isinstance(layer, PitchRows):
        return [(PitchRows.from_config({**layer.get_config(), "rows": PITCH_CLASSES}), [])]
    if type(layer) is not layers.Conv2D or layer.kernel_size[0] == 1:
        return None
    overlap = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
    wrap = PitchWrap(overlap, name=f"{layer.name}_wrap", dtype=layer.dtype_policy)
    return [(wrap, []), (type(layer).from_config(layer.get_config()), layer.get_weights())]


def _treats_rows_alike(call: GraphCall) -> bool:
    """Whether repeated rows make no difference to a layer."""
    layer, rows = call.layer, call.rows
    if rows is None:
        return True
    if type(layer) is layers.Conv2D:
        return (
            tuple(layer.strides) == (1, 1)
            and layer.padding == "valid"
            and layer.data_format == "channels_last"
        )
    if isinstance(layer, layers.MaxPooling2D):
        return rows == PITCH_CLASSES == layer.pool_size[0] and layer.padding == "valid"
    if type(layer) in (AxisAttention, LocalTimeAttention):
        return rows == PITCH_CLASSES  # beyond that, some rows would count twice
    if type(layer) in (layers.BatchNormalization, layers.Concatenate):
        return layer.axis in (-1, 3)
    return type(layer) in _ROW_BY_ROW
