"""Tracks as sets of segments: how they are cut, what the loss of them is, and training with it."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from test_losses import value
from test_several_losses import MODEL, tracks  # noqa: F401 - a fixture

import kinet
from kinet import losses
from kinet.checkpoint import read_metadata
from kinet.config import TrainConfig
from kinet.errors import PluginError, SettingsError
from kinet.losses import Loss, SegmentContrastive
from kinet.losses.objective import Objective
from kinet.testing import check_loss
from kinet.training.segments import SegmentedBatches, cut, segmented

# Three tracks of two segments: of the first song (1, 0), (0, 1) and (0.8, 0.6), (0, 1), of the
# second (0.6, 0.8), (-1, 0).
ROWS = np.array([[1, 0], [0, 1], [0.8, 0.6], [0, 1], [0.6, 0.8], [-1, 0]], np.float32)
SONGS = np.array([0, 0, 0, 0, 1, 1], np.int32)


def loss(**others):
    return SegmentContrastive(**{"segments": 2, "pairs": 2, "gamma": 5.0, "epsilon": 1e-6} | others)


def expected(align, gamma=5.0, epsilon=1e-6):
    # Nearest segments of the first and the third track: (0, 1) and (0.6, 0.8), cosine 0.8,
    # distance 0.4; of the second and the third (0.8, 0.6) and (0.6, 0.8), cosine 0.96, 0.08.
    apart = (exp(-gamma * 0.4) + exp(-gamma * 0.08)) / 2
    return align + log(epsilon + apart)


def test_versions_are_near_in_their_best_pairs_and_songs_in_their_nearest():
    # Squared distances of the versions: 0.4 and 2 in the first row, 0.8 and 0 in the second. The
    # best pair is at 0; of what is left once both have a partner, 0.4.
    assert value(loss(), ROWS, SONGS) == pytest.approx(expected((0 + 0.4) / 2), rel=1e-4)
    assert value(loss(pairs=1), ROWS, SONGS) == pytest.approx(expected(0.0), rel=1e-4)
    wide = loss(gamma=1.0, epsilon=0.5)
    assert value(wide, ROWS, SONGS) == pytest.approx(expected(0.2, 1.0, 0.5), rel=1e-4)


def test_a_segment_has_one_partner_only():
    # (1, 0) is nearest to both segments of the other, at 0 and 0.4, but has one partner: what is
    # left is (0, 1) with (0.8, 0.6), at 0.8.
    rows = np.array([[1, 0], [0, 1], [1, 0], [0.8, 0.6], [-1, 0], [-1, 0]], np.float32)
    # The nearest to (-1, 0) is (0, 1) at 2 for the first, (0.8, 0.6) at 3.6 for the second.
    apart = (exp(-5 * 2) + exp(-5 * 3.6)) / 2
    assert value(loss(), rows, SONGS) == pytest.approx((0 + 0.8) / 2 + log(1e-6 + apart), rel=1e-4)


def test_more_pairs_than_segments_are_all_of_them():
    assert value(loss(pairs=9), ROWS, SONGS) == value(loss(pairs=2), ROWS, SONGS)


def test_without_another_song_versions_alone_count_and_the_other_way_round():
    one, other = ROWS[:4], ROWS[[0, 1, 4, 5]]
    assert value(loss(), one, SONGS[:4]) == pytest.approx(0.2 + log(1e-6), rel=1e-4)
    alone = log(1e-6 + exp(-5 * 0.4))
    assert value(loss(), other, np.array([0, 0, 1, 1])) == pytest.approx(alone, rel=1e-4)


def test_the_plug_in_is_that_loss_with_its_options():
    plugin = losses.registry.get("clews")
    assert plugin.segments
    built = plugin.with_options({"segments": 2, "gamma": 1, "epsilon": 0.5})
    assert value(built, ROWS, SONGS) == pytest.approx(expected(0.2, 1.0, 0.5), rel=1e-4)


@pytest.mark.parametrize("name", ["segments", "pairs"])
def test_there_is_a_segment_and_a_pair_at_least(name):
    with pytest.raises(SettingsError, match=f"{name} is 0; allowed: an integer from 1"):
        loss(**{name: 0})


def test_a_track_is_cut_evenly_and_its_segments_overlap_where_they_must():
    hpcp = np.arange(1.0, 21)[None, :, None] * np.ones((1, 1, 12))
    assert [list(part[[0, -1], 0]) for part in cut(hpcp, 2, 4)] == [[1, 10], [11, 20]]
    assert [list(part[[0, -1], 0]) for part in cut(hpcp, 3, 10)] == [[1, 10], [6, 15], [11, 20]]
    assert cut(hpcp, 1, 4).shape == (1, 20, 12)


def test_silence_at_the_end_is_no_segment():
    hpcp = np.zeros((2, 6, 12), np.float32)
    hpcp[0, :4] = np.arange(1, 5)[:, None]
    # The other track is silent throughout, and stays so.
    assert cut(hpcp, 2, 3)[:, :, 0].tolist() == [[1, 2, 3], [4, 1, 2], [0, 0, 0], [0, 0, 0]]


class Whole:
    songs, batch_size = ("a", "b"), 2

    def order(self, epoch):
        return np.array([[epoch, 1]])

    def load(self, epoch, index, members, rows):
        return np.ones((2, 20, 12), np.float32), members.astype(np.int32)


def test_every_segment_has_the_label_of_its_track():
    batches = SegmentedBatches(Whole(), 4, 3)
    assert batches.songs == ("a", "b")
    assert batches.order(7).tolist() == [[7, 1]]
    hpcp, labels = batches.load(0, 0, np.array([5, 6]))
    assert (hpcp.shape, labels.tolist()) == ((8, 5, 12), [5] * 4 + [6] * 4)


def objective(*names, **options):
    loss = dict.fromkeys(names, 1.0)
    return Objective.of(TrainConfig(loss=loss, loss_options=options))


def test_batches_are_cut_for_a_loss_of_segments_alone():
    whole = Whole()
    assert segmented(whole, objective("supcon"), MODEL) is whole
    assert segmented(whole, objective("clews", segments=1), MODEL) is whole
    assert isinstance(segmented(whole, objective("clews", "softmax"), MODEL), SegmentedBatches)
    assert objective("clews", segments=5).segments == 5


def test_losses_of_one_training_have_segments_of_one_number():
    with losses.registry.registered(
        Loss("two", "", lambda segments: loss(), "embedding", 4, {"segments": 2}, segments=True)
    ):
        with pytest.raises(SettingsError, match="segments: clews of 3, two of 2; allowed: one"):
            objective("clews", "two").segments  # noqa: B018
        assert objective("clews", "two", **{"clews.segments": 2}).segments == 2
    with pytest.raises(SettingsError, match=r"losses of segments: clews of 0; allowed: .* from 1"):
        objective("clews", segments=0).segments  # noqa: B018


def test_a_network_of_one_length_is_refused():
    import dataclasses

    tied = dataclasses.replace(MODEL, attention=("temporal",))
    with pytest.raises(SettingsError, match="attention temporal ties the network to T = 100"):
        segmented(Whole(), objective("clews"), tied)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda rows: rows[0], "the order of the batch does not matter"),
        (lambda rows: rows[:, 0], "the order of the segments of a track does not matter"),
    ],
)
def test_a_loss_that_does_not_take_tracks_as_sets_of_segments(call, text):
    import keras
    from keras import ops

    class First(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return ops.sum(call(ops.reshape(y_pred, (-1, 3, y_pred.shape[-1]))) ** 3)

    def build(segments):
        return First()

    bad = Loss("bad", "", build, "embedding", 4, {"segments": 3}, segments=True)
    with pytest.raises(PluginError, match=text):
        check_loss(bad)


@pytest.mark.parametrize("defaults", [{}, {"segments": 2.0}, {"segments": 0}])
def test_a_loss_of_segments_that_does_not_say_how_many(defaults):
    bad = Loss("bad", "", lambda **_: 0, "embedding", None, defaults, segments=True)
    with pytest.raises(PluginError, match="an option segments: received"):
        check_loss(bad)


@pytest.mark.filterwarnings("ignore:the validation list has 2 songs")
def test_training_brings_it_down(tracks):  # noqa: F811
    training = TrainConfig(
        {"clews": 1, "softmax": 0.1},
        batch_size=4,
        versions_per_song=2,
        epochs=3,
        learning_rate=0.01,
        loss_options={"clews.segments": 2, "clews.pairs": 1},
    )
    history = kinet.train(tracks[4:], tracks[:4], "clews", model=MODEL, training=training)
    assert history[-1]["loss"] < history[0]["loss"]
    assert read_metadata("models/clews/last.keras").training == training
    # The network itself takes whole tracks.
    rows = kinet.embed(kinet.load("models/clews/best.keras"), [np.ones((100, 12))], vectors=100)
    assert rows.shape == (1, 4)
