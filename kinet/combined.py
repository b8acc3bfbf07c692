"""A network and a descriptor of the same track as one model."""

from __future__ import annotations

import math

import keras

from kinet.errors import SettingsError
from kinet.features.fourier_magnitudes import HOP, Components
from kinet.heard import FourierDescriptor, PlayAgain
from kinet.inference.graph import Chain, rewrite
from kinet.layers import PitchRows
from kinet.network import EMBEDDING, FEATURES, Network, embedder_of, embedding_of, make_network

DESCRIPTOR = "descriptor"
_UNIT = "network_unit"


def with_descriptor(model: keras.Model, components: Components, weight: float = 0.3) -> Network:
    """One model that gives the embedding of a network and a descriptor, one after the other.

    The cosine of two of its rows is the mean of both cosines, weighed. Tracks that are padded with
    zeros are heard by the network as if they were played again.

    Parameters
    ----------
    model : keras.Model
        An embedder, or a classifier with one in it; it is left as it is.
    components : Components
        Of `kinet.features.fourier_magnitudes`.
    weight : float
        Of the network, above 0 and below 1.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, D + components.size)``, D the network's.

    Raises
    ------
    SettingsError
        If the weight is out of range, or a patch of the descriptor is longer than the least T of
        the network.

    Examples
    --------
    >>> import numpy as np
    >>> from kinet.model import build_embedder
    >>> from kinet.config import ModelConfig
    >>> network = build_embedder(ModelConfig("simple", 1, (), channels=8))
    >>> components = Components((24,), np.zeros(156, np.float32), np.ones((16, 156), np.float32))
    >>> with_descriptor(network, components).output_shape
    (None, 144)
    """
    if not 0 < weight < 1:
        raise SettingsError(f"weight of the network is {weight!r}; allowed: above 0 and below 1")
    embedder = embedder_of(model)
    least = next(x.minimum_vectors for x in embedder.layers if isinstance(x, PitchRows))
    if max(components.patches) > least:
        raise SettingsError(
            f"patches of {max(components.patches)} vectors; allowed: up to the least T of the "
            f"network, {least}"
        )

    def replace(layer: keras.layers.Layer) -> Chain | None:
        if isinstance(layer, PitchRows):
            return [(PlayAgain(name="play_again"), ()), (_clone(layer), ())]
        return None

    network = rewrite(embedder, replace)
    unit = keras.layers.UnitNormalization(axis=-1, dtype="float32", name=_UNIT)
    described = FourierDescriptor(
        components.patches, components.size, HOP, name=DESCRIPTOR, dtype="float32"
    )
    parts = [
        keras.layers.Rescaling(math.sqrt(weight), name="network_weight")(
            unit(network.get_layer(FEATURES).output)
        ),
        keras.layers.Rescaling(math.sqrt(1 - weight), name="descriptor_weight")(
            described(network.input)
        ),
    ]
    described.set_weights([components.mean, components.axes])
    joined = embedding_of(keras.layers.Concatenate(name="both")(parts))
    return make_network(network.input, joined, EMBEDDING, embedder.metadata)


def _clone(layer: keras.layers.Layer) -> keras.layers.Layer:
    return type(layer).from_config(layer.get_config())
