"""The nearest songs."""

from __future__ import annotations

import numpy as np
import pytest

from kinet.errors import DataError
from kinet.search import Match, nearest_songs

ROWS = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.8, 0.6]], np.float32)


def test_a_song_counts_by_its_nearest_version():
    # Cosines with (0.8, 0.6): 0.8, 0.6, 0.96, 1.
    matches = nearest_songs(ROWS, ["a", "b", "b", "a"], [0.8, 0.6])
    assert [(m.song_id, m.index) for m in matches] == [("a", 3), ("b", 2)]
    assert [m.cosine for m in matches] == pytest.approx([1.0, 0.96])


def test_so_many_songs_at_most():
    assert nearest_songs(ROWS, list("abcd"), [1, 0], count=1) == [Match("a", 0, 1.0)]


def test_of_equals_the_one_listed_first():
    matches = nearest_songs(np.ones((3, 1)), ["c", "a", "b"], [1])
    assert [m.song_id for m in matches] == ["c", "a", "b"]


def test_shapes_that_do_not_fit_are_refused():
    message = r"embeddings \(4, 2\), 3 songs and a query \(2,\); allowed: \(N, D\), N and \(D,\)"
    with pytest.raises(DataError, match=message):
        nearest_songs(ROWS, ["a", "b", "c"], [1, 0])
    with pytest.raises(DataError, match=r"a query \(3,\)"):
        nearest_songs(ROWS, list("abcd"), [1, 0, 0])


@pytest.mark.parametrize(
    ("row", "length"), [([0.6, np.nan], "nan"), ([3.0, 4.0], "5"), ([0.0, 0.0], "0")]
)
def test_rows_that_are_not_of_length_1_are_refused(row, length):
    """Their products are no cosines, and a NaN is nearer than nothing and farther than nothing."""
    rows = ROWS.copy()
    rows[2] = row
    message = f"1 of 4 rows of embeddings are not of length 1, the first, row 2, of length {length}"
    with pytest.raises(DataError, match=message):
        nearest_songs(rows, list("abcd"), [1, 0])
    with pytest.raises(DataError, match=f"1 of 1 rows of the query .* of length {length}"):
        nearest_songs(ROWS, list("abcd"), row)
