"""Attention modules and the activation behind them as one layer, in fewer passes over the input.

For the backends; the compilers of exported files like the modules better as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

from kinet.config import PITCH_CLASSES
from kinet.inference.graph import Chain, Graph, GraphCall, graph_of, rewrite
from kinet.layers import AxisAttention, LocalTimeAttention


class JoinedAttention(keras.layers.Layer):
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
            own = _WEIGHTS[type(module)](module, means, maxima)
            means, maxima, weights = means * own, maxima * own, weights * own
        return weights

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


class JoinedAttentionMaximum(JoinedAttention):
    """`JoinedAttention`, then the maximum over the rows: ``(B, R, T, C)`` to ``(B, 1, T, C)``.

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


def _of_axis(module: AxisAttention, means: Any, maxima: Any) -> Any:
    """Weights above 0, ``(B, T, 1)`` or ``(B, 1, C)``, from mean and maximum over the rows."""
    other = 4 - module.axis  # where there are no rows any more
    weights = module.weigh(ops.mean(means, axis=other), ops.max(maxima, axis=other))
    return ops.expand_dims(weights, other)


def _of_time(module: LocalTimeAttention, means: Any, maxima: Any) -> Any:
    """Weights above 0, ``(B, T, 1)``, from mean and maximum over the rows ``(B, T, C)``."""
    return module.weigh(ops.mean(means, axis=2), ops.max(maxima, axis=2))


# Of exactly these types: who knows what a subclass does.
_WEIGHTS: dict[type, Callable[..., Any]] = {
    AxisAttention: _of_axis,
    LocalTimeAttention: _of_time,
}


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


def with_joined_attention(model: keras.Model) -> keras.Model:
    """The same embedder with attention, activation and the maximum over all keys in one layer.

    Parameters
    ----------
    model : keras.Model
        An embedder; it is left as it is.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, D)``: those of `model` up to rounding, for
        inference only. Only the activation's name is left of a group.

    Examples
    --------
    >>> from kinet.config import ModelConfig
    >>> from kinet.model import build_embedder
    >>> config = ModelConfig("simple", 2, attention=("channel",), channels=4)
    >>> joined = with_joined_attention(build_embedder(config))
    >>> [type(joined.get_layer(f"stage{stage}_kernel_act")).__name__ for stage in (0, 1)]
    ['JoinedAttention', 'JoinedAttentionMaximum']
    """
    groups = _groups(graph_of(model))
    within = {module.name for group in groups.values() for module in group.modules}
    within |= {group.pool.name for group in groups.values() if group.pool}

    def replace(layer: Any) -> Chain | None:
        if layer.name in within:
            return []
        if layer.name not in groups:
            return None
        group = groups[layer.name]
        kind = JoinedAttentionMaximum if group.pool else JoinedAttention
        modules = [type(module).from_config(module.get_config()) for module in group.modules]
        weights = [w for m in group.modules for w in model.get_layer(m.name).get_weights()]
        named = {"name": layer.name, "dtype": layer.dtype_policy}
        return [(kind(modules, layer.negative_slope, **named), weights)]

    return rewrite(model, replace)


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
        and type(before.layer) in _WEIGHTS
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
