"""The corpus of chorales: reading, one song per tune, versions, files. Needs music21."""

import json
import sys

import numpy as np
import pytest

from kinet.config import FeatureConfig
from kinet.data.settings_file import features_of
from kinet.errors import DataError, KinetError, SettingsError
from kinet.versions import scores
from kinet.versions.chorales import write_corpus
from kinet.versions.renditions import TRANSPOSITIONS
from kinet.versions.scores import (
    SAME_TUNE,
    DistinctPieces,
    chorales,
    melody_fragments,
    read_piece,
    similarity,
)

SONGS, VERSIONS = 6, 3


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("chorales"), SONGS, VERSIONS, workers=1)


@pytest.fixture(scope="module")
def manifest(corpus):
    return json.loads(corpus.manifest.read_text(encoding="utf-8"))


def lines_of(path):
    return [line.split() for line in path.read_text().splitlines()]


def contents(corpus):
    lists = (corpus.train_list, corpus.val_list, corpus.test_list, corpus.manifest)
    files = [*lists, *corpus.data_dir.iterdir()]
    return {path.name: path.read_bytes() for path in files}


def test_tracks_are_in_the_data_layout(corpus):
    names = {f"{song}_{version}.npy" for song in range(SONGS) for version in range(VERSIONS)}
    assert {path.name for path in corpus.data_dir.iterdir()} == names | {"features.json"}
    assert features_of(corpus.data_dir) == FeatureConfig()
    assert corpus.tracks == len(names)
    for path in corpus.data_dir.glob("*.npy"):
        hpcp = np.load(path)
        assert hpcp.dtype == np.float32
        assert hpcp.shape[1:] == (12,)
        assert len(hpcp) >= 60
        assert hpcp.min() >= 0
        np.testing.assert_array_equal(hpcp.max(axis=1), 1)


def test_splits_share_no_song_and_leave_none_out(corpus):
    splits = [lines_of(path) for path in (corpus.train_list, corpus.val_list, corpus.test_list)]
    songs = [{song for song, _ in split} for split in splits]
    assert [len(split) for split in songs] == [2, 2, 2]
    assert set.union(*songs) == {str(song) for song in range(SONGS)}
    assert sum(map(len, songs)) == SONGS
    assert sum(map(len, splits)) == SONGS * VERSIONS


def test_tunes_are_different(manifest):
    by_bwv = {chorale.bwv: chorale for chorale in chorales()}
    pieces = [read_piece(by_bwv[song["bwv"]]) for song in manifest["songs"]]
    tunes = [melody_fragments(piece.voices[0]) for piece in pieces]
    for i, tune in enumerate(tunes):
        assert all(similarity(tune, other) < SAME_TUNE for other in tunes[:i])
    assert len({song["title"] for song in manifest["songs"]}) == SONGS


def test_one_tune_under_two_titles_is_taken_once():
    # "O Haupt voll Blut und Wunden" and "Herzlich tut mich verlangen" are sung to one tune.
    named = {chorale.title.partition(",")[0]: chorale for chorale in chorales()}
    first = read_piece(named["Herzlich tut mich verlangen"])
    second = read_piece(named["O Haupt voll Blut und Wunden"])
    other = read_piece(named["Aus meines Herzens Grunde"])
    distinct = DistinctPieces(2)
    assert [distinct.add(piece) for piece in (first, None, second, other)] == [True] * 3 + [False]
    assert not distinct.add(other)
    distinct.require_all()
    assert distinct.pieces == [first, other]
    too_many = DistinctPieces(3)
    for piece in (first, second, other):
        too_many.add(piece)
    with pytest.raises(SettingsError, match="number of songs is 3; allowed: at most 2 tunes"):
        too_many.require_all()


def test_a_transposed_melody_is_the_same_tune():
    voice = read_piece(chorales()[0]).voices[0]
    assert melody_fragments(voice + np.array([0, 0, 5])) == melody_fragments(voice)


def test_scores_have_sensible_voices():
    piece = read_piece(chorales()[0])
    means = [np.average(voice[:, 2], weights=voice[:, 1]) for voice in piece.voices]
    assert means == sorted(means, reverse=True)
    for voice in piece.voices:
        assert (np.diff(voice[:, 0]) > 0).all()
        # Nothing overlaps once ties are joined.
        assert (voice[:-1, 0] + voice[:-1, 1] <= voice[1:, 0] + 1e-9).all()


def test_versions_of_a_song_are_in_different_keys(manifest):
    for song in manifest["songs"]:
        keys = [version["transposition"] for version in song["versions"]]
        assert len(set(keys)) == VERSIONS
        assert set(keys) <= set(TRANSPOSITIONS)


def test_manifest_describes_the_tracks(corpus, manifest):
    assert manifest["settings"]["music21"] == scores.music21_version()
    for number, song in enumerate(manifest["songs"]):
        for version, described in enumerate(song["versions"]):
            hpcp = np.load(corpus.data_dir / f"{number}_{version}.npy")
            assert described["vectors"] == len(hpcp)


def test_same_files_with_any_number_of_workers(corpus, tmp_path):
    assert contents(write_corpus(tmp_path, SONGS, VERSIONS, workers=2)) == contents(corpus)


def test_another_seed_gives_another_corpus(manifest, tmp_path):
    other = write_corpus(tmp_path, 6, 2, seed=1, workers=1)
    songs = json.loads(other.manifest.read_text(encoding="utf-8"))["songs"]
    assert [song["bwv"] for song in songs] != [song["bwv"] for song in manifest["songs"]]


def test_complete_corpus_is_not_written_again(tmp_path, monkeypatch):
    first = write_corpus(tmp_path, 6, 2, workers=1)
    steps = []
    with monkeypatch.context() as patched:
        patched.setattr("kinet.versions.chorales.read_piece", None)
        again = write_corpus(tmp_path, 6, 2, workers=1, progress=lambda *step: steps.append(step))
    assert again == first
    assert steps == [(12, 12)]
    before = contents(first)
    (first.data_dir / "1_0.npy").unlink()
    steps.clear()
    write_corpus(tmp_path, 6, 2, workers=1, progress=lambda *step: steps.append(step))
    assert contents(first) == before
    assert steps == [(done, 12) for done in range(1, 13)]


def test_other_settings_replace_the_corpus_but_nothing_else(tmp_path):
    write_corpus(tmp_path, 6, 3, workers=1)
    own = tmp_path / "data" / "mine_0.npy"
    own.write_bytes(b"not ours")
    smaller = write_corpus(tmp_path, 6, 2, workers=1)
    names = {path.name for path in smaller.data_dir.iterdir()}
    assert names == {f"{song}_{version}.npy" for song in range(6) for version in range(2)} | {
        "mine_0.npy",
        "features.json",
    }


@pytest.mark.parametrize("text", ["", "[]", '{"settings": {"format": 0}}'])
def test_foreign_manifest_is_replaced(tmp_path, text):
    (tmp_path / "chorales.json").write_text(text)
    corpus = write_corpus(tmp_path, 6, 2, workers=1)
    assert len(json.loads(corpus.manifest.read_text(encoding="utf-8"))["songs"]) == 6


def test_without_music21_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(KinetError, match=r'pip install "mulkinet\[quickstart\]"') as caught:
        write_corpus(tmp_path / "new", 6, 2)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot write .*file.*: Not a directory; nee") as caught:
        write_corpus(tmp_path / "file" / "corpus", 6, 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "numbers",
    [{"songs": 5}, {"versions": 1}, {"versions": 13}, {"seed": -1}, {"workers": 0}],
)
def test_numbers_out_of_range_are_refused(tmp_path, numbers):
    (name,) = numbers
    with pytest.raises(SettingsError, match=f"{name} is .*allowed: an integer from"):
        write_corpus(tmp_path, **numbers)
