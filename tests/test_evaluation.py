"""Ranking: against hand-worked lists, a full sort, and the values of the original code."""

from __future__ import annotations

import csv
import json
import pathlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinet import evaluation
from kinet.commands.eval import _per_query
from kinet.data.tracks import Track
from kinet.errors import DataError, SettingsError
from kinet.evaluation import evaluate

ORIGINAL = json.loads(pathlib.Path(__file__).with_name("data").joinpath("metrics.json").read_text())
PER_QUERY = ("query_index", "average_precision", "precision_at_10", "first_rank", "hit_at_1")


def made_up(tracks: int, songs: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Small integers, hence many ties, repeated rows and rows of zeros; labels in disorder."""
    rng = np.random.default_rng(seed)
    embeddings = rng.integers(-1, 2, (tracks, 3)).astype(np.float32)
    return embeddings, rng.integers(0, songs, tracks)


def by_full_sort(embeddings, labels, protocol):
    """Per query AP, P@10, first rank and hit by sorting and walking through every list.

    The rows are small integers. Then dot * |dot| / (length squared) orders the tracks as their
    cosine does, and is the same number wherever the cosine is.
    """
    rows = np.asarray(embeddings, dtype=np.float64)
    dots = rows @ rows.T
    cosines = dots * np.abs(dots) / np.maximum((rows**2).sum(axis=1), 1)
    found = []
    for query in range(len(labels)):
        if protocol == "original":
            cosines[query, query] = 0
        hits, rank = [], 0
        for track in np.argsort(-cosines[query], kind="stable"):
            if track == query and protocol == "standard":
                continue
            rank += 1
            if track != query and labels[track] == labels[query]:
                hits.append(rank)
        if hits:
            precision = sum((i + 1) / r for i, r in enumerate(hits)) / len(hits)
            found.append((query, precision, sum(r <= 10 for r in hits) / 10, hits[0], hits[0] == 1))
    return [np.array(column) for column in zip(*found, strict=True)]


def same(one, two):
    for name in PER_QUERY:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
    assert one.to_dict() == two.to_dict()


@pytest.mark.parametrize("case", range(len(ORIGINAL)))
@pytest.mark.parametrize(
    ("protocol", "key"), [("original", "seed_code"), ("standard", "query_removed")]
)
def test_values_of_the_original_code(case, protocol, key):
    case = ORIGINAL[case]
    metrics = evaluate(case["embedding"], case["labels"], protocol=protocol)
    expected = case[key]
    assert metrics.map == pytest.approx(expected["mAP"], abs=1e-6)
    assert metrics.p10 == pytest.approx(expected["P10"], abs=1e-6)
    assert metrics.mr1 == pytest.approx(expected["MR1"], abs=1e-6)


def test_by_hand():
    # Cosines: a1-a2 .994, a1-b1 0, a1-b2 .8, a2-b1 .110, a2-b2 .861, b1-b2 .6
    # a1: a2 first; a2: a1 first; b1: b2 first; b2: a2, a1, b1, so rank 3.
    metrics = evaluate([[1, 0], [0.9, 0.1], [0, 1], [0.8, 0.6]], ["a", "a", "b", "b"])
    assert metrics.first_rank.tolist() == [1, 1, 1, 3]
    assert metrics.map == pytest.approx((1 + 1 + 1 + 1 / 3) / 4)
    assert metrics.hit1 == 0.75
    assert (metrics.tracks, metrics.songs, metrics.queries_left_out) == (4, 2, 0)


def test_negative_cosine_ranks_below_the_query_only_in_the_reference():
    # One relevant item, opposite to its query, and nothing else.
    embeddings, labels = [[1, 0], [-1, 0]], ["a", "a"]
    assert evaluate(embeddings, labels).first_rank.tolist() == [1, 1]
    assert evaluate(embeddings, labels, protocol="original").first_rank.tolist() == [2, 2]


def test_a_cosine_of_zero_ties_with_the_query_only_in_the_reference():
    embeddings, labels = [[1, 0], [0, 1]], ["a", "a"]
    assert evaluate(embeddings, labels).first_rank.tolist() == [1, 1]
    # Query 0 comes before item 1 in the list; item 0 comes before query 1.
    assert evaluate(embeddings, labels, protocol="original").first_rank.tolist() == [2, 1]


def test_equal_tracks_rank_in_the_order_of_the_list():
    # Five equal tracks; for query 3 the item 1 has 0 before it, for query 1 item 3 has 0 and 2.
    metrics = evaluate(np.ones((5, 2)), ["x", "a", "y", "a", "z"])
    assert metrics.query_index.tolist() == [1, 3]
    assert metrics.first_rank.tolist() == [3, 2]


def test_rows_of_zeros_have_cosine_zero_with_everything():
    # Query 0 is a track of zeros, so all three others tie; 3 is the third.
    # Query 3 finds 1 (cosine 1), then 0 (cosine 0), then 2 (-1).
    metrics = evaluate([[0, 0], [1, 0], [-1, 0], [2, 0]], ["a", "b", "c", "a"])
    assert metrics.first_rank.tolist() == [3, 2]
    assert metrics.queries_left_out == 2


def test_songs_of_one_version_are_ranked_but_left_out_as_queries():
    metrics = evaluate([[1, 0], [0, 1], [1, 0.1]], ["a", "a", "alone"])
    assert metrics.first_rank.tolist() == [2, 2]
    assert (metrics.queries, metrics.queries_left_out, metrics.songs) == (2, 1, 2)


def test_the_length_of_a_row_does_not_matter():
    embeddings, labels = made_up(40, 8)
    scales = np.logspace(-300, 300, 40)[:, None]
    same(evaluate(embeddings, labels), evaluate(embeddings * scales, labels))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["i1", "f2", "f4", "f8"])
def test_the_type_and_layout_of_the_array_do_not_matter(dtype, order):
    embeddings, labels = made_up(40, 8)
    same(
        evaluate(embeddings, labels),
        evaluate(np.asarray(embeddings, dtype=dtype, order=order), labels),
    )


def test_labels_can_be_anything_hashable():
    embeddings, labels = made_up(40, 8)
    expected = evaluate(embeddings, labels)
    same(expected, evaluate(embeddings, [f"song {label}" for label in labels]))
    same(expected, evaluate(embeddings, ((label, "x") for label in labels.tolist())))
    same(expected, evaluate(embeddings, labels.astype(str)))


@pytest.mark.parametrize("protocol", ["standard", "original"])
@pytest.mark.parametrize(
    ("counted", "per_item"),
    [(0, 0), (10**9, 0), (10**9, 10**9)],
    ids=["sorted", "counted", "searched"],
)
def test_agrees_with_a_full_sort(protocol, counted, per_item, monkeypatch):
    monkeypatch.setattr(evaluation, "_COUNTED_ITEMS", counted)
    monkeypatch.setattr(evaluation, "_TRACKS_PER_ITEM", per_item)
    for seed, (tracks, songs) in enumerate([(2, 1), (30, 6), (150, 40), (300, 2)]):
        embeddings, labels = made_up(tracks, songs, seed)
        metrics = evaluate(embeddings, labels, protocol=protocol)
        for name, expected in zip(
            PER_QUERY, by_full_sort(embeddings, labels, protocol), strict=True
        ):
            np.testing.assert_allclose(
                getattr(metrics, name), expected, rtol=0, atol=1e-15, err_msg=name
            )


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 70), st.sampled_from(["standard", "original"]))
def test_the_block_size_does_not_matter(seed, chunk, protocol):
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(60, 17)).astype(np.float32)
    embeddings[rng.integers(0, 60, 20)] = embeddings[rng.integers(0, 60, 20)]
    labels = rng.integers(0, 12, 60)
    same(
        evaluate(embeddings, labels, protocol=protocol, chunk=chunk),
        evaluate(embeddings, labels, protocol=protocol),
    )


@settings(deadline=None, derandomize=True)
@given(st.permutations(range(30)), st.sampled_from(["standard", "original"]))
def test_the_order_of_the_list_does_not_matter_without_ties(order, protocol):
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(30, 8)), np.arange(30) // 4
    one = evaluate(embeddings, labels, protocol=protocol)
    two = evaluate(embeddings[order], labels[order], protocol=protocol)
    np.testing.assert_array_equal(one.first_rank[order], two.first_rank)
    np.testing.assert_array_equal(one.average_precision[order], two.average_precision)
    assert two.map == pytest.approx(one.map, abs=1e-14)


def test_sums_are_exact():
    # Any order of the additions gives the same bits, so that equal tracks tie everywhere.
    rng = np.random.default_rng(0)
    units = evaluation._on_the_grid(rng.normal(size=(50, 128)))
    one = units @ units.T
    two = units[:, ::-1] @ units[:, ::-1].T
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(np.diag(one), 1, atol=1e-7)


def test_progress_is_told_after_every_block():
    calls = []
    embeddings, labels = made_up(25, 1)
    evaluate(embeddings, labels, chunk=10, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(10, 25), (20, 25), (25, 25)]


def test_a_song_with_very_many_versions_needs_little_memory_and_time():
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(1500, 8))
    tracemalloc.start()
    metrics = evaluate(embeddings, np.zeros(1500, int), chunk=10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert metrics.map == pytest.approx(1)  # everything is relevant
    assert peak < 1500 * 1500 * 2  # bytes: less than even a quarter of a float64 N x N


def test_perfect_and_worst():
    songs = np.repeat(np.arange(4), 3)
    perfect = evaluate(np.eye(4)[songs], songs)
    assert (perfect.map, perfect.mr1, perfect.hit1) == (1, 1, 1)
    # Two songs of two, each version opposite to its other: rank 3 of 3.
    worst = evaluate([[1, 0], [-1, 0], [1, 0.1], [-1, 0.1]], [0, 0, 1, 1])
    assert worst.mr1 > 2
    assert worst.hit1 == 0


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        (np.ones(4), [0] * 4, r"embeddings have shape \(4,\); need \(N, D\) with N >= 2"),
        (np.ones((1, 4)), [0], r"embeddings have shape \(1, 4\); need"),
        (np.ones((4, 0)), [0] * 4, r"embeddings have shape \(4, 0\); need .* D >= 1"),
        ([], [], r"embeddings have shape \(0,\); need"),
        ([[1, 2], [1]], [0, 0], "embeddings have rows of unequal length; need"),
        ([["a"], ["b"]], [0, 0], "embeddings have type <U1; need real numbers"),
        (np.ones((2, 2), complex), [0, 0], "embeddings have type complex128; need real numbers"),
        (
            [[1.0], [np.nan], [np.inf]],
            [0] * 3,
            "2 of 3 embeddings have NaN or infinite values, the first at row 1; need finite",
        ),
        (np.ones((3, 2)), [0, 0], "3 embeddings with 2 labels; need one label each"),
        (np.ones((2, 2)), [[0], [0]], "labels: unhashable type: 'list'; need one string or int"),
        (np.ones((2, 2)), 7, "labels: 'int' object is not iterable; need one string or integer"),
        (np.ones((3, 2)), "abc", "none of 3 tracks shares its song with another; need two"),
    ],
)
def test_faulty_input(embeddings, labels, message):
    with pytest.raises(DataError, match=message):
        evaluate(embeddings, labels)


def test_unknown_protocol():
    with pytest.raises(SettingsError, match="unknown protocol 'standart', did you mean 'standard'"):
        evaluate(np.ones((2, 2)), [0, 0], protocol="standart")


def test_block_below_one():
    with pytest.raises(SettingsError, match="chunk is 0; allowed: an integer from 1"):
        evaluate(np.ones((2, 2)), [0, 0], chunk=0)


def test_the_table_of_queries_says_what_they_are_and_holds_no_formula():
    tracks = [Track("a", "1", Path()), Track("a", "=2+3", Path()), Track("b", "1", Path())]
    metrics = evaluate([[1, 0], [0, 1], [1, 1]], ["a", "a", "b"])
    origins = [("Help!", "/music/Help!.mp3"), ("=cmd|x", "-1.mp3"), ("", "")]
    header, *lines = list(csv.reader(_per_query(metrics, tracks, origins).splitlines()))
    assert header == [
        *("song_id", "version_id", "average_precision", "precision_at_10", "first_rank"),
        *("title", "recording"),
    ]
    assert lines == [
        ["a", "1", "0.5", "0.1", "2", "Help!", "/music/Help!.mp3"],
        ["a", "'=2+3", "0.5", "0.1", "2", "'=cmd|x", "'-1.mp3"],
    ]
