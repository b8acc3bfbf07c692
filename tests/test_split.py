"""Splits share no song, on the command line and off it."""

from __future__ import annotations

import json
import pathlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinet.cli import run
from kinet.data.splits import split_by_song
from kinet.data.tracks import Track, read_tracks
from kinet.errors import DataError, SettingsError


def tracks_of(sizes):
    """Songs s0, s1, ... with so many versions each."""
    return [
        Track(f"s{song}", f"v{version}", pathlib.Path(f"s{song}_v{version}.npy"))
        for song, size in enumerate(sizes)
        for version in range(size)
    ]


def songs(tracks):
    return {track.song_id for track in tracks}


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 5), min_size=5, max_size=40), st.integers(0, 99), st.randoms())
def test_every_track_is_in_one_part_and_every_song_too(sizes, seed, random):
    tracks = tracks_of(sizes)
    random.shuffle(tracks)
    split = split_by_song(tracks, 0.2, 0.3, seed)
    parts = (split.training, split.validation, split.test)
    assert sorted(map(repr, [*split.training, *split.validation, *split.test])) == sorted(
        map(repr, tracks)
    )
    assert sum(len(songs(part)) for part in parts) == len(sizes)
    assert len(songs(split.validation)) == max(2, round(0.2 * len(sizes)))
    assert len(songs(split.test)) == max(2, round(0.3 * len(sizes)))
    for part in parts:
        assert part == [track for track in tracks if track in part]  # the order of the list


def test_the_order_of_the_list_does_not_change_the_songs():
    tracks = tracks_of([3] * 20)
    one, two = split_by_song(tracks), split_by_song(tracks[::-1])
    assert songs(one.validation) == songs(two.validation)
    assert songs(one.test) == songs(two.test)


def test_the_seed_changes_the_songs():
    tracks = tracks_of([3] * 50)
    assert split_by_song(tracks, seed=1) == split_by_song(tracks, seed=1)
    assert split_by_song(tracks, seed=1) != split_by_song(tracks, seed=2)


def test_a_share_of_zero_gives_nothing():
    split = split_by_song(tracks_of([2, 2, 2, 2]), validation=0, test=0.5)
    assert split.validation == []
    assert len(split.test) == 4


@pytest.mark.parametrize("shares", [(-0.1, 0.2), (0.2, 1), (0.5, 0.5), (float("nan"), 0.2)])
def test_shares_out_of_range(shares):
    with pytest.raises(
        SettingsError, match=r"shares of validation and test are .* allowed: from 0"
    ):
        split_by_song(tracks_of([2] * 9), *shares)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range(seed):
    with pytest.raises(SettingsError, match=f"seed is {seed}; allowed: an integer from 0 to"):
        split_by_song(tracks_of([2] * 9), seed=seed)


def test_too_few_songs():
    message = "4 songs cannot give 2 to validation and 2 to test; training needs at least one"
    with pytest.raises(DataError, match=message):
        split_by_song(tracks_of([5] * 4))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    lines = (f"{track.song_id} {track.version_id}\n" for track in tracks_of([2, 3] * 5))
    (tmp_path / "LIST").write_text("".join(lines))
    return tmp_path


def test_writes_three_lists(folder, capsys):
    assert run(["split", "LIST", "--out", "new/lists", "--test", "0.3"]) == 0
    names = sorted(path.name for path in (folder / "new" / "lists").iterdir())
    assert names == ["LIST-TEST", "LIST-TRAIN", "LIST-VAL"]
    parts = {name: read_tracks(folder / "new" / "lists" / name, "") for name in names}
    assert {name: len(songs(part)) for name, part in parts.items()} == {
        "LIST-TRAIN": 5,
        "LIST-VAL": 2,
        "LIST-TEST": 3,
    }
    assert sum(map(len, parts.values())) == 25
    assert "LIST-TRAIN" in capsys.readouterr().out


def test_programs_get_the_lists_as_json(folder, capsys):
    assert run(["split", "LIST", "--out", "new", "--val", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "lists": [
            {"list": str(Path("new", "LIST-TRAIN")), "songs": 8, "tracks": 21},
            {"list": str(Path("new", "LIST-TEST")), "songs": 2, "tracks": 4},
        ]
    }


def test_a_part_with_the_share_0_is_not_written(folder):
    assert run(["split", "LIST", "--out", ".", "--val", "0"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["LIST", "LIST-TEST", "LIST-TRAIN"]


def test_replaces_only_with_force(folder, capsys):
    (folder / "LIST-VAL").write_text("mine")
    assert run(["split", "LIST", "--out", "."]) == 1
    assert capsys.readouterr().err == "kinet: LIST-VAL: already there; --force replaces\n"
    assert (folder / "LIST-VAL").read_text() == "mine"
    assert not (folder / "LIST-TRAIN").exists()
    assert run(["split", "LIST", "--out", ".", "--force"]) == 0
    assert len(songs(read_tracks(folder / "LIST-VAL", ""))) == 2


def test_shares_are_checked_before_anything_is_written(folder, capsys):
    assert run(["split", "LIST", "--out", "new", "--val", "0.9"]) == 1
    assert "allowed: from 0, together below 1" in capsys.readouterr().err
    assert not (folder / "new").exists()


def test_out_is_required(folder, capsys):
    assert run(["split", "LIST"]) == 2
    assert "--out" in capsys.readouterr().err
