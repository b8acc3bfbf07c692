"""Where two recordings match: cross recurrence, longest paths, alignments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinet.config import FeatureConfig
from kinet.errors import DataError
from kinet.matching import Alignment, align
from kinet.matching import recurrence as recurrence_module
from kinet.matching.paths import passages_of, path_lengths
from kinet.matching.recurrence import MOMENT, common_key, cross_recurrence, in_steps

SECONDS = FeatureConfig().seconds_per_vector


def tune(length, seed=0):
    """HPCP in C major in which no two moments are alike."""
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    hpcp = np.zeros((length, 12), np.float32)
    hpcp[:, scale] = np.random.default_rng(seed).random((length, 7)) * [5, 1, 3, 2, 4, 1, 1]
    return hpcp / hpcp.max(axis=1, keepdims=True)


def matrix(picture):
    """A matrix of the lines of a picture: # recurs."""
    return np.array([[mark == "#" for mark in line] for line in picture.split()])


def lengths_of(picture):
    """Lengths in whole vectors."""
    return (path_lengths(matrix(picture)) / 2).tolist()


def brute_force(recurs):
    """Qmax cell by cell, as the paper has it, with one cost of gaps."""
    lengths = np.zeros((len(recurs) + 2, recurs.shape[1] + 2))
    for i, j in np.ndindex(recurs.shape):
        before = max(lengths[i + 1, j + 1], lengths[i, j + 1], lengths[i + 1, j])
        lengths[i + 2, j + 2] = before + 1 if recurs[i, j] else max(0, before - 0.5)
    return lengths[2:, 2:]


def test_a_path_grows_by_one_and_a_gap_takes_half():
    assert lengths_of("#... .#.. ..#. ...#") == [
        [1, 0, 0, 0],
        [0, 2, 0.5, 0],  # (1, 2) from (0, 0) by two columns: 1 - 0.5
        [0, 0.5, 3, 1.5],  # (2, 3) from (1, 1): 2 - 0.5
        [0, 0, 1.5, 4],
    ]


def test_a_path_goes_on_at_half_and_at_twice_the_tempo():
    assert lengths_of("#.... ..#.. ....#")[2][4] == 3
    assert lengths_of("#.. ... .#. ... ..#")[4][2] == 3


def test_a_path_does_not_stand_still():
    assert lengths_of("##") == [[1, 1]]
    assert lengths_of("# #") == [[1], [1]]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 10**6))
def test_rows_at_once_are_what_cell_by_cell_gives(height, width, seed):
    rng = np.random.default_rng(seed)
    recurrence = rng.random((height, width)) < rng.uniform(0.1, 0.9)
    assert (path_lengths(recurrence) / 2).tolist() == brute_force(recurrence).tolist()


def test_the_path_is_traced_from_its_first_to_its_last_cell():
    recurrence = matrix("..... .#... ...#. ....# .....")
    found, longest = passages_of(recurrence, 5, 1)
    assert [(path.tolist(), length) for path, length in found] == [([[1, 1], [2, 3], [3, 4]], 3)]
    assert longest == 3


def test_further_paths_share_no_row_and_no_column_with_longer_ones():
    recurrence = matrix(
        """
        #.....##
        .#.....#
        ..#.....
        ......#.
        ...#...#
        ....#..."""
    )
    found, _ = passages_of(recurrence, 5, 1)
    # From (2, 2) to (4, 3) by two rows: no gap. Of the columns that are left every row is taken.
    assert [path.tolist() for path, _ in found] == [[[0, 0], [1, 1], [2, 2], [4, 3], [5, 4]]]
    recurrence = matrix("..#.. ...#. .....  #.... .#...")
    found, _ = passages_of(recurrence, 5, 1)
    assert [path.tolist() for path, _ in found] == [[[0, 2], [1, 3]], [[3, 0], [4, 1]]]
    assert len(passages_of(recurrence, 5, 2.5)[0]) == 1
    assert len(passages_of(recurrence, 1, 1)[0]) == 1


def test_a_further_path_does_not_lead_through_an_earlier_one():
    recurrence = np.zeros((60, 60), bool)
    recurrence[range(25), range(20, 45)] = True
    recurrence[range(30), range(30)] = True  # the longest, of 30
    recurrence[range(32, 42), range(46, 56)] = True  # would go on from the first of 25
    found, _ = passages_of(recurrence, 5, 1)
    assert [length for _, length in found] == [30, 10]


def test_a_path_is_cut_where_it_bridges_what_only_one_has():
    recurrence = np.zeros((50, 70), bool)
    recurrence[range(20), range(20)] = True
    recurrence[range(30, 50), range(40, 60)] = True  # eleven moves later: ten cells, which cost 5
    (first, second), longest = passages_of(recurrence, 5, 1)
    assert [first[1], second[1], longest] == [20, 20, 35]
    assert [path[[0, -1]].tolist() for path, _ in (first, second)] == [
        [[0, 0], [19, 19]],
        [[30, 40], [49, 59]],
    ]


@pytest.mark.parametrize(
    ("hole", "cells", "lengths"), [(3, 2, [25]), (5, 3, [22]), (6, 4, [13, 11])]
)
def test_four_more_cells_that_do_not_recur_than_do_are_a_bridge(hole, cells, lengths):
    """A path crosses a hole in fewer cells, by two along one axis and then along the other."""
    recurrence = np.eye(30, dtype=bool)
    recurrence[13 : 13 + hole] = False
    found, longest = passages_of(recurrence, 5, 1)
    assert [length for _, length in found] == lengths
    assert longest == 30 - hole - cells / 2


def test_the_longest_passage_counts_however_short_it_is():
    assert [length for _, length in passages_of(np.eye(5, dtype=bool), 5, 99)[0]] == [5]


def test_of_two_equally_long_ways_the_one_at_one_tempo_is_taken():
    found, _ = passages_of(matrix(".#. ##. ..#"), 5, 9)
    assert [path.tolist() for path, _ in found] == [[[1, 1], [2, 2]]]


def test_of_a_passage_no_column_is_taken_again():
    recurrence = np.zeros((60, 60), bool)
    recurrence[range(30), range(30)] = True
    recurrence[range(40, 55), range(5, 20)] = True
    assert [length for _, length in passages_of(recurrence, 5, 1)[0]] == [30]


def test_a_further_passage_does_not_bridge_an_earlier_one():
    """Four moves, of which three are gaps, would lead from one of the shorter ones to the other."""
    recurrence = np.zeros((15, 31), bool)
    recurrence[range(4), range(20, 24)] = True
    recurrence[range(4, 11), range(7)] = True
    recurrence[range(11, 15), range(27, 31)] = True
    assert [length for _, length in passages_of(recurrence, 5, 1)[0]] == [7, 4, 4]


def test_the_longest_passage_comes_first_wherever_it_was_found():
    recurrence = np.zeros((80, 120), bool)
    recurrence[range(30), range(30)] = True
    recurrence[range(40, 50), range(50, 60)] = True  # beyond a bridge of the longest path
    recurrence[range(60, 75), range(32, 47)] = True
    assert [length for _, length in passages_of(recurrence, 5, 1)[0]] == [30, 15, 10]


def test_what_a_path_left_early_is_joined_to_its_passage():
    recurrence = np.zeros((50, 70), bool)
    recurrence[range(24), range(24)] = True  # the path leaves it when four rows are left
    recurrence[range(30, 50), range(46, 66)] = True
    (first, second), longest = passages_of(recurrence, 5, 1)
    assert longest < 20 + 24
    assert [path[[0, -1]].tolist() for path, _ in (first, second)] == [
        [[0, 0], [23, 23]],
        [[30, 46], [49, 65]],
    ]
    assert [first[1], second[1]] == [24, 20]


def test_nothing_recurs_where_nothing_is_heard():
    silence = np.zeros((20, 12), np.float32)
    assert not cross_recurrence(silence, silence).any()
    found = align(silence, silence)
    assert found == Alignment(score=0.0, transposition=0, tempo_ratio=1.0, passages=())


def test_moments_recur_only_if_each_is_near_for_the_other():
    """Of 11 moments of either, one is the nearest: 9.5 % of 11 is 1."""
    a = np.zeros((16, 12), np.float32)
    a[np.arange(16), np.arange(16) % 12] = 1
    recurrence = cross_recurrence(a, a)
    assert recurrence.shape == (16 - MOMENT + 1, 16 - MOMENT + 1)
    assert np.array_equal(recurrence, np.eye(11, dtype=bool))
    b = np.vstack([a[:8], a[:8]])  # the moments that begin at 0 to 2 are there twice
    assert np.flatnonzero(cross_recurrence(a, b)[0]).tolist() == [0, 8]


@pytest.mark.parametrize("semitones", range(12))
def test_the_common_key_is_found_by_a_common_passage(semitones):
    """What surrounds it is in another key, and the mean of all is that of neither."""
    passage, other = tune(20), np.roll(tune(60, seed=1), 6, axis=1)
    a, b = np.vstack([other[:30], passage]), np.vstack([passage, other[30:]])
    assert (common_key(passage, np.roll(b, semitones, axis=1)) + semitones) % 12 == 0
    assert common_key(np.roll(b, semitones, axis=1), passage) == semitones
    assert common_key(a, a) == 0


@pytest.mark.parametrize(("semitones", "told"), [(0, 0), (3, 3), (6, 6), (7, -5), (11, -1)])
def test_the_transposition_is_how_far_the_second_is_above_the_first(semitones, told):
    hpcp = tune(100)
    found = align(hpcp, np.roll(hpcp, semitones, axis=1))
    assert (found.score, found.transposition, found.tempo_ratio) == (1.0, told, 1.0)


def test_a_part_is_found_in_its_place():
    hpcp = tune(200)
    found = align(hpcp[60:120], hpcp)
    (passage,) = found.passages
    assert found.score == 1
    assert passage.length == 60 - MOMENT + 1
    times = (passage.start_a, passage.end_a, passage.start_b, passage.end_b)
    assert times == pytest.approx((0, 60 * SECONDS, 60 * SECONDS, 120 * SECONDS))
    assert np.array_equal(passage.path[:, 1], passage.path[:, 0] + 60)


def test_parts_in_another_order_are_passages_of_their_own():
    verse, chorus = tune(60, seed=1), tune(40, seed=2)
    found = align(np.vstack([verse, chorus]), np.vstack([chorus, verse]))
    starts = [(round(p.start_a / SECONDS), round(p.start_b / SECONDS)) for p in found.passages]
    assert starts == [(0, 40), (60, 0)]
    assert [p.length for p in found.passages] == [55, 35]


def test_a_faster_recording_has_a_tempo_ratio_above_one():
    notes = tune(50)
    slow, fast = np.repeat(notes, 5, axis=0), np.repeat(notes, 4, axis=0)
    assert align(slow, fast).tempo_ratio == pytest.approx(5 / 4, rel=0.02)
    assert align(fast, slow).tempo_ratio == pytest.approx(4 / 5, rel=0.02)


def test_what_is_exchanged_is_told_the_other_way_round():
    a = tune(120)
    b = np.roll(a[20:100], 4, axis=1) + 0.3 * tune(80, seed=5)
    there, back = align(a, b), align(b, a)
    assert there.score == back.score
    assert (there.transposition, back.transposition) == (4, -4)
    assert there.passages[0].start_a == back.passages[0].start_b


def test_other_songs_have_a_low_score_and_no_further_passages():
    scores = [align(tune(150, seed), tune(150, seed + 50)).score for seed in range(10)]
    assert max(scores) < 0.4


def test_seconds_are_those_of_the_settings():
    hpcp = tune(40)
    (passage,) = align(hpcp, hpcp, FeatureConfig(hop_size=512)).passages
    assert passage.end_a == pytest.approx(40 * SECONDS / 2)


def test_recordings_that_cannot_be_aligned_are_refused():
    hpcp = tune(10)
    with pytest.raises(DataError, match="the second recording has 5 vectors; need at least 6"):
        align(hpcp, hpcp[:5])
    with pytest.raises(DataError, match=r"HPCP of the first recording: is \(12, 10\): transposed"):
        align(hpcp.T, hpcp)
    with pytest.raises(DataError, match="HPCP of the second recording: 1 of 120 values are NaN"):
        align(hpcp, np.where(np.arange(120).reshape(10, 12) == 7, np.nan, hpcp))


def test_long_recordings_are_aligned_in_coarser_steps(rng, monkeypatch):
    monkeypatch.setattr(recurrence_module, "_MOST_CELLS", 300 * 200)
    mix, seconds = np.repeat(rng.random((150, 12), dtype=np.float32), 4, axis=0), SECONDS
    found = align(mix[200:400], np.roll(mix, 3, axis=1))
    assert (found.score, found.transposition, found.tempo_ratio) == (1.0, 3, 1.0)
    (passage,) = found.passages
    times = (passage.start_a, passage.end_a, passage.start_b, passage.end_b)
    assert times == pytest.approx((0, 200 * seconds, 200 * seconds, 400 * seconds), abs=2 * seconds)
    # Steps of 2: of each second vector, and so many vectors match.
    assert np.unique(np.diff(passage.path[:, 0])).tolist() == [2]
    assert passage.length == 2 * len(passage.path)
    whole = np.zeros((7, 12), np.float32)
    assert in_steps(whole, np.zeros((10**5, 12), np.float32))[2] == 1
