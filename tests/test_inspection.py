"""Every fault of a list and its features is told, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from kinet.data.feature_files import feature_path
from kinet.data.inspection import Problem, inspect
from kinet.data.tracks import Track


@pytest.fixture
def track(tmp_path):
    """Save features and return the track; without features there is no file."""

    def make(song, version, values=None):
        path = feature_path(tmp_path, song, version)
        if values is not None:
            np.save(path, values)
        return Track(song, version, path)

    return make


def hpcp(seed, vectors=30):
    return np.random.default_rng(seed).random((vectors, 12))


@pytest.fixture
def good(track):
    return [track("s1", version, hpcp(seed)) for seed, version in enumerate(("v1", "v2"))]


def test_nothing_is_wrong(good):
    assert inspect(good) == []
    assert inspect(good, {"OTHER": []}) == []


def test_zero_and_one_and_integers_are_in_range(good, track):
    good.append(track("s1", "v3", np.eye(12, dtype=np.int8)))
    assert inspect(good) == []


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (None, "missing", "s1_v3.npy: missing; need a readable .npy file"),
        (np.ones((12, 40)), "shape", "s1_v3.npy: is (12, 40): transposed, expected (T, 12)"),
        (np.ones((40, 11)), "shape", "s1_v3.npy: is (40, 11), expected (T, 12)"),
        (np.ones((4, 12), bool), "type", "s1_v3.npy: is of type bool; need real numbers"),
        (
            np.full((2, 12), np.nan),
            "not finite",
            "s1_v3.npy: 24 of 24 values are NaN or infinite; need finite values",
        ),
        (np.zeros((40, 12)), "all zero", "s1_v3.npy: all 40 vectors are zero"),
    ],
)
def test_faults_of_a_file(good, track, values, kind, message):
    assert inspect([*good, track("s1", "v3", values)]) == [Problem(kind, "s1 v3", message)]
    assert Problem(kind, "s1 v3", message).is_error


def test_a_file_that_is_no_array(good, track):
    damaged = track("s1", "v3")
    damaged.path.write_bytes(b"text")
    [problem] = inspect([*good, damaged])
    assert (problem.kind, problem.subject) == ("unreadable", "s1 v3")
    assert problem.message == "s1_v3.npy: not a .npy file; need a (T, 12) array"


@pytest.mark.parametrize(
    ("factor", "shift", "span"), [(-0.5, 0, "from -0.5 to 0"), (1, 0.5, "from 0.5 to 1.5")]
)
def test_values_outside_the_range_are_a_warning(good, track, factor, shift, span):
    values = np.eye(12) * factor + shift
    [problem] = inspect([*good, track("s1", "v3", values)])
    assert problem.kind == "out of range"
    assert problem.message == f"s1_v3.npy: values {span}; HPCP lie in [0, 1]"
    assert not problem.is_error


def test_repeated_lines(good):
    assert inspect([*good, good[0], good[0]]) == [
        Problem("repeated line", "s1 v1", "listed 3 times")
    ]


def test_equal_values_in_two_files(good, track):
    # The type of the file does not matter: what the network would see is equal.
    values = hpcp(0).astype(np.float32)
    tracks = [
        *good,
        track("s1", "v3", values),
        track("s2", "v4", hpcp(0)),
        track("s2", "v5", hpcp(9)),
    ]
    good[0].path.unlink()
    np.save(good[0].path, values)
    assert inspect(tracks) == [
        Problem("duplicate", "s1 v3", "same values as s1 v1, of the same song"),
        Problem("duplicate", "s2 v4", "same values as s1 v1, of another song"),
    ]


def test_tracks_of_zeros_are_not_also_duplicates(good, track):
    zeros = [track("s1", version, np.zeros((5, 12))) for version in ("v3", "v4")]
    assert [problem.kind for problem in inspect([*good, *zeros])] == ["all zero", "all zero"]


def test_equal_vectors_but_not_equally_many_are_no_duplicate(good, track):
    ones = [track("s1", f"v{n}", np.ones((n, 12))) for n in (3, 4)]
    assert inspect([*good, *ones]) == []


def test_a_song_with_one_version(good, track):
    alone = track("s2", "v1", hpcp(5))
    expected = Problem("one version", "s2", "only one version listed; ranking needs two")
    assert inspect([*good, alone]) == [expected]
    # Listed twice it is still one version.
    assert inspect([*good, alone, alone])[1:] == [expected]


def test_songs_and_tracks_shared_with_another_list(good, track):
    other = [track("s1", "v2"), track("s1", "v9"), track("s1", "v9"), track("s7", "v1")]
    assert inspect(good, {"VAL": other}) == [
        Problem("shared song", "s1", "also in VAL, with 2 tracks there"),
        Problem("shared track", "s1 v2", "also in VAL"),
    ]


def test_the_folder_of_the_other_list_does_not_matter(good, tmp_path):
    other = [Track("s1", "v1", tmp_path / "elsewhere" / "s1_v1.npy")]
    assert [p.kind for p in inspect(good, {"VAL": other})] == ["shared song", "shared track"]


def test_progress_is_told_after_every_file(good, track):
    calls = []
    inspect([*good, track("s1", "v3")], progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]
