"""A network is copied with other layers in the place of some."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from networks import rows_of

from kinet.inference.graph import rewrite


@pytest.fixture
def model():
    """``2 (x W) W`` for ``(B, 3)``: a layer without weights, and one that is called twice."""
    inputs = keras.Input((3,))
    dense = layers.Dense(3, use_bias=False, name="twice")
    model = keras.Model(inputs, dense(layers.Rescaling(2.0, name="double")(dense(inputs))))
    model.set_weights([np.arange(9, dtype="float32").reshape(3, 3)])
    return model


X = np.array([[1, 0, 2]], "float32")


def test_a_layer_that_is_kept_keeps_its_weights_and_shares_nothing(model):
    copy = rewrite(model, lambda layer: None)
    expected = 2 * X @ np.arange(9).reshape(3, 3) @ np.arange(9).reshape(3, 3)
    np.testing.assert_allclose(rows_of(copy, X), expected)
    copy.set_weights([np.zeros((3, 3))])
    np.testing.assert_allclose(rows_of(model, X), expected)
    assert [layer.name for layer in copy.layers][1:] == ["twice", "double"]


def test_a_layer_can_be_left_out(model):
    copy = rewrite(model, lambda layer: [] if layer.name == "double" else None)
    np.testing.assert_allclose(2 * rows_of(copy, X), rows_of(model, X))


def test_several_layers_take_the_place_of_one(model):
    def replace(layer):
        if layer.name != "twice":
            return None
        return [(layers.Rescaling(3.0), []), (layers.Dense(3), [np.eye(3), np.ones(3)])]

    # 3 x + 1, doubled, and the same again.
    np.testing.assert_allclose(rows_of(rewrite(model, replace), X), 3 * (2 * (3 * X + 1)) + 1)
