"""Attention modules and the activation behind them as one layer, in fewer passes over the input.

For the backends; the compilers of exported files like the modules better as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

from kinet.config import PITCH_CLASSES
from kinet.inference.graph import Graph, GraphCall, clone_layer, graph_of
from kinet.layers import ATTENTION


@keras.saving.register_keras_serializable("kinet")
class AttendedActivation(keras.layers.Layer):
    """Attention modules one after the other, then leaky ReLU.

    The weights of a module are above 0. So the maximum of what it weighed is the weighed maximum,
    every next module can go on from mean and maximum over the rows, and all weights can wait until
    after the activation. Input and output ``(B, R, T, C)``.

    Parameters
    ----------
    modules : sequence of AxisAttention or LocalTimeAttention
        In their order.
    slope : float
        Of the activation below 0.
    """

    def __init__(self, modules: Sequence[Any], slope: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.modules = list(modules)
        self.slope = slope

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        for module in self.modules:
            if not module.built:  # Keras builds what it reads from a file or a configuration
                module.build(input_shape)

    def call(self, inputs: Any) -> Any:
        rows = _rows_of(inputs)
        weights = self._weights(rows, functools.reduce(ops.maximum, rows))
        return ops.leaky_relu(inputs, self.slope) * ops.expand_dims(weights, 1)

    def _weights(self, rows: list[Any], maxima: Any) -> Any:
        """The product of all modules' weights, from the rows and their maximum."""
        weights = 1.0
        means = functools.reduce(ops.add, rows) / len(rows) if self.modules else None
        for module in self.modules:
            own = module.weights_of(means, maxima)
            means, maxima, weights = means * own, maxima * own, weights * own
        return weights

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        modules = [keras.saving.serialize_keras_object(module) for module in self.modules]
        return {**super().get_config(), "modules": modules, "slope": self.slope}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AttendedActivation:
        modules = [keras.saving.deserialize_keras_object(module) for module in config["modules"]]
        return cls(**{**config, "modules": modules})


@keras.saving.register_keras_serializable("kinet")
class AttendedMaximum(AttendedActivation):
    """`AttendedActivation`, then the maximum over the rows: ``(B, R, T, C)`` to ``(B, 1, T, C)``.

    The activation grows with its input, and weights above 0 leave a maximum where it is: the
    maximum that attention takes over the rows is the one that is wanted in the end.
    """

    def call(self, inputs: Any) -> Any:
        rows = _rows_of(inputs)
        maxima = functools.reduce(ops.maximum, rows)
        weighed = ops.leaky_relu(maxima, self.slope) * self._weights(rows, maxima)
        return ops.expand_dims(weighed, 1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape[0], 1, *input_shape[2:]


def _rows_of(inputs: Any) -> list[Any]:
    """Each row ``(B, T, C)``, for sums and maxima step by step.

    Reductions XLA would take together with the next ones, and then in blocks.
    """
    return [inputs[:, row] for row in range(inputs.shape[1])]


@dataclass(frozen=True)
class _Group:
    """An activation, the attention modules before it, and whether a maximum over rows follows."""

    modules: list[Any]
    pool: Any | None


def attention_joined(model: keras.Model) -> keras.Model:
    """The same embedder with attention, activation and the maximum over all keys in one layer.

    Parameters
    ----------
    model : keras.Model
        What `kinet.inference.folding.inference_model` returns; it is left as it is.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, D)``: those of `model` up to rounding. Only the
        activation's name is left of a group.

    Examples
    --------
    >>> from kinet.config import ModelConfig
    >>> from kinet.inference.folding import inference_model
    >>> from kinet.model import build_embedder
    >>> config = ModelConfig("simple", 2, attention=("channel",), channels=4)
    >>> joined = attention_joined(inference_model(build_embedder(config)))
    >>> [type(joined.get_layer(f"stage{stage}_kernel_act")).__name__ for stage in (0, 1)]
    ['AttendedActivation', 'AttendedMaximum']
    """
    groups = _groups(graph_of(model))
    joined = {module.name for group in groups.values() for module in group.modules}
    joined |= {group.pool.name for group in groups.values() if group.pool}

    @functools.cache
    def clone(layer: Any) -> Any:
        if layer.name not in groups:
            return clone_layer(layer)
        group = groups[layer.name]
        kind = AttendedMaximum if group.pool else AttendedActivation
        modules = [clone_layer(module) for module in group.modules]
        return kind(modules, layer.negative_slope, name=layer.name, dtype=layer.dtype_policy)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in joined else layer(*args, **kwargs)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in [layer for layer in copy.layers if layer.weights]:
        sources = groups[layer.name].modules if layer.name in groups else [layer]
        weights = [model.get_layer(source.name).get_weights() for source in sources]
        layer.set_weights([weight for own in weights for weight in own])
    return copy


def _groups(graph: Graph) -> dict[str, _Group]:
    """Leaky ReLUs by name, each with what around it nothing else sees."""
    found: dict[str, _Group] = {}
    for call in graph.calls:
        if type(call.layer) is not layers.LeakyReLU or not graph.is_only_call(call):
            continue
        group = _Group(_modules_before(graph, call), _pool_behind(graph, call))
        if group.modules or group.pool:
            found[call.layer.name] = group
    return found


def _modules_before(graph: Graph, call: GraphCall) -> list[Any]:
    chain: list[Any] = []
    before = graph.before(call)
    while (
        before is not None
        and type(before.layer) in ATTENTION
        and graph.is_only_call(before)
        and graph.only_reader(before)
    ):
        chain.insert(0, before.layer)
        before = graph.before(before)
    return chain


def _pool_behind(graph: Graph, call: GraphCall) -> Any | None:
    """The maximum over all keys, if it is all that takes the output of `call`."""
    behind = graph.only_reader(call)
    if (
        behind is None
        or not graph.is_only_call(behind)
        or type(behind.layer) is not layers.MaxPooling2D
        or tuple(behind.layer.pool_size) != (PITCH_CLASSES, 1)
        or tuple(behind.layer.strides) != (PITCH_CLASSES, 1)
        or behind.layer.data_format != "channels_last"
        or call.rows != PITCH_CLASSES
    ):
        return None
    return behind.layer
