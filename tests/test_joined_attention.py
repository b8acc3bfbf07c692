"""Attention, activation and the maximum over all keys in one layer compute what they do apart."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops
from networks import SMALL, count, hpcp, network_of, rows_of

from kinet.config import ModelConfig
from kinet.inference.joined_attention import (
    JoinedAttention,
    JoinedAttentionMaximum,
    with_joined_attention,
)
from kinet.inference.twelve_rows import with_twelve_rows
from kinet.layers import AxisAttention, LocalTimeAttention, PitchRows
from kinet.model import build_embedder


def attended(x):
    x = AxisAttention(axis=3, ratio=2)(layers.Conv2D(6, (12, 3))(x))
    return layers.LeakyReLU(0.1)(LocalTimeAttention(width=3, hidden=2)(x))


def attended_then_more(x):
    return layers.Dense(4)(attended(x))


def activated_only(x):
    return layers.LeakyReLU(0.1)(layers.Conv2D(6, (12, 3))(x))


def attended_and_read_elsewhere(x):
    x = AxisAttention(axis=3, ratio=2)(layers.Conv2D(6, (12, 3))(x))
    return layers.Add()([x, layers.LeakyReLU()(LocalTimeAttention(width=3, hidden=2)(x))])


def activated_and_read_elsewhere(x):
    x = AxisAttention(axis=3, ratio=2)(layers.Conv2D(6, (12, 3))(x))
    return layers.Add()([x, layers.LeakyReLU()(x)])


def attended_without_an_activation(x):
    return layers.Activation("tanh")(AxisAttention(axis=3, ratio=2)(layers.Conv2D(6, (12, 3))(x)))


@pytest.mark.parametrize(
    ("part", "activations", "maxima", "left"),
    [
        (attended, 0, 1, 0),
        (attended_then_more, 1, 0, 0),
        (attended_and_read_elsewhere, 1, 0, 1),
        (activated_only, 0, 1, 0),
        (activated_and_read_elsewhere, 0, 0, 1),
        (attended_without_an_activation, 0, 0, 1),
    ],
)
def test_attention_is_joined_with_what_alone_follows_it(part, activations, maxima, left):
    keras.utils.set_random_seed(1)
    model, circular = network_of(part, lambda rng, shape: rng.normal(0, 0.7, shape))
    circular = with_joined_attention(circular)
    assert count(circular, JoinedAttention) == activations
    assert count(circular, JoinedAttentionMaximum) == maxima
    assert count(circular, layers.MaxPooling2D) == 1 - maxima
    assert count(circular, AxisAttention) == left
    assert count(circular, LocalTimeAttention) == 0
    batch = hpcp(3, 20)
    expected = rows_of(model, batch)
    assert np.ptp(expected, axis=0).min() > 0.01  # else agreement would mean nothing
    np.testing.assert_allclose(rows_of(circular, batch), expected, rtol=1e-5, atol=1e-6)


def test_a_joined_layer_gives_the_shape_it_names():
    for kind, rows in ((JoinedAttention, 12), (JoinedAttentionMaximum, 1)):
        layer = kind([LocalTimeAttention(width=3, hidden=2)], 0.1)
        x = np.random.default_rng(0).standard_normal((2, 12, 7, 3)).astype("float32")
        found = ops.convert_to_numpy(layer(x))
        assert found.shape == layer.compute_output_shape(x.shape) == (2, rows, 7, 3)


def pooled(*arguments, **settings):
    return lambda x: layers.MaxPooling2D(*arguments, **settings)(layers.LeakyReLU(0.1)(x))


def pooled_twice(x):
    shared = layers.MaxPooling2D((12, 1))
    return layers.Add()([shared(layers.LeakyReLU(0.1)(x)), shared(x)])


@pytest.mark.parametrize(
    "part",
    [
        pooled((6, 1), (12, 1)),
        pooled((12, 2)),
        pooled((12, 1), (1, 2), padding="same"),
        pooled_twice,
    ],
)
def test_another_maximum_is_left_where_it_is(part):
    inputs = keras.Input((20, 12))
    x = part(layers.Conv2D(6, (1, 3))(PitchRows(12, 3, 20)(inputs)))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    joined = with_joined_attention(model)
    assert count(joined, layers.MaxPooling2D) == 1
    assert count(joined, JoinedAttentionMaximum) == 0
    batch = hpcp(2, 20)
    np.testing.assert_allclose(rows_of(joined, batch), rows_of(model, batch), rtol=1e-5)


def test_joined_attention_keeps_its_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_embedder(ModelConfig("simple", 2, ("channel",), "circular", **SMALL))
        joined = with_joined_attention(with_twelve_rows(model))
    finally:
        keras.config.set_dtype_policy("float32")
    last = joined.get_layer("stage1_kernel_act")
    assert type(last) is JoinedAttentionMaximum
    assert last.compute_dtype == "bfloat16"
    batch = hpcp()
    np.testing.assert_allclose(rows_of(joined, batch), rows_of(model, batch), atol=0.02)
