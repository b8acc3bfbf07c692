"""Embedders made of embedders."""

from __future__ import annotations

import numpy as np
import pytest

from kinet.combined import at_own_lengths, with_descriptor
from kinet.embeddings import Embedder, embed_arrays
from kinet.errors import SettingsError
from kinet.features.fourier_magnitudes import learn_components


def counting(lengths):
    """An embedder of two numbers that keeps the lengths that it is given."""

    def embed(batch):
        lengths.append(batch.shape[1])
        means = batch.mean(axis=(1, 2))
        return np.column_stack([np.cos(means), np.sin(means)])

    return Embedder(embed, 2, 400, 50, None)


def test_padding_does_not_reach_the_network(rng):
    lengths = []
    embedder = at_own_lengths(counting(lengths), step=10)
    hpcp = [rng.random((n, 12)) + 0.01 for n in (20, 64, 69, 105, 400, 450)]
    rows = embed_arrays(embedder, hpcp, None, 6)
    assert lengths == [50, 60, 100, 400]
    means = [np.pad(hpcp[0], ((0, 30), (0, 0))).mean(), hpcp[1][:60].mean(), hpcp[2][:60].mean()]
    means += [hpcp[3][:100].mean(), hpcp[4].mean(), hpcp[5][:400].mean()]
    expected = np.column_stack([np.cos(means), np.sin(means)])
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_a_silent_track_is_embedded(rng):
    rows = at_own_lengths(counting([])).embed(np.zeros((1, 400, 12)))
    assert np.isfinite(rows).all()


def test_a_model_of_one_length_cannot_take_others():
    fixed = Embedder(lambda batch: batch[:, 0, :2], 2, 400, 400, 400)
    with pytest.raises(SettingsError, match="ties this model to T = 400"):
        at_own_lengths(fixed)


def test_the_cosine_of_the_sum_is_the_mean_of_both_cosines(rng):
    network = counting([])
    components = learn_components([rng.random((90, 12)) for _ in range(20)], size=6)
    both = with_descriptor(network, components, weight=0.25)
    batch = rng.random((3, 400, 12)).astype(np.float32)
    rows = both.embed(batch)
    assert rows.shape == (3, both.size) == (3, 8)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    nets, descriptors = network.embed(batch), components.describe_batch(batch)
    expected = 0.25 * nets @ nets.T + 0.75 * descriptors @ descriptors.T
    np.testing.assert_allclose(rows @ rows.T, expected, atol=1e-5)


@pytest.mark.parametrize("weight", [-0.1, 1.1])
def test_an_impossible_weight_is_told(rng, weight):
    components = learn_components([rng.random((90, 12)) for _ in range(4)], size=2)
    with pytest.raises(SettingsError, match="allowed: from 0 to 1"):
        with_descriptor(counting([]), components, weight)
