"""The graph of a network, which Keras shows only while it is cloned, and how it is rewritten."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

# Layers one after the other, each with its weights.
Chain = Sequence[tuple[keras.layers.Layer, Sequence[np.ndarray]]]


@dataclass(frozen=True)
class GraphCall:
    """One call of a layer in the graph of a model."""

    layer: Any
    inputs: tuple[Any, ...]
    output: Any

    @property
    def rows(self) -> int | None:
        """Rows of pitch of its input; None where there are none any more."""
        shapes = [tensor.shape for tensor in self.inputs]
        rows = {shape[1] for shape in shapes if len(shape) == 4 and shape[1] != 1}
        return rows.pop() if len(rows) == 1 else None


class Graph:
    """Calls in their order, which comes before which, and what nothing else sees."""

    def __init__(self, calls: list[GraphCall]) -> None:
        self.calls = calls
        self._made_by = {id(call.output): call for call in calls}
        self._layers = [call.layer.name for call in calls]
        self._readers: dict[int, list[GraphCall]] = {}
        for call in calls:
            for tensor in call.inputs:
                self._readers.setdefault(id(tensor), []).append(call)

    def before(self, call: GraphCall) -> GraphCall | None:
        """What made the first input of `call`."""
        return self._made_by.get(id(call.inputs[0])) if call.inputs else None

    def is_only_call(self, call: GraphCall) -> bool:
        """Whether the layer is called nowhere else."""
        return self._layers.count(call.layer.name) == 1

    def only_reader(self, call: GraphCall) -> GraphCall | None:
        """The call that alone takes the output; None if there are others, or none."""
        readers = self._readers.get(id(call.output), [])
        return readers[0] if len(readers) == 1 else None


def graph_of(model: keras.Model) -> Graph:
    """The calls of the layers of `model`, in their order."""
    calls: list[GraphCall] = []

    def record(layer: Any, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        tensors = [t for t in keras.tree.flatten((args, kwargs)) if keras.utils.is_keras_tensor(t)]
        calls.append(GraphCall(layer, tuple(tensors), output))
        return output

    clone = functools.cache(_clone)
    keras.models.clone_model(model, clone_function=clone, call_function=record)
    return Graph(calls)


def rewrite(
    model: keras.Model, replace: Callable[[keras.layers.Layer], Chain | None]
) -> keras.Model:
    """A copy of `model`, which shares nothing with it, with other layers in the place of some.

    Parameters
    ----------
    model : keras.Model
        A functional model.
    replace : callable
        Given a layer of `model`, what takes its place: layers one after the other, of which the
        first takes its inputs, each with its weights as arrays; none at all, and its first input
        goes on as it is. None keeps the layer and its weights.

    Returns
    -------
    keras.Model
        The copy.

    Examples
    --------
    >>> inputs = keras.Input((3,))
    >>> outputs = keras.layers.Dense(2)(keras.layers.Dropout(0.5, name="drop")(inputs))
    >>> model = keras.Model(inputs, outputs)
    >>> copy = rewrite(model, lambda layer: [] if layer.name == "drop" else None)
    >>> [type(layer).__name__ for layer in copy.layers]
    ['InputLayer', 'Dense']
    """

    @functools.cache  # a layer that is called twice is still one layer
    def chain_of(layer: Any) -> Chain:
        found = replace(layer)
        return [(_clone(layer), layer.get_weights())] if found is None else found

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):  # an operation without weights
            return layer(*args, **kwargs)
        chain = chain_of(layer)
        if not chain:
            return args[0]
        output = chain[0][0](*args, **kwargs)
        for follower, _ in chain[1:]:
            output = follower(output)
        for part, weights in chain:
            if weights:
                part.set_weights(list(weights))
        return output

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


def _clone(layer: Any) -> Any:
    """A layer with the same settings and new weights."""
    return type(layer).from_config(layer.get_config())
