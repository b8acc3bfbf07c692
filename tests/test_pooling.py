"""Pooling over time with learned exponents in place of the mean."""

from __future__ import annotations

from math import log

import keras
import numpy as np
import pytest

import kinet
from kinet.config import ModelConfig
from kinet.embeddings import embed_arrays, fast_embedder
from kinet.errors import SettingsError
from kinet.layers import AutoPool, GeneralisedMean

SMALL = {"stages": 2, "channels": 8, "attention": (), "embedding_size": 8, "vectors": 150}


@pytest.mark.parametrize(("exponent", "expected"), [(1.0, 2.5), (2.0, 7.5**0.5), (200.0, 4.0)])
def test_exponents_lead_from_the_mean_to_the_maximum(exponent, expected):
    layer = GeneralisedMean(exponent)
    values = np.array([1.0, 2, 3, 4], np.float32).reshape(1, 1, 4, 1) / 4
    # Powers of 200 underflow for all but the largest value, which is one.
    pooled = keras.ops.convert_to_numpy(layer(values))
    np.testing.assert_allclose(4 * pooled, [[expected]], rtol=1e-2 if exponent > 100 else 1e-5)


def test_negative_values_count_as_the_floor():
    pooled = GeneralisedMean(1.0, floor=0.5)(np.array([-3.0, 1.5], np.float32).reshape(1, 1, 2, 1))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(pooled), [[1.0]])


def test_every_channel_has_an_exponent_of_its_own():
    layer = GeneralisedMean(1.0)
    layer.build((None, 1, None, 2))
    layer.p.assign([1.0, 2.0])
    values = np.array([[1.0, 1.0], [3.0, 3.0]], np.float32).reshape(1, 1, 2, 2)
    pooled = keras.ops.convert_to_numpy(layer(values))
    np.testing.assert_allclose(pooled, [[2.0, 5**0.5]], rtol=1e-6)


def auto(values, alpha):
    pooled = AutoPool(alpha)(np.array(values, np.float32).reshape(1, 1, -1, 1))
    return float(keras.ops.convert_to_numpy(pooled)[0, 0])


def test_autopool_leads_from_the_minimum_over_the_mean_to_the_maximum():
    # Weights of exp(alpha x): 1, 3 and 9 for x of -1, 0 and 1.
    assert auto([-1, 0, 1], log(3)) == pytest.approx((-1 + 9) / (1 + 3 + 9), rel=1e-5)
    assert auto([-1, 0, 4], 0.0) == pytest.approx(1.0)
    assert auto([-1, 0, 4], 100.0) == pytest.approx(4.0)
    assert auto([-1, 0, 4], -100.0) == pytest.approx(-1.0)


def test_autopool_has_an_exponent_for_every_channel_and_weighs_over_rows_and_time():
    layer = AutoPool()
    layer.build((None, 2, None, 2))
    layer.a.assign([0.0, log(3)])
    values = np.array([0, 0, 1, 1, 1, 1, 2, 2], np.float32).reshape(1, 2, 2, 2)
    pooled = keras.ops.convert_to_numpy(layer(values))
    # The second channel's weights: 1, 3, 3, 9.
    np.testing.assert_allclose(pooled, [[1.0, (3 + 3 + 18) / 16]], rtol=1e-6)


def test_autopool_begins_as_the_mean(rng):
    values = rng.standard_normal((2, 1, 9, 3)).astype(np.float32)
    pooled = keras.ops.convert_to_numpy(AutoPool()(values))
    np.testing.assert_allclose(pooled, values.mean(axis=(1, 2)), atol=1e-6)


def test_the_mean_stays_the_default():
    assert ModelConfig().pooling == "mean"
    assert ModelConfig.from_dict({"stages": 4}).pooling == "mean"


@pytest.mark.parametrize("pooling", ["gem", "autopool"])
def test_a_network_with_it_embeds_any_length_and_keeps_to_its_fast_form(pooling, rng, tmp_path):
    model = kinet.build("wider", pooling=pooling, **SMALL)
    # Off the value at which it begins.
    pool = model.get_layer("summary")
    pool.set_weights([weight + rng.random(weight.shape) for weight in pool.get_weights()])
    hpcp = [rng.random((150, 12)).astype(np.float32) for _ in range(3)]
    rows = kinet.embed(model, hpcp)
    np.testing.assert_allclose(embed_arrays(fast_embedder(model), hpcp, None, 3), rows, atol=1e-5)
    assert kinet.embed(model, hpcp, vectors=200).shape == (3, 8)
    kinet.save(model, tmp_path / "model.keras")
    np.testing.assert_allclose(
        kinet.embed(kinet.load(tmp_path / "model.keras"), hpcp), rows, atol=1e-6
    )


@pytest.mark.parametrize("pooling", ["gem", "autopool"])
def test_it_does_not_see_the_key(pooling, rng):
    model = kinet.build("wider", pooling=pooling, **SMALL)
    hpcp = rng.random((150, 12)).astype(np.float32)
    here, there = kinet.embed(model, [hpcp, np.roll(hpcp, 4, axis=1)])
    np.testing.assert_allclose(here, there, atol=1e-5)


def test_an_unknown_pooling_is_told():
    with pytest.raises(SettingsError, match="pooling is 'max'; allowed: mean, gem, autopool"):
        ModelConfig(pooling="max")
