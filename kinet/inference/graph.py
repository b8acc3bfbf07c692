"""The graph of a network, which Keras shows only while it is cloned."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import keras


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


def graph_of(model: keras.Model) -> Graph:
    """The calls of the layers of `model`, in their order."""
    calls: list[GraphCall] = []

    def record(layer: Any, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        tensors = [t for t in keras.tree.flatten((args, kwargs)) if keras.utils.is_keras_tensor(t)]
        calls.append(GraphCall(layer, tuple(tensors), output))
        return output

    clone = functools.cache(clone_layer)
    keras.models.clone_model(model, clone_function=clone, call_function=record)
    return Graph(calls)


def clone_layer(layer: Any) -> Any:
    """A layer with the same settings and new weights."""
    return type(layer).from_config(layer.get_config())


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
