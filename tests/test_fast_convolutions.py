"""Transformed convolutions are the direct ones, and taken where they pay."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops
from networks import SMALL, count, hpcp, rows_of, settle
from quick import ONE_OF_MANY

from kinet.config import ModelConfig
from kinet.inference.convolutions import FAST, count_fast, with_fast_convolutions
from kinet.inference.fourier import FourierConvolution
from kinet.inference.minimal_filtering import DilatedWinogradConvolution, WinogradConvolution
from kinet.inference.pitch_fourier import PitchFourierConvolution
from kinet.inference.twelve_rows import with_twelve_rows
from kinet.layers import PitchRows, PitchWrap
from kinet.model import build_embedder


def beside_each_other(x):
    """Convolutions that are replaced, "chosen", among such as are none of ours."""
    conv = functools.partial(layers.Conv2D, 16)
    shared = conv((2, 5), name="called_twice")
    x = conv((1, 5), name="of_many_rows")(x)
    x = layers.Concatenate(axis=1)([shared(PitchWrap(1)(x)), shared(x)])
    x = conv((12, 1), name="wraps_nothing")(x)
    x = conv((4, 13), name="chosen")(PitchWrap(3)(x))
    x = layers.MaxPooling2D((12, 1))(x)
    x = conv((1, 7), name="of_seven_taps")(x)
    x = conv((1, 5), strides=(1, 2), name="strided")(x)
    x = conv((1, 5), padding="same", name="padded")(x)
    x = conv((1, 5), activation="relu", name="activated")(x)
    return conv((1, 5), dilation_rate=(1, 2), name="chosen_too")(x)


def test_only_what_is_known_is_replaced():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((90, 12))
    x = beside_each_other(layers.Conv2D(16, (1, 1))(PitchRows(12, 3, 90)(inputs)))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    fast = with_fast_convolutions(model)
    kinds = (FourierConvolution, WinogradConvolution, DilatedWinogradConvolution)
    replaced = {layer.name for layer in fast.layers if isinstance(layer, kinds)}
    assert replaced == {"chosen", "chosen_too"}
    batch = hpcp(2, 90)
    expected = rows_of(model, batch)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(rows_of(fast, batch), expected, atol=1e-5 * scale)


def test_a_grouped_convolution_stays_what_it_is():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((90, 12))
    x = layers.Conv2D(32, (1, 1))(PitchRows(12, 3, 90)(inputs))
    x = layers.Conv2D(32, (4, 13), groups=2, name="grouped")(PitchWrap(3)(x))
    x = layers.Conv2D(32, (4, 13), name="chosen")(PitchWrap(3)(x))
    x = layers.MaxPooling2D((12, 1))(x)
    x = layers.Conv2D(32, (1, 5), groups=2, name="grouped_too")(x)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    fast = with_fast_convolutions(model)
    kinds = {layer.name: type(layer) for layer in fast.layers}
    assert kinds["chosen"] is FourierConvolution
    assert kinds["grouped"] is kinds["grouped_too"] is layers.Conv2D
    batch = hpcp(2, 90)
    expected = rows_of(model, batch)
    np.testing.assert_allclose(rows_of(fast, batch), expected, atol=1e-5 * np.abs(expected).max())


def test_a_wrap_of_other_than_twelve_rows_is_none_of_ours():
    inputs = keras.Input((60, 12))
    x = layers.Conv2D(16, (1, 1))(PitchRows(23, 3, 60)(inputs))
    x = layers.Conv2D(16, (4, 13))(PitchWrap(3)(x))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    assert with_fast_convolutions(model) is model


def test_a_wrap_that_others_read_too_stays():
    inputs = keras.Input((60, 12))
    wrapped = PitchWrap(3)(layers.Conv2D(16, (1, 1))(PitchRows(12, 3, 60)(inputs)))
    both = layers.Add()([layers.Conv2D(16, (4, 13))(wrapped) for _ in range(2)])
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(both))
    assert with_fast_convolutions(model) is model


def test_a_convolution_without_a_bias_is_replaced_too():
    keras.utils.set_random_seed(1)
    model = settle(build_embedder(ModelConfig("simple", 2, ("channel",), **SMALL)))
    fast = with_fast_convolutions(model)
    assert count_fast(fast) == 4
    np.testing.assert_allclose(rows_of(fast, hpcp()), rows_of(model, hpcp()), atol=2e-5)


def test_only_the_kinds_that_are_allowed_are_taken():
    model = build_embedder(ModelConfig("simple", 2, (), **SMALL))
    fast = with_fast_convolutions(model, [kind for kind in FAST if kind is not FourierConvolution])
    assert count(fast, FourierConvolution) == 0
    assert count(fast, PitchFourierConvolution) == 1


def test_mixed_precision_stays_what_it_is():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_embedder(ModelConfig("simple", 2, (), "unrolled", **SMALL))
        circular = with_fast_convolutions(with_twelve_rows(model))
    finally:
        keras.config.set_dtype_policy("float32")
    assert circular.get_layer("stage1_kernel_conv").compute_dtype == "bfloat16"
    assert count_fast(circular) == 0


def assert_computes(layer, x, weights, bias, expected):
    """With this kernel and bias, in the shape it names, and as read back from its settings."""
    layer.build(x.shape)
    layer.set_weights([layer.transformed(weights), bias])
    found = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert layer.compute_output_shape(x.shape) == found.shape
    again = type(layer).from_config(layer.get_config())
    again.build(x.shape)
    assert again.kernel.shape == layer.kernel.shape


# Lengths that give one piece, several, and a last one that is all but empty.
@pytest.mark.parametrize(
    ("kind", "kernel", "vectors"),
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
def test_a_transformed_convolution_is_the_circular_one(kind, kernel, vectors):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 12, vectors, 3)).astype("float32")
    weights, bias = rng.standard_normal((*kernel, 3, 5)), rng.standard_normal(5)
    left = vectors - kernel[1] + 1
    expected = np.zeros((2, 12, left, 5)) + bias
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            expected += np.roll(x, -i, axis=1)[:, :, j : j + left] @ weights[i, j]
    assert_computes(kind(5, kernel), x, weights, bias, expected)


@pytest.mark.parametrize(
    ("columns", "dilation", "rows", "vectors"),
    [(10, 3, 1, 28), (10, 3, 1, 95), (10, 1, 2, 33), (5, 2, 1, 40), (15, 4, 3, 78)],
)
def test_a_dilated_convolution_is_the_direct_one(columns, dilation, rows, vectors):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, rows, vectors, 3)).astype("float32")
    weights, bias = rng.standard_normal((1, columns, 3, 5)), rng.standard_normal(5)
    left = vectors - (columns - 1) * dilation
    expected = np.zeros((2, rows, left, 5)) + bias
    for j in range(columns):
        expected += x[:, :, j * dilation : j * dilation + left] @ weights[0, j]
    layer = DilatedWinogradConvolution(5, columns, dilation)
    assert_computes(layer, x, weights, bias, expected)


@pytest.mark.parametrize(
    ("settings", "replaced"),
    [
        # Stage 0 has one channel.
        (
            ModelConfig("simple", 2, ("channel",), **SMALL),
            {FourierConvolution: 1, PitchFourierConvolution: 1},
        ),
        (ModelConfig("simple", 1, (), **SMALL), {PitchFourierConvolution: 1}),
        pytest.param(
            ModelConfig("wider", 12, (), channels=64, vectors=140),
            {WinogradConvolution: 11},
            marks=ONE_OF_MANY,
        ),
        # Too few rows in stage 0.
        (ModelConfig("simple", 3, (), **SMALL), {FourierConvolution: 2}),
        # Too few columns, then too few channels.
        (ModelConfig("simple", 12, (), **SMALL), {}),
        pytest.param(ModelConfig("wider", 12, (), channels=32, vectors=140), {}, marks=ONE_OF_MANY),
    ],
)
def test_transformed_convolutions_are_taken_where_they_pay(settings, replaced):
    keras.utils.set_random_seed(1)
    model = settle(build_embedder(settings), settings.vectors)
    circular = with_twelve_rows(model)
    fast = with_fast_convolutions(circular)
    kinds = (FourierConvolution, PitchFourierConvolution, WinogradConvolution)
    assert {kind: count(fast, kind) for kind in kinds if count(fast, kind)} == replaced
    assert count(fast, PitchWrap) == count(circular, PitchWrap) - sum(replaced.values())
    # Wherever anything is transformed, the summary's two are.
    summary = 2 if replaced else 0
    assert count(fast, DilatedWinogradConvolution) == summary
    assert count_fast(fast) == sum(replaced.values()) + summary
    for vectors in (settings.vectors, settings.vectors - 3):
        batch = hpcp(4, vectors)
        np.testing.assert_allclose(rows_of(fast, batch), rows_of(model, batch), atol=2e-5)
