"""The inference form of an embedder computes what the embedder does, with less."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops
from networks import SMALL, count, hpcp, network_of, rows_of, settle

from kinet.config import ModelConfig
from kinet.inference.joined_attention import JoinedAttentionMaximum, with_joined_attention
from kinet.inference.twelve_rows import with_twelve_rows
from kinet.layers import AxisAttention, LocalTimeAttention, PitchWrap
from kinet.model import build_classifier, build_embedder
from kinet.network import embedder_of


@pytest.mark.parametrize(
    ("block", "stages", "attention", "axis", "rows"),
    [
        ("simple", 2, (), "unrolled", 12),
        ("wider", 2, ("channel", "temporal"), "circular", 12),
        ("bottleneck", 3, ("channel", "local"), "unrolled", 23),
        # With one stage attention sees 12 rows on either axis.
        ("wider", 1, ("channel",), "unrolled", 12),
    ],
)
def test_it_gives_the_embeddings_with_less_to_compute(block, stages, attention, axis, rows):
    keras.utils.set_random_seed(1)
    config = ModelConfig(block, stages, attention, axis, **SMALL)
    model = settle(build_embedder(config))
    before = model.get_weights()
    circular = with_twelve_rows(model)
    joined = with_joined_attention(circular)
    batch = hpcp()
    expected = rows_of(model, batch)
    assert np.ptp(expected, axis=0).max() > 0.05  # else agreement would mean nothing
    for fast in (circular, joined):
        np.testing.assert_allclose(rows_of(fast, batch), expected, atol=2e-5)
    assert count(joined, AxisAttention) == count(joined, LocalTimeAttention) == 0
    # On 23 rows too the last stage leaves 12.
    assert count(joined, JoinedAttentionMaximum) == 1
    assert circular.get_layer("pitch_rows").rows == rows
    assert (count(circular, PitchWrap) > 0) == (rows == 12)
    assert circular.input_shape == model.input_shape
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_circular_and_unrolled_without_attention_become_one_model():
    keras.utils.set_random_seed(1)
    models = [
        build_embedder(ModelConfig("wider", 2, (), axis, **SMALL))
        for axis in ("unrolled", "circular")
    ]
    settle(models[0])
    models[1].set_weights(models[0].get_weights())
    unrolled, circular = (with_twelve_rows(model) for model in models)
    for one, other in zip(unrolled.get_weights(), circular.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    shapes = [
        [layer.output.shape for layer in m.layers if type(layer) is layers.Conv2D]
        for m in (unrolled, circular)
    ]
    assert shapes[0] == shapes[1]


def test_the_embedder_within_a_classifier_is_rewritten_too():
    keras.utils.set_random_seed(1)
    config = ModelConfig("simple", 1, (), "circular", **SMALL)
    model = embedder_of(settle(build_classifier(config, ("a", "b", "c"))))
    np.testing.assert_allclose(
        rows_of(with_twelve_rows(model), hpcp()), rows_of(model, hpcp()), atol=2e-5
    )


@keras.saving.register_keras_serializable("kinet-tests")
class FirstRow(layers.Layer):
    """Treats one row differently: what no plug-in may do, and what 12 rows must not break."""

    def call(self, inputs):
        return ops.concatenate([2 * inputs[:, :1], inputs[:, 1:]], axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape


def plain(x):
    return layers.BatchNormalization()(layers.Conv2D(4, (12, 3), use_bias=False)(x))


def seen_before_it_is_normalised(x):
    x = layers.Conv2D(4, (12, 3))(x)
    return layers.Add()([x, layers.BatchNormalization()(x)])


def normalised_along_another_axis(x):
    return layers.BatchNormalization(axis=1)(layers.Conv2D(4, (12, 3))(x))


def a_valid_layer_called_twice(x):
    x = layers.Conv2D(4, (1, 1))(x)
    shared = layers.Conv2D(4, (2, 3))
    return layers.Conv2D(4, (10, 3))(layers.LeakyReLU()(shared(shared(x))))


def a_layer_called_twice(x):
    x = layers.Conv2D(4, (1, 1))(x)
    shared = layers.Conv2D(4, (1, 3), padding="same")
    x = layers.BatchNormalization()(shared(layers.LeakyReLU()(shared(x))))
    return layers.Conv2D(4, (12, 1))(x)


def an_unknown_layer(x):
    return layers.Conv2D(4, (12, 3))(FirstRow()(x))


def padded_rows(x):
    x = layers.Conv2D(4, (3, 3), padding="same")(x)
    return layers.Conv2D(4, (12, 3))(x)


def dropped_out(x):
    return layers.Conv2D(4, (12, 3))(layers.Dropout(0.5)(layers.Conv2D(3, (1, 1))(x)))


@pytest.mark.parametrize(
    ("part", "rows"),
    [
        (plain, 12),
        (seen_before_it_is_normalised, 12),
        (normalised_along_another_axis, 23),
        (a_layer_called_twice, 23),
        (a_valid_layer_called_twice, 12),
        (an_unknown_layer, 23),
        (padded_rows, 23),
        (dropped_out, 12),
    ],
)
def test_what_is_not_known_to_be_the_same_is_left_as_it_is(part, rows):
    keras.utils.set_random_seed(1)
    model, circular = network_of(part, lambda rng, shape: rng.uniform(0.5, 1.5, shape))
    batch = hpcp(3, 20)
    np.testing.assert_allclose(rows_of(circular, batch), rows_of(model, batch), rtol=1e-5)
    assert circular.get_layer("pitch_rows").rows == rows
