"""What a model must beat: values worked out by hand, and by trying all orders."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kinet.baselines import chance_map, mean_chroma
from kinet.errors import DataError
from kinet.metrics import average_precision

SCALE, CHORD = np.eye(12)[[0, 2, 4, 5, 7, 9, 11]], np.eye(12)[[0, 4, 7]]


@pytest.mark.parametrize(("relevant", "others"), [(1, 1), (1, 4), (2, 5), (3, 6), (4, 4)])
def test_chance_is_the_mean_over_all_orders(relevant, others):
    orders = itertools.combinations(range(1, others + 1), relevant)
    expected = np.mean([average_precision(np.array(ranks)) for ranks in orders])
    labels = ["a"] * (relevant + 1) + [str(n) for n in range(others - relevant)]
    assert chance_map(labels) == pytest.approx(expected)


def test_chance_is_the_mean_over_queries_that_have_a_version():
    # Of four others, one is relevant for either a and two for each b.
    labels = ["a", "a", "b", "b", "b"]
    one, two = (chance_map(["x"] * (n + 1) + list("1234"[n:])) for n in (1, 2))
    assert chance_map(labels) == pytest.approx((2 * one + 3 * two) / 5)
    assert chance_map([*labels, "c"]) < chance_map(labels)


def test_mean_chroma_does_not_hear_keys_and_hears_scales():
    hpcp = [SCALE, CHORD, np.roll(SCALE, 3, axis=1), np.roll(CHORD, 10, axis=1)]
    assert mean_chroma(hpcp, ["a", "b", "a", "b"]).map == 1
    # Each looks for the other kind, which comes last or before the last of three.
    assert mean_chroma(hpcp, ["a", "b", "b", "a"]).map < 0.5


def test_centred_vectors_without_a_shape_have_no_direction():
    flat = np.ones((5, 12))
    assert mean_chroma([flat, flat, SCALE], ["a", "a", "b"], centred=True).queries == 2


@pytest.mark.parametrize("labels", [["a", "b"], []])
def test_without_two_versions_there_is_nothing_to_beat(labels):
    with pytest.raises(DataError, match=f"none of {len(labels)} tracks shares its song"):
        chance_map(labels)


def test_mean_chroma_needs_two_versions():
    with pytest.raises(DataError, match="none of 2 tracks shares its song"):
        mean_chroma([SCALE, CHORD], ["a", "b"])
