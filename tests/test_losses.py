"""The Keras losses that compare tracks: values worked out by hand, names, and files."""

from __future__ import annotations

import subprocess
import sys
from math import exp, log

import keras
import numpy as np
import pytest
from quick import ONCE

from kinet import losses
from kinet.losses import BatchHardTriplet, SupervisedContrastive

# Cosines with the first track: 1, 0.8, 0.6, 0; the first two are versions of one song.
ROWS = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float32)
SONGS = np.array([0, 0, 1, 2], np.int32)
# Of the four tracks with each other.
COSINES = np.array([[1, 0.8, 0.6, 0], [0.8, 1, 0.96, 0.6], [0.6, 0.96, 1, 0.8], [0, 0.6, 0.8, 1]])


def value(loss, rows=ROWS, songs=SONGS):
    return float(keras.ops.convert_to_numpy(loss(songs, rows)))


def test_the_cosines_are_those_of_the_rows():
    np.testing.assert_allclose(ROWS @ ROWS.T, COSINES, atol=1e-7)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.1])
def test_supcon_is_the_cross_entropy_of_finding_the_version_among_the_other_tracks(temperature):
    def cost(version, others):
        return log(sum(exp(cosine / temperature) for cosine in others)) - version / temperature

    # Tracks three and four have no version in the batch and count 0; no track is among its others.
    first, second = cost(0.8, [0.8, 0.6, 0.0]), cost(0.8, [0.8, 0.96, 0.6])
    expected = (first + second + 0 + 0) / 4
    assert value(SupervisedContrastive(temperature)) == pytest.approx(expected, rel=1e-5)


def test_supcon_takes_the_mean_over_several_versions():
    # Track 1 finds versions at 0.8 and 0.6 among 0.8, 0.6 and 0; so on for tracks 2 and 3.
    total = 0.0
    for track in range(3):
        others = [j for j in range(4) if j != track]
        all_of_them = log(sum(exp(COSINES[track, j]) for j in others))
        versions = [j for j in others if j < 3]
        total += all_of_them - sum(COSINES[track, j] for j in versions) / 2
    loss = SupervisedContrastive(1.0)
    assert value(loss, songs=np.array([5, 5, 5, 2])) == pytest.approx(total / 4, rel=1e-5)


def test_supcon_is_near_0_where_versions_are_one_and_songs_opposite():
    rows = np.array([[1, 0], [1, 0], [-1, 0], [-1, 0]], np.float32)
    songs = np.array([0, 0, 1, 1])
    # log(1 + 2 exp(-2 / t)); were a track among its own others, it would be above log 2.
    assert value(SupervisedContrastive(0.1), rows, songs) == pytest.approx(0, abs=1e-6)
    assert value(SupervisedContrastive(1.0), rows, songs) == pytest.approx(
        log(1 + 2 * exp(-2)), rel=1e-5
    )


def test_supcon_has_a_temperature_of_a_tenth_unless_told_otherwise():
    default = losses.registry.get("supcon").with_options({})
    assert value(default) == value(SupervisedContrastive()) == value(SupervisedContrastive(0.1))
    assert value(default) != value(losses.registry.get("supcon").with_options({"temperature": 0.2}))


def test_triplet_compares_the_farthest_version_with_the_nearest_other_song():
    # Distances of track 1: version 0.2, others 0.4 and 1 (their mean is 0.7). Of track 2: version
    # 0.2, others 0.04 and 0.4. Tracks 3 and 4 have no version but themselves, at distance 0: the
    # nearest others are at 0.04 and at 0.2.
    margin = 0.5
    expected = [0.2 - 0.4 + 0.5, 0.2 - 0.04 + 0.5, 0 - 0.04 + 0.5, 0 - 0.2 + 0.5]
    assert value(BatchHardTriplet(margin)) == pytest.approx(sum(expected) / 4, rel=1e-5)


def test_triplet_takes_the_farthest_of_several_versions():
    # One song of the first three. Track 1: versions at 0.2 and 0.4, the other song at 1; track 2:
    # 0.2 and 0.04, other 0.4; track 3: 0.4 and 0.04, other 0.2; track 4: itself, others 0.2.
    expected = [0.4 - 1 + 0.9, 0.2 - 0.4 + 0.9, 0.4 - 0.2 + 0.9, 0 - 0.2 + 0.9]
    loss = BatchHardTriplet(0.9)
    assert value(loss, songs=np.array([5, 5, 5, 2])) == pytest.approx(sum(expected) / 4, rel=1e-5)


def test_triplet_asks_for_a_margin_of_0_3_unless_told_otherwise():
    # All tracks at one place: farthest and nearest are at distance 0, what is missed is the margin.
    rows = np.repeat(ROWS[:1], 4, axis=0)
    assert value(BatchHardTriplet(), rows) == pytest.approx(0.3)
    assert value(losses.registry.get("triplet").with_options({}), rows) == pytest.approx(0.3)
    wider = losses.registry.get("triplet").with_options({"margin": 0.7})
    assert value(wider, rows) == pytest.approx(0.7)


def test_triplet_is_0_where_the_margin_is_kept():
    rows = np.array([[1, 0], [1, 0], [-1, 0], [-1, 0]], np.float32)
    assert value(BatchHardTriplet(), rows, np.array([0, 0, 1, 1])) == 0


def test_softmax_is_the_cross_entropy_of_logits():
    logits = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]], np.float32)
    loss = losses.registry.get("softmax").with_options({})
    expected = (log(3) + log(exp(2) + 2)) / 2
    assert value(loss, logits, np.array([1, 2])) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", [SupervisedContrastive(0.2), BatchHardTriplet(0.7)])
def test_keras_keeps_a_loss_with_its_setting_under_the_name_of_the_package(loss):
    kept = keras.saving.serialize_keras_object(loss)
    assert kept["registered_name"] == f"kinet>{type(loss).__name__}"
    assert value(keras.saving.deserialize_keras_object(kept)) == value(loss)


@ONCE
def test_listing_losses_loads_no_keras_and_asking_for_one_does():
    code = (
        "import sys, kinet.losses as losses; losses.registry.listing(); "
        "losses.registry.get('supcon'); assert 'keras' not in sys.modules; "
        "losses.SupervisedContrastive; assert 'keras' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        losses.Nothing  # noqa: B018
