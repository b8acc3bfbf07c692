"""Ranks to metrics; expected values are worked by hand in the comments."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinet.errors import DataError
from kinet.metrics import average_precision, from_ranks, precision_at_10


def test_average_precision_by_hand():
    # (1/2 + 2/3 + 3/10) / 3 = 22/45
    assert average_precision(np.array([2, 3, 10])) == pytest.approx(22 / 45, abs=1e-15)


def test_average_precision_counts_items_beyond_any_cutoff():
    # (1/1 + 2/1000) / 2; divided by the hits in a top 10 it would be 1
    assert average_precision(np.array([1, 1000])) == pytest.approx(0.501, abs=1e-15)


def test_precision_at_10_always_divides_by_10():
    assert precision_at_10(np.array([1])) == 0.1
    assert precision_at_10(np.array([10, 11])) == 0.1
    assert precision_at_10(np.arange(1, 21)) == 1
    assert precision_at_10(np.array([11])) == 0


def test_two_queries_by_hand():
    # Query 4: ranks 1, 3: AP (1/1 + 2/3)/2 = 5/6, P@10 2/10, first 1, hit.
    # Query 7: rank 4: AP 1/4, P@10 1/10, first 4, no hit.
    metrics = from_ranks([np.array([3, 1]), np.array([4])], [4, 7], tracks=9, songs=3)
    assert metrics.map == pytest.approx((5 / 6 + 1 / 4) / 2, abs=1e-15)
    assert metrics.p10 == pytest.approx(0.15, abs=1e-15)
    assert metrics.mr1 == 2.5
    assert metrics.hit1 == 0.5
    assert (metrics.tracks, metrics.songs) == (9, 3)
    assert (metrics.queries, metrics.queries_left_out) == (2, 7)
    assert metrics.query_index.tolist() == [4, 7]
    assert metrics.average_precision.tolist() == pytest.approx([5 / 6, 1 / 4])
    assert metrics.precision_at_10.tolist() == [0.2, 0.1]
    assert metrics.first_rank.tolist() == [1, 4]
    assert metrics.first_rank.dtype == np.int64
    assert metrics.hit_at_1.tolist() == [True, False]


def test_to_dict_is_json():
    metrics = from_ranks(iter([np.array([1]), np.array([2])]), [0, 1], tracks=2, songs=1)
    values = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert values == {
        "map": 0.75,
        "p10": 0.1,
        "mr1": 1.5,
        "hit1": 0.5,
        "map_interval": list(metrics.map_interval),
        "p10_interval": [0.1, 0.1],
        "mr1_interval": list(metrics.mr1_interval),
        "hit1_interval": list(metrics.hit1_interval),
        "tracks": 2,
        "songs": 1,
        "queries": 2,
        "queries_left_out": 0,
    }


def test_one_query_has_intervals_without_width():
    metrics = from_ranks([np.array([2])], [0], tracks=3, songs=2)
    assert metrics.map_interval == (0.5, 0.5)
    assert metrics.mr1_interval == (2, 2)
    assert metrics.hit1_interval == (0, 0)
    assert metrics.hit_at_1.tolist() == [False]


def test_equal_queries_have_intervals_without_width():
    metrics = from_ranks([np.array([3])] * 7, range(7), tracks=7, songs=1)
    assert metrics.map_interval == (metrics.map, metrics.map)
    assert metrics.p10_interval == (metrics.p10, metrics.p10)
    assert metrics.mr1_interval == (3, 3)
    assert metrics.hit1_interval == (0, 0)


def test_intervals_agree_with_the_normal_approximation():
    rng = np.random.default_rng(0)
    ranks = [np.array([rank]) for rank in rng.integers(1, 100, 2000)]
    metrics = from_ranks(ranks, range(2000), tracks=2000, songs=9)
    first = metrics.first_rank
    half = 1.96 * first.std() / np.sqrt(len(first))
    assert metrics.mr1_interval == pytest.approx(
        (first.mean() - half, first.mean() + half), rel=0.01
    )
    low, high = metrics.mr1_interval
    assert (high - low) / 2 == pytest.approx(half, rel=0.08)  # of 90 % it would be 16 % less


def test_intervals_are_the_same_each_time_and_with_small_batches(monkeypatch):
    ranks = [np.array([rank]) for rank in range(1, 41)]
    metrics = from_ranks(ranks, range(40), tracks=40, songs=20)
    again = from_ranks(ranks, range(40), tracks=40, songs=20)
    monkeypatch.setattr("kinet.metrics._BATCH_VALUES", 1)
    in_small_batches = from_ranks(ranks, range(40), tracks=40, songs=20)
    assert metrics.map_interval == again.map_interval == in_small_batches.map_interval


@settings(deadline=None, derandomize=True)
@given(
    st.lists(
        st.lists(st.integers(1, 60), min_size=1, max_size=12, unique=True), min_size=1, max_size=8
    )
)
def test_ranges(ranks):
    metrics = from_ranks([np.array(r) for r in ranks], range(len(ranks)), tracks=61, songs=2)
    assert 0 < metrics.map <= 1
    assert 0 <= metrics.p10 <= 1
    assert metrics.mr1 >= 1
    for name in ("map", "p10", "mr1", "hit1"):
        low, high = getattr(metrics, f"{name}_interval")
        assert low <= high
    # Best possible: the relevant items come first.
    assert (metrics.map == 1) == all(sorted(r) == list(range(1, len(r) + 1)) for r in ranks)


@pytest.mark.parametrize(
    ("ranks", "index", "message"),
    [
        ([], [], "0 queries with 0 indices; need as many, at least one"),
        ([np.array([1])], [0, 1], "1 queries with 2 indices; need as many"),
        ([np.array([], int)], [0], r"ranks of a query are \[\]; need at least one, all from 1"),
        ([np.array([0, 1])], [0], r"ranks of a query are \[0, 1\]; need at least one, all from 1"),
    ],
)
def test_faulty_ranks(ranks, index, message):
    with pytest.raises(DataError, match=message):
        from_ranks(ranks, index, tracks=3, songs=1)
