"""A network and a descriptor as one model, and tracks that are padded."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from networks import SMALL, rows_of, settle

import kinet
from kinet.combined import with_descriptor
from kinet.errors import SettingsError
from kinet.features.fourier_magnitudes import HOP, Components
from kinet.heard import FourierDescriptor, PlayAgain

PATCHES = (12, 24)
WIDTH = 12 * (7 + 13)
LENGTHS = (110, 60, 20, 7, 109)


@pytest.fixture(scope="module")
def components():
    rng = np.random.default_rng(2)
    mean, axes = rng.random(WIDTH) * 0.1, rng.standard_normal((6, WIDTH))
    return Components(PATCHES, mean.astype(np.float32), axes.astype(np.float32))


@pytest.fixture(scope="module")
def network():
    return settle(kinet.build("wider", 3, attention=(), **SMALL))


@pytest.fixture(scope="module")
def both(network, components):
    return with_descriptor(network, components, weight=0.25)


@pytest.fixture(scope="module")
def padded():
    """Tracks of several lengths, padded with zeros to 110 vectors."""
    rng = np.random.default_rng(4)
    tracks = np.zeros((len(LENGTHS), 110, 12), np.float32)
    for track, length in zip(tracks, LENGTHS, strict=True):
        track[:length] = rng.random((length, 12)) ** 3 + 0.01
    return tracks


@pytest.fixture(scope="module")
def again(padded):
    """The same, played again in place of the zeros."""
    pairs = zip(padded, LENGTHS, strict=True)
    return np.stack([np.resize(track[:length], (110, 12)) for track, length in pairs])


def test_where_a_track_ends_it_begins_again(padded, again):
    inputs = keras.Input((None, 12))
    model = keras.Model(inputs, PlayAgain()(inputs))
    np.testing.assert_array_equal(rows_of(model, padded), again)
    silent = np.zeros((1, 110, 12), np.float32)
    np.testing.assert_array_equal(rows_of(model, silent), silent)


def test_the_layer_gives_the_descriptor(components, padded):
    layer = FourierDescriptor(PATCHES, components.size, HOP)
    inputs = keras.Input((None, 12))
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([components.mean, components.axes])
    silent = np.zeros((1, 110, 12), np.float32)
    batch = np.concatenate([padded, silent])
    np.testing.assert_allclose(rows_of(model, batch), components.describe_batch(batch), atol=2e-6)


def test_the_cosine_of_both_is_the_mean_of_both_cosines(network, components, both, padded, again):
    rows = rows_of(both, padded)
    assert rows.shape == (len(LENGTHS), 16 + 6)
    nets, descriptors = rows_of(network, again), components.describe_batch(padded)
    expected = 0.25 * nets @ nets.T + 0.75 * descriptors @ descriptors.T
    np.testing.assert_allclose(rows @ rows.T, expected, atol=1e-5)


def test_both_in_one_file(both, padded, tmp_path):
    kinet.save(both, tmp_path / "both.keras")
    loaded = kinet.load(tmp_path / "both.keras")
    np.testing.assert_allclose(rows_of(loaded, padded), rows_of(both, padded), atol=1e-6)
    assert loaded.metadata.model.stages == 3


def test_the_fast_form_of_both_gives_the_same(both, padded):
    from kinet.inference import fast_form

    np.testing.assert_allclose(fast_form(both)(padded), rows_of(both, padded), atol=1e-5)


def test_training_goes_on_from_the_network_in_it(network, both):
    from kinet.training.starting import copy_weights

    other = kinet.build("wider", 3, attention=(), **SMALL)
    copy_weights(both, other)
    for one, two in zip(other.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("weight", [0, 1, 1.1, float("nan")])
def test_an_impossible_weight_is_told(network, components, weight):
    with pytest.raises(SettingsError, match="allowed: above 0 and below 1"):
        with_descriptor(network, components, weight)


def test_patches_longer_than_the_network_needs_are_told(network):
    width = 12 * 101
    long = Components((200,), np.zeros(width, np.float32), np.ones((2, width), np.float32))
    with pytest.raises(SettingsError, match="patches of 200 vectors; allowed: up to the least T"):
        with_descriptor(network, long)
