"""How a training starts: with the weights of another model, all or all but the head."""

from __future__ import annotations

from collections.abc import Collection

import keras

from kinet.checkpoint import metadata_of
from kinet.config import ModelConfig
from kinet.errors import CheckpointError, SettingsError
from kinet.network import HEAD, Network, embedder_of

# What may differ between a network that is kept and the one that gets a new head.
_OF_THE_HEAD = ("head", "embedding_size", "vectors", "l2")


def freeze(model: Network) -> None:
    """Keep all but the head of a network, which is not yet compiled, as it is."""
    for layer in embedder_of(model).layers:
        if layer.name not in HEAD:
            layer.trainable = False


def start(model: Network, source: keras.Model | None, keep: bool) -> None:
    """Give `model` the weights of an embedder, or of the one within a classifier.

    Parameters
    ----------
    model : Network
        What is trained; a classifier on top begins anew: its columns are other songs.
    source : keras.Model or None
        What it begins with; None for the weights that were drawn.
    keep : bool
        Whether all but the head stays as it is there; the head begins anew.

    Raises
    ------
    SettingsError
        If there is nothing to keep, or it is another network.
    CheckpointError
        If the weights do not fit.
    """
    if source is None:
        if keep:
            raise SettingsError(
                "freeze keeps a network as it is and there is none; allowed: with one to start "
                "from, by --init or start_from"
            )
        return
    source = embedder_of(source)
    if keep:
        _require_same_network(metadata_of(source).model, metadata_of(model).model)
    copy_weights(source, embedder_of(model), HEAD if keep else ())


def _require_same_network(there: ModelConfig, here: ModelConfig) -> None:
    before, now = there.to_dict(), here.to_dict()
    for name in before:
        if name not in _OF_THE_HEAD and before[name] != now[name]:
            raise SettingsError(
                f"{name} is {now[name]!r}, and {before[name]!r} in the network that is kept; "
                f"allowed: the same, only {', '.join(_OF_THE_HEAD)} may differ"
            )


def copy_weights(source: keras.Model, target: keras.Model, without: Collection[str] = ()) -> None:
    """Give `target` the weights of `source`'s layers of the same names, but for those `without`.

    Raises
    ------
    CheckpointError
        If a layer of `target` is missing in `source`, or a shape differs.
    """
    there = {layer.name: layer.get_weights() for layer in source.layers}
    for layer in target.layers:
        wanted = [tuple(weight.shape) for weight in layer.weights]
        if not wanted or layer.name in without:
            continue
        weights = there.get(layer.name, [])
        shapes = [weight.shape for weight in weights]
        if shapes != wanted:
            raise CheckpointError(
                f"the checkpoint does not fit: layer {layer.name!r} has shapes {shapes or 'none'} "
                f"there; this model has {wanted}"
            )
        layer.set_weights(weights)
