"""Shapes of networks that are never given memory."""

from __future__ import annotations

import keras
import pytest

from kinet.model import shapes_without_memory


def too_large():
    return keras.Sequential([keras.Input((10**6,)), keras.layers.Dense(10**6, name="large")])


def test_weights_that_have_shapes_only_get_no_memory_later_either():
    assert shapes_without_memory(too_large) == {"large": [(10**6, 10**6), (10**6,)]}
    # Here Keras gives values to all that still wait for them: 4 TB, if these did.
    with keras.StatelessScope():
        late = keras.Variable(initializer="ones", shape=(2,))
    assert keras.ops.convert_to_numpy(late.value).tolist() == [1.0, 1.0]


def test_a_network_that_cannot_be_built_leaves_nothing_behind_either():
    def broken():
        too_large()
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        shapes_without_memory(broken)
    with keras.StatelessScope():
        late = keras.Variable(initializer="ones", shape=(2,))
    assert keras.ops.convert_to_numpy(late.value).tolist() == [1.0, 1.0]
