"""Batches of versions that are made while a model trains."""

from __future__ import annotations

import numpy as np
import pytest
from quick import ONCE
from works import cadence, tune, work

from kinet.checkpoint import load_model, read_metadata
from kinet.cli import run
from kinet.errors import DataError, SettingsError
from kinet.training.epochs import Epochs
from kinet.versions.dataset import Plan, write_versions
from kinet.versions.made_batches import Draw, MadeBatches
from kinet.versions.note_pack import packed, write_note_pack
from kinet.versions.works import CHORDS, MELODY

SMALL = Draw(lengths=(20, 30), songs=3, versions=2, batches=4)


@pytest.fixture
def works(rng):
    return [packed(tune(rng, title=str(number)), "mine", "CC0") for number in range(6)]


def loaded(batches, epoch=0, index=0):
    return batches.load(epoch, index, batches.order(epoch)[index])


def test_a_batch_has_so_many_versions_of_so_many_works(works):
    with MadeBatches(works, SMALL, workers=0) as batches:
        hpcp, labels = loaded(batches)
        assert hpcp.shape[0] == batches.batch_size == 6
        assert hpcp.shape[1] in (20, 30)
        assert hpcp.shape[2] == 12
        assert hpcp.dtype == np.float32
        assert 0 <= hpcp.min() <= hpcp.max() <= 1
        assert labels.tolist() == np.repeat(batches.order(0)[0], 2).tolist()
        assert batches.songs == tuple("012345")


def test_versions_of_a_work_differ(works):
    with MadeBatches(works, SMALL, workers=0) as batches:
        hpcp, _ = loaded(batches)
        assert not np.array_equal(hpcp[0], hpcp[1])


def test_seed_epoch_and_index_say_what_is_in_a_batch(works):
    def content(epoch, index, **other):
        draw = Draw(lengths=(20,), songs=3, versions=2, batches=4, **other)
        with MadeBatches(works, draw, workers=0) as batches:
            return loaded(batches, epoch, index)[0].tobytes()

    assert content(0, 0) == content(0, 0)
    assert len({content(0, 0), content(0, 1), content(1, 0), content(0, 0, seed=1)}) == 4


@ONCE
def test_processes_make_the_same_batches(works):
    with MadeBatches(works, SMALL, workers=0) as here, MadeBatches(works, SMALL, 1) as there:
        for index in range(2):
            for ours, theirs in zip(loaded(here, 0, index), loaded(there, 0, index), strict=True):
                assert ours.tobytes() == theirs.tobytes()


def test_no_work_is_twice_in_a_batch(works):
    with MadeBatches(works, SMALL, workers=0) as batches:
        assert all(len(set(row)) == 3 for epoch in range(5) for row in batches.order(epoch))


def test_single_tunes_are_drawn_less_often_than_songs_with_chords(rng):
    symbols = [(0, 4, pitch, 1) for pitch in (48, 52, 55)]
    sheet = work([(0, 4, 72, 0), *symbols], (MELODY, CHORDS), title="sheet")
    made = [sheet, cadence(repeats=4), *(tune(rng, title=f"tune {n}") for n in range(10))]
    works = [packed(one, "mine", "CC0") for one in made]
    draw = Draw(lengths=(20,), songs=2, versions=2, batches=400)
    with MadeBatches(works, draw, workers=0) as batches:
        counts = np.bincount(batches.order(0).ravel(), minlength=12)
    # One in five for each of ten tunes: as often together as both others.
    assert counts[:2].min() > 2 * counts[2:].max()


def test_some_tracks_end_in_silence(works):
    draw = Draw(lengths=(40,), songs=6, versions=4, batches=6)
    with MadeBatches(works, draw, workers=0) as batches:
        hpcp = np.concatenate([loaded(batches, 0, index)[0] for index in range(6)])
    silent = ~hpcp[:, -1].any(axis=1)
    assert 0.1 < silent.mean() < 0.5


def test_too_few_works_are_told(works):
    with pytest.raises(DataError, match="2 works are too few for batches of 3 songs"):
        MadeBatches(works[:2], SMALL, workers=0)


@pytest.mark.parametrize(
    "numbers", [{"lengths": ()}, {"songs": 1}, {"versions": 1}, {"batches": 0}, {"seed": -1}]
)
def test_impossible_draws_are_told(numbers):
    with pytest.raises(SettingsError, match="allowed"):
        Draw(**numbers)


@pytest.fixture
def layout(tmp_path, rng, monkeypatch):
    """A pack of five works, and versions of three others for validation."""
    monkeypatch.chdir(tmp_path)
    works = [packed(tune(rng, 60, title=str(n)), "mine", "CC0") for n in range(8)]
    write_note_pack(works[:5], "notes.npz")
    write_versions(works[5:], "val", Plan(2, 40, 60), workers=1)
    return tmp_path


# The least T of this time field: one length, so that one shape is compiled.
TRAIN = [
    *("train", "--scores", "notes.npz", "--batches", "2", "--epochs", "2", "--data-dir", "val"),
    *("--validation-list", "val/list", "--block", "simple", "-S", "1", "--attention", "none"),
    *("--channels", "4", "--embedding-size", "8", "--time-field", "8", "--vectors", "95"),
    *("--pooling", "gem", "--loss", "supcon", "--batch-size", "8"),
]


def weights(tag):
    return load_model(f"models/{tag}/last.keras")[0].get_weights()


@ONCE
def test_a_run_on_scores_that_was_interrupted_ends_as_one_that_was_not(layout, monkeypatch):
    assert run([*TRAIN, "--tag", "whole"]) == 0
    begin = Epochs.on_epoch_begin

    def interrupted(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(Epochs, "on_epoch_begin", interrupted)
        assert run([*TRAIN, "--tag", "parts"]) == 130
    assert run(["train", "--resume", "--tag", "parts"]) == 0
    for whole, parts in zip(weights("whole"), weights("parts"), strict=True):
        np.testing.assert_allclose(parts, whole, atol=1e-6)
    assert read_metadata("models/parts/best.keras").model.pooling == "gem"


@ONCE
def test_resuming_with_another_number_of_batches_is_refused(layout, capsys):
    assert run([*TRAIN, "--tag", "it", "--epochs", "1"]) == 0
    assert run(["train", "--resume", "--tag", "it", "--batches", "3"]) == 1
    assert "--batches 3 contradicts 2" in capsys.readouterr().err


def test_a_pack_that_is_not_there_is_told(layout, capsys):
    command = [word if word != "notes.npz" else "absent.npz" for word in TRAIN]
    assert run(command) == 1
    assert "no file absent.npz" in capsys.readouterr().err


def test_the_first_two_batches_of_every_epoch_show_that_lengths_vary(works):
    """Some backends look at these two for the shapes of all."""
    draw = Draw(lengths=(98, 99, 100), songs=2, versions=2, batches=4, seed=3)
    with MadeBatches(works, draw, workers=0) as batches:
        for epoch in range(4):
            order = batches.order(epoch)
            lengths = [batches.load(epoch, i, order[i])[0].shape[1] for i in range(4)]
            assert lengths[:2] == [100, 98]
            assert set(lengths[2:]) <= {98, 99, 100}
