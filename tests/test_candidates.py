"""Pairs of recordings that are worth aligning, against all that could be."""

from __future__ import annotations

import numpy as np
import pytest

from kinet.library import candidates as module
from kinet.library.candidates import candidates
from kinet.library.snapshot import Snapshot


def made_up(counts, seed=0, size=16):
    """A snapshot of so many pieces of each recording."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((sum(counts), size)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Snapshot(
        *((b"", 0), rows, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)),
        *(np.arange(len(counts)), np.zeros(len(counts), np.uint64)),
        *(rng.random(len(counts)).astype(np.float32) / 5, np.ones(len(counts), np.int64)),
    )


def pieces_of(snapshot, place):
    return snapshot.vectors[snapshot.starts[place] : snapshot.starts[place + 1]].astype(float)


def whole(snapshot):
    return np.ones(len(snapshot.numbers), np.float32)


def expected(snapshot, shares, kept=10):
    """One pair at a time: the mean, over the pieces of one, of the best piece of the other.

    What one fills of a window is by how much the hubs of the others count to it.
    """
    count = len(snapshot.numbers)
    pairs = {}
    for one in range(count):
        like = {
            other: (pieces_of(snapshot, one) @ pieces_of(snapshot, other).T).max(axis=1).mean()
            for other in range(count)
            if other != one
        }
        behind = {n: shares[one] * snapshot.hubs[n] - 2 * like[n] for n in like}
        for other in sorted(behind, key=behind.get)[:kept]:
            pairs[min(one, other), max(one, other)] = like[other]
    return pairs


@pytest.mark.parametrize(
    "counts",
    [
        [3] * 60,
        # Each differently long; then one that is as long as all others together.
        [1 + place * 7 % 5 for place in range(60)],
        [2] * 25 + [70] + [1] * 9,
        [4] * 11,
        [1, 2],
    ],
)
def test_they_are_what_each_pair_by_itself_would_give(counts, monkeypatch):
    # Several lots, and several blocks for each.
    monkeypatch.setattr(module, "_AT_ONCE", 16)
    monkeypatch.setattr(module, "_PRODUCTS", 300)
    snapshot = made_up(counts)
    shares = np.random.default_rng(1).random(len(counts)).astype(np.float32)
    found, right = candidates(snapshot, shares), expected(snapshot, shares)
    assert list(found) == sorted(right)
    for pair, similarity in found.items():
        assert similarity == pytest.approx(right[pair], abs=1e-6)


def test_to_a_short_recording_hubs_count_less_and_to_a_whole_one_fully():
    snapshot = made_up([1] * 40)
    short = expected(snapshot, np.zeros(40), kept=10).keys()
    assert short != expected(snapshot, np.ones(40), kept=10).keys()
    assert candidates(snapshot, np.zeros(40, np.float32)).keys() == short


@pytest.mark.parametrize("counts", [[], [5]])
def test_nothing_is_to_be_compared(counts):
    assert candidates(made_up(counts), np.ones(len(counts), np.float32)) == {}


def test_the_similarities_are_those_of_a_search():
    snapshot = made_up([1, 4, 2, 3])
    alike = snapshot.similarities([pieces_of(snapshot, n).astype(np.float32) for n in range(4)])
    for (one, other), similarity in candidates(snapshot, whole(snapshot)).items():
        assert similarity == pytest.approx(alike[other, one], abs=1e-6)


def test_all_pairs_are_counted(monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 4)
    told = []
    snapshot = made_up([2] * 10)
    candidates(snapshot, whole(snapshot), lambda done, total: told.append((done, total)))
    assert told == [(30, 45), (44, 45), (45, 45)]


def test_one_long_recording_does_not_make_all_as_long(monkeypatch):
    lots = list(module._lots(made_up([2] * 40 + [500] + [2] * 40).starts))
    assert [end for _, end in lots[:-1]] == [begin for begin, _ in lots[1:]]
    for begin, end in lots:
        longest = 500 if begin <= 40 < end else 2
        assert longest * (end - begin) <= 2 * (2 * (end - begin) + (longest - 2))
