"""Small networks for tests of the forms that inference takes, and what they are compared with."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from kinet.inference.twelve_rows import with_twelve_rows
from kinet.layers import PitchRows

SMALL = {"channels": 16, "time_field": 12, "vectors": 110, "embedding_size": 16}


def hpcp(count=4, vectors=110):
    """Random HPCP from dense to sparse, so that embeddings differ."""
    values = np.random.default_rng(3).random((count, vectors, 12))
    return (values ** (2.0 ** np.arange(count))[:, None, None]).astype("float32")


def settle(model, vectors=110):
    """Statistics as after training, and scales and shifts that are neither 1 nor 0."""
    rng = np.random.default_rng(5)
    found = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    for layer in found:
        layer.momentum = 0.0
        layer.gamma.assign(rng.uniform(0.5, 1.5, layer.gamma.shape))
        layer.beta.assign(rng.normal(0, 0.3, layer.beta.shape))
    model(hpcp(8, vectors), training=True)
    return model


def rows_of(model, batch):
    return model.predict_on_batch(batch)  # else JAX compiles every step for itself


def count(model, kind):
    return sum(type(layer) is kind for layer in model.layers)


def network_of(part, draw):
    """A network around `part` with weights as drawn, and its inference form."""
    inputs = keras.Input((None, 12))
    x = part(PitchRows(23, 3, 20, name="pitch_rows")(inputs))
    x = layers.MaxPooling2D((12, 1))(x)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    rng = np.random.default_rng(0)
    model.set_weights([draw(rng, w.shape) for w in model.weights])
    return model, with_twelve_rows(model)
