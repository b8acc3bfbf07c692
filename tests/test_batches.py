"""Batches of an epoch: which tracks, where they are cut, and as a data set for Keras."""

from __future__ import annotations

import numpy as np
import pytest

from kinet.data.batches import TrainingBatches
from kinet.data.tracks import Track
from kinet.errors import DataError
from kinet.training.data import TrainingData

VECTORS = 20


@pytest.fixture
def tracks(tmp_path):
    """Ten songs of one version, 200 vectors that say where they stand."""
    found = []
    for song in range(10):
        track = Track(f"s{song}", "v", tmp_path / f"s{song}_v.npy")
        np.save(track.path, np.repeat(np.arange(200.0)[:, None], 12, axis=1))
        found.append(track)
    return found


def listed(versions):
    """Tracks of songs with so many versions, whose files are not looked at."""
    return [
        Track(f"s{song}", f"v{version}", None)
        for song, count in enumerate(versions)
        for version in range(count)
    ]


def starts(batches, epoch, index, members):
    return batches.load(epoch, index, members)[0][:, 0, 0]


def test_every_batch_and_every_epoch_is_cut_at_other_places(tracks):
    batches = TrainingBatches(tracks, VECTORS, 5, None, seed=3)
    members = np.arange(5)
    first = starts(batches, 0, 0, members)
    np.testing.assert_array_equal(first, starts(batches, 0, 0, members))
    assert len(set(first)) > 1
    assert not np.array_equal(first, starts(batches, 0, 1, members))
    assert not np.array_equal(first, starts(batches, 1, 0, members))
    other = TrainingBatches(tracks, VECTORS, 5, None, seed=4)
    assert not np.array_equal(first, starts(other, 0, 0, members))


def test_crops_begin_anywhere_from_the_first_vector_to_the_last_that_fits(tracks):
    batches = TrainingBatches(tracks[:1], 199, 1, None, seed=0)
    found = {float(starts(batches, epoch, 0, np.array([0]))[0]) for epoch in range(30)}
    assert found == {0.0, 1.0}


def test_the_last_batch_is_filled_up_from_the_beginning_of_the_epoch():
    order = TrainingBatches(listed([1] * 7), VECTORS, 3, None, seed=0).order(0)
    assert order.shape == (3, 3)
    flat = order.ravel()
    assert sorted(flat[:7]) == list(range(7))
    np.testing.assert_array_equal(flat[7:], flat[:2])


def test_an_epoch_of_groups_has_no_more_batches_than_it_needs():
    # Groups of two: six of the first song, one of each of the other six; two songs in a batch.
    # The first song must be in every batch, for it cannot be in one twice.
    for epoch in range(20):
        batches = TrainingBatches(listed([12, 2, 2, 2, 2, 2, 2]), VECTORS, 4, 2, seed=epoch)
        order = batches.order(epoch)
        assert order.shape == (6, 4)
        assert all(np.count_nonzero(batches.labels[members] == 0) == 2 for members in order)
        # Nothing is left over to fill up with: every track comes once.
        assert sorted(order.ravel()) == list(range(24))


def test_a_batch_is_filled_up_with_songs_that_have_had_their_turn():
    # Three groups of the first song and one of the second: two batches lack a song.
    batches = TrainingBatches(listed([6, 2]), VECTORS, 4, 2, seed=0)
    order = batches.order(0)
    assert order.shape == (3, 4)
    counts = np.bincount(order.ravel(), minlength=8)
    assert list(counts) == [1, 1, 1, 1, 1, 1, 3, 3]


def test_a_song_with_fewer_versions_than_a_group_gives_some_twice():
    batches = TrainingBatches(listed([2, 5]), VECTORS, 8, 4, seed=0)
    counts = np.bincount(batches.order(0)[0], minlength=7)
    assert list(counts[:2]) == [2, 2]
    assert sorted(counts[2:]) == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("workers", [1, 3])
def test_the_data_set_for_keras_has_the_batches_of_one_epoch_after_the_other(tracks, workers):
    data = TrainingData(tracks, VECTORS, 4, seed=5, workers=workers)
    batches = TrainingBatches(tracks, VECTORS, 4, None, seed=5)
    assert len(data) == 3
    assert data.songs == batches.songs
    for epoch in (0, 1):
        data.on_epoch_begin()
        for index, members in enumerate(batches.order(epoch)):
            for found, expected in zip(
                data[index], batches.load(epoch, index, members), strict=True
            ):
                np.testing.assert_array_equal(found, expected)
    data.next_epoch = 7
    data.on_epoch_begin()
    np.testing.assert_array_equal(data[2][0], batches.load(7, 2, batches.order(7)[2])[0])
    data.close()
    np.testing.assert_array_equal(data[2][0], batches.load(7, 2, batches.order(7)[2])[0])


def test_the_data_set_remembers_what_was_wrong_with_a_track(tracks):
    np.save(tracks[3].path, np.full((200, 12), np.nan))
    data = TrainingData(tracks, VECTORS, 10)
    with pytest.raises(DataError, match="NaN or infinite"):
        data[0]
    assert "s3_v.npy" in str(data.error)


def test_a_small_batch_still_has_two_songs_to_compare():
    batches = TrainingBatches(listed([4, 4, 4]), VECTORS, 4, 4, seed=0)
    assert batches.batch_size == 8
    for members in batches.order(0):
        assert len(set(batches.labels[members])) == 2


def test_a_crop_can_be_the_very_end_of_a_track(tmp_path):
    track = Track("s1", "v1", tmp_path / "s1_v1.npy")
    np.save(track.path, np.repeat(np.arange(VECTORS + 1.0)[:, None], 12, axis=1))
    batches = TrainingBatches([track], VECTORS, 1, None, seed=0)
    found = {float(starts(batches, epoch, 0, np.array([0]))[0]) for epoch in range(30)}
    assert found == {0.0, 1.0}
