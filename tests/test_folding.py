"""The inference form of an embedder computes what the embedder does, with less."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from kinet.attended import AttendedActivation, AttendedMaximum, attention_joined
from kinet.config import ModelConfig
from kinet.folding import inference_model
from kinet.fourier import FourierConvolution
from kinet.fourier_pitch import PitchFourierConvolution
from kinet.layers import AxisAttention, LocalTimeAttention, PitchRows, PitchWrap
from kinet.model import build_classifier, build_embedder, embedder_of
from kinet.transformed import transformed_convolutions, transformed_model
from kinet.winograd import DilatedWinogradConvolution, WinogradConvolution

SMALL = {"channels": 16, "time_field": 12, "frames": 110, "embedding_size": 16}


def hpcp(count=4, frames=110):
    """Random HPCP from dense to sparse, so that embeddings differ."""
    values = np.random.default_rng(3).random((count, frames, 12))
    return (values ** (2.0 ** np.arange(count))[:, None, None]).astype("float32")


def settle(model, frames=110):
    """Statistics as after training, and scales and shifts that are neither 1 nor 0."""
    rng = np.random.default_rng(5)
    found = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    for layer in found:
        layer.momentum = 0.0
        layer.gamma.assign(rng.uniform(0.5, 1.5, layer.gamma.shape))
        layer.beta.assign(rng.normal(0, 0.3, layer.beta.shape))
    model(hpcp(8, frames), training=True)
    return model


def rows_of(model, batch):
    return model.predict_on_batch(batch)  # else JAX compiles every step for itself


def count(model, kind):
    return sum(type(layer) is kind for layer in model.layers)


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
    folded = inference_model(model)
    joined = attention_joined(folded)
    batch = hpcp()
    expected = rows_of(model, batch)
    assert np.ptp(expected, axis=0).max() > 0.05  # else agreement would mean nothing
    for fast in (folded, joined):
        np.testing.assert_allclose(rows_of(fast, batch), expected, atol=2e-5)
    assert count(joined, AxisAttention) == count(joined, LocalTimeAttention) == 0
    # On 23 rows too the last stage leaves 12.
    assert count(joined, AttendedMaximum) == 1
    assert count(folded, layers.BatchNormalization) == 0
    assert folded.get_layer("pitch_rows").rows == rows
    assert (count(folded, PitchWrap) > 0) == (rows == 12)
    assert folded.input_shape == model.input_shape
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
    unrolled, circular = (inference_model(model) for model in models)
    for one, other in zip(unrolled.get_weights(), circular.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    shapes = [
        [layer.output.shape for layer in m.layers if type(layer) is layers.Conv2D]
        for m in (unrolled, circular)
    ]
    assert shapes[0] == shapes[1]


def test_the_embedder_within_a_classifier_is_folded_too():
    keras.utils.set_random_seed(1)
    config = ModelConfig("simple", 1, (), "circular", **SMALL)
    model = embedder_of(settle(build_classifier(config, 3)))
    np.testing.assert_allclose(
        rows_of(inference_model(model), hpcp()), rows_of(model, hpcp()), atol=2e-5
    )


@keras.saving.register_keras_serializable("kinet-tests")
class FirstRow(layers.Layer):
    """Treats one row differently: what no plug-in may do, and what folding must not break."""

    def call(self, inputs):
        return ops.concatenate([2 * inputs[:, :1], inputs[:, 1:]], axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape


def plain(x):
    return layers.BatchNormalization()(layers.Conv2D(4, (12, 3), use_bias=False)(x))


def biased_and_normalised_by_another_name(x):
    return layers.BatchNormalization(axis=3, scale=False)(layers.Conv2D(4, (12, 3))(x))


def seen_before_it_is_normalised(x):
    x = layers.Conv2D(4, (12, 3))(x)
    return layers.Add()([x, layers.BatchNormalization()(x)])


def activated_first(x):
    return layers.BatchNormalization()(layers.Conv2D(4, (12, 3), activation="relu")(x))


def normalised_along_another_axis(x):
    return layers.BatchNormalization(axis=1)(layers.Conv2D(4, (12, 3))(x))


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
    model, folded = network_of(part, lambda rng, shape: rng.normal(0, 0.7, shape))
    folded = attention_joined(folded)
    assert count(folded, AttendedActivation) == activations
    assert count(folded, AttendedMaximum) == maxima
    assert count(folded, layers.MaxPooling2D) == 1 - maxima
    assert count(folded, AxisAttention) == left
    assert count(folded, LocalTimeAttention) == 0
    batch = hpcp(3, 20)
    expected = rows_of(model, batch)
    assert np.ptp(expected, axis=0).min() > 0.01  # else agreement would mean nothing
    np.testing.assert_allclose(rows_of(folded, batch), expected, rtol=1e-5, atol=1e-6)


def test_a_joined_layer_gives_the_shape_it_names_and_is_read_back():
    for kind, rows in ((AttendedActivation, 12), (AttendedMaximum, 1)):
        layer = kind([LocalTimeAttention(width=3, hidden=2)], 0.1)
        x = np.random.default_rng(0).standard_normal((2, 12, 7, 3)).astype("float32")
        found = ops.convert_to_numpy(layer(x))
        assert found.shape == layer.compute_output_shape(x.shape) == (2, rows, 7, 3)
        again = kind.from_config(layer.get_config())
        again.build(x.shape)
        again.set_weights(layer.get_weights())
        np.testing.assert_array_equal(ops.convert_to_numpy(again(x)), found)


def network_of(part, draw):
    """A network around `part` with weights as drawn, and its inference form."""
    inputs = keras.Input((None, 12))
    x = part(PitchRows(23, 3, 20, name="pitch_rows")(inputs))
    x = layers.MaxPooling2D((12, 1))(x)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    rng = np.random.default_rng(0)
    model.set_weights([draw(rng, w.shape) for w in model.weights])
    return model, inference_model(model)


@pytest.mark.parametrize(
    ("part", "rows", "normalisations"),
    [
        (plain, 12, 0),
        (biased_and_normalised_by_another_name, 12, 0),
        (seen_before_it_is_normalised, 12, 1),
        (activated_first, 12, 1),
        (normalised_along_another_axis, 23, 1),
        (a_layer_called_twice, 23, 1),
        (an_unknown_layer, 23, 0),
        (padded_rows, 23, 0),
        (dropped_out, 12, 0),
    ],
)
def test_what_is_not_known_to_be_the_same_is_left_as_it_is(part, rows, normalisations):
    keras.utils.set_random_seed(1)
    model, folded = network_of(part, lambda rng, shape: rng.uniform(0.5, 1.5, shape))
    batch = hpcp(3, 20)
    np.testing.assert_allclose(rows_of(folded, batch), rows_of(model, batch), rtol=1e-5)
    assert folded.get_layer("pitch_rows").rows == rows
    assert count(folded, layers.BatchNormalization) == normalisations
    assert count(folded, layers.Dropout) == 0


def test_mixed_precision_stays_what_it_is():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_embedder(ModelConfig("simple", 2, (), "unrolled", **SMALL))
        folded = transformed_model(inference_model(model))
    finally:
        keras.config.set_dtype_policy("float32")
    assert folded.get_layer("stage1_kernel_conv").compute_dtype == "bfloat16"
    assert transformed_convolutions(folded) == 0


# Lengths that give one piece, several, and a last one that is all but empty.
@pytest.mark.parametrize(
    ("kind", "kernel", "frames"),
    [
        (FourierConvolution, (4, 13), 13),
        (FourierConvolution, (4, 13), 53),
        (FourierConvolution, (7, 5), 90),
        (PitchFourierConvolution, (12, 7), 7),
        (PitchFourierConvolution, (6, 5), 30),
        (WinogradConvolution, (2, 5), 5),
        (WinogradConvolution, (2, 5), 30),
        (WinogradConvolution, (3, 4), 23),
        (WinogradConvolution, (1, 2), 41),
    ],
)
def test_a_transformed_convolution_is_the_circular_one(kind, kernel, frames):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 12, frames, 3)).astype("float32")
    weights, bias = rng.standard_normal((*kernel, 3, 5)), rng.standard_normal(5)
    left = frames - kernel[1] + 1
    expected = np.zeros((2, 12, left, 5)) + bias
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            expected += np.roll(x, -i, axis=1)[:, :, j : j + left] @ weights[i, j]
    layer = kind(5, kernel)
    layer.build(x.shape)
    layer.set_kernel(weights, bias)
    found = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert layer.compute_output_shape(x.shape) == found.shape
    again = kind.from_config(layer.get_config())
    again.build(x.shape)
    assert again.kernel.shape == layer.kernel.shape


@pytest.mark.parametrize(
    ("columns", "dilation", "rows", "frames"),
    [(10, 3, 1, 28), (10, 3, 1, 95), (10, 1, 2, 33), (5, 2, 1, 40), (15, 4, 3, 78)],
)
def test_a_dilated_convolution_is_the_direct_one(columns, dilation, rows, frames):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, rows, frames, 3)).astype("float32")
    weights, bias = rng.standard_normal((1, columns, 3, 5)), rng.standard_normal(5)
    left = frames - (columns - 1) * dilation
    expected = np.zeros((2, rows, left, 5)) + bias
    for j in range(columns):
        expected += x[:, :, j * dilation : j * dilation + left] @ weights[0, j]
    layer = DilatedWinogradConvolution(5, columns, dilation)
    layer.build(x.shape)
    layer.set_kernel(weights, bias)
    found = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert layer.compute_output_shape(x.shape) == found.shape
    again = DilatedWinogradConvolution.from_config(layer.get_config())
    again.build(x.shape)
    assert again.kernel.shape == layer.kernel.shape


@pytest.mark.parametrize(
    ("settings", "replaced"),
    [
        # Stage 0 has one channel.
        (
            ModelConfig("simple", 2, ("channel",), **SMALL),
            {FourierConvolution: 1, PitchFourierConvolution: 1},
        ),
        (ModelConfig("simple", 1, (), **SMALL), {PitchFourierConvolution: 1}),
        (ModelConfig("wider", 12, (), channels=64, frames=140), {WinogradConvolution: 11}),
        # Too few rows in stage 0.
        (ModelConfig("simple", 3, (), **SMALL), {FourierConvolution: 2}),
        # Too few columns, then too few channels.
        (ModelConfig("simple", 12, (), **SMALL), {}),
        (ModelConfig("wider", 12, (), channels=32, frames=140), {}),
    ],
)
def test_transformed_convolutions_are_taken_where_they_pay(settings, replaced):
    keras.utils.set_random_seed(1)
    model = settle(build_embedder(settings), settings.frames)
    folded = inference_model(model)
    fast = transformed_model(folded)
    kinds = (FourierConvolution, PitchFourierConvolution, WinogradConvolution)
    assert {kind: count(fast, kind) for kind in kinds if count(fast, kind)} == replaced
    assert count(fast, PitchWrap) == count(folded, PitchWrap) - sum(replaced.values())
    # Wherever anything is transformed, the summary's two are.
    summary = 2 if replaced else 0
    assert count(fast, DilatedWinogradConvolution) == summary
    assert transformed_convolutions(fast) == sum(replaced.values()) + summary
    for frames in (settings.frames, settings.frames - 3):
        batch = hpcp(4, frames)
        np.testing.assert_allclose(rows_of(fast, batch), rows_of(model, batch), atol=2e-5)
