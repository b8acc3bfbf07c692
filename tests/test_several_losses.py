"""Several losses in one training: values worked out by hand, what is kept, what is refused."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from quick import ONE_OF_MANY
from test_losses import SONGS, value

import kinet
from kinet.checkpoint import load_model, read_metadata
from kinet.config import ModelConfig, TrainConfig
from kinet.data.tracks import Track
from kinet.errors import CheckpointError, PluginError, SettingsError
from kinet.losses import BatchHardTriplet, SupervisedContrastive
from kinet.losses.objective import Objective, losses_of
from kinet.losses.sums import WeightedSum
from kinet.network import embedder_of, is_embedder
from kinet.training.fitting import Task, train
from kinet.training.runs import RunFolders

MODEL = ModelConfig(
    "simple",
    *(1, ()),
    vectors=100,
    time_field=12,
    channels=4,
    bottleneck_ratio=1,
    embedding_size=4,
    l2=0.0,
)
BOTH = {"supcon": 1.0, "softmax": 0.5}
pytestmark = pytest.mark.filterwarnings("ignore:the validation list has 2 songs")


def test_a_sum_is_every_loss_times_its_weight():
    # Triplets of these rows, margin 0.5: 0.3, 0.66, 0.46 and 0.3, see test_losses.
    triplets = (0.3 + 0.66 + 0.46 + 0.3) / 4
    assert value(WeightedSum([BatchHardTriplet(0.5)], [2.0])) == pytest.approx(
        2 * triplets, rel=1e-5
    )
    both = WeightedSum([BatchHardTriplet(0.5), SupervisedContrastive(1.0)], [2.0, 0.25])
    contrastive = value(SupervisedContrastive(1.0))
    assert value(both) == pytest.approx(2 * triplets + 0.25 * contrastive, rel=1e-5)


def test_keras_keeps_a_sum_with_its_losses_and_their_settings():
    loss = WeightedSum([BatchHardTriplet(0.7), SupervisedContrastive(0.2)], [2.0, 0.25])
    kept = keras.saving.serialize_keras_object(loss)
    assert kept["registered_name"] == "kinet>WeightedSum"
    again = keras.saving.deserialize_keras_object(kept)
    assert value(again) == value(loss)
    assert [type(part) for part in again.losses] == [BatchHardTriplet, SupervisedContrastive]


def test_the_losses_of_an_output_are_one_loss_with_the_weights_and_options_of_each():
    training = TrainConfig(
        loss={"supcon": 1, "triplet": 2, "softmax": 3},
        loss_options={"triplet.margin": 0.5, "supcon.temperature": 1},
    )
    objective = Objective.of(training)
    assert objective.outputs == ("logits", "embedding")
    losses = objective.keras_losses()
    expected = value(SupervisedContrastive(1.0)) + 2 * value(BatchHardTriplet(0.5))
    assert value(losses["embedding"]) == pytest.approx(expected, rel=1e-5)
    logits = np.array([[0, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)
    plain = Objective.of(TrainConfig(loss="softmax")).keras_losses()["logits"]
    assert value(losses["logits"], logits, SONGS) == pytest.approx(
        3 * value(plain, logits, SONGS), rel=1e-5
    )
    assert isinstance(plain, keras.losses.SparseCategoricalCrossentropy)


def test_batches_are_those_of_the_loss_that_wants_most_versions():
    assert Objective.of(TrainConfig(loss=BOTH)).versions_per_song == 4
    assert Objective.of(TrainConfig(loss="softmax")).versions_per_song is None


def test_names_and_weights_as_one_writes_them():
    assert losses_of("supcon") == "supcon"
    assert losses_of("softmax:0.5") == {"softmax": 0.5}
    assert losses_of("supcon, triplet:2,softmax:.5") == {"supcon": 1, "triplet": 2, "softmax": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("supcon,supcon:2", "supcon is named twice"),
        ("supcon:much", "loss is supcon:much; allowed: NAME or NAME:WEIGHT"),
        ("supcon:,softmax", "loss is supcon:; allowed"),
    ],
)
def test_what_is_no_list_of_losses_is_told(text, message):
    with pytest.raises(SettingsError, match=message):
        losses_of(text)


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        (BOTH, {"temperature": 1}, "of 2 losses; allowed: supcon.temperature or softmax.temp"),
        (BOTH, {"triplet.margin": 1}, "unknown loss of the option triplet.margin 'triplet'"),
        (BOTH, {"supcon.margin": 1}, "unknown option of the loss supcon 'margin'"),
        ("supcon", {"supcon.temperature": 1}, "unknown option of the loss supcon"),
    ],
)
def test_an_option_that_belongs_to_no_loss_is_told(loss, options, message):
    with pytest.raises(SettingsError, match=message):
        Objective.of(TrainConfig(loss=loss, loss_options=options))


def test_an_unknown_loss_among_several_is_told():
    with pytest.raises(PluginError, match="unknown loss 'supcom', did you mean 'supcon'"):
        Objective.of(TrainConfig(loss={"supcom": 1, "softmax": 1}))


@pytest.mark.parametrize("loss", [{}, "", {"supcon": 0}, {"supcon": -1}, {"supcon": "1"}, 3])
def test_weights_are_numbers_above_0(loss):
    with pytest.raises(SettingsError, match="allowed: a name, or names with weights above 0"):
        TrainConfig(loss=loss)


def test_settings_of_before_and_those_with_weights_come_back_from_json():
    for loss in ("supcon", BOTH):
        training = TrainConfig(loss=loss)
        assert TrainConfig.from_dict(training.to_dict()) == training
    assert TrainConfig.from_dict({"loss": "triplet"}).losses == {"triplet": 1.0}


@pytest.fixture
def tracks(tmp_path, rng, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = []
    for song in range(4):
        melody = rng.random((100, 12)) ** 4
        for version in range(2):
            path = tmp_path / f"s{song}_{version}.npy"
            np.save(path, np.roll(melody, version, axis=1).astype(np.float32))
            found.append(Track(f"s{song}", str(version), path))
    return found


def first_loss(loss, tracks, folder):
    """Of one batch of all tracks, without dropout."""
    size = {"batch_size": 4, "versions_per_song": 2, "epochs": 1, "dropout": 0.0}
    folders = RunFolders.of("-".join(loss), folder)
    task = Task(MODEL, TrainConfig(loss=loss, **size), tracks[4:], tracks[:4], folders)
    return train(task)[0]["loss"]


@ONE_OF_MANY
def test_a_training_brings_down_the_sum_of_its_losses(tracks, tmp_path):
    # The same seed draws the same network, whatever it ends in.
    contrastive = first_loss({"supcon": 1.0}, tracks, tmp_path)
    classes = first_loss({"softmax": 1.0}, tracks, tmp_path)
    both = first_loss(BOTH, tracks, tmp_path)
    assert both == pytest.approx(contrastive + 0.5 * classes, rel=1e-4)


class Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def test_a_model_tells_its_losses_and_a_run_goes_on_with_them_alone(tracks):
    training = TrainConfig(
        BOTH, batch_size=4, versions_per_song=2, epochs=2, averaging=0.5, learning_rate=0.01
    )
    settings = {"model": MODEL, "training": training}
    whole = kinet.train(tracks[4:], tracks[:4], "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        kinet.train(tracks[4:], tracks[:4], "part", callbacks=[Stop()], **settings)
    others = {**settings, "training": TrainConfig(**{**training.to_dict(), "loss": "supcon"})}
    with pytest.raises(CheckpointError, match="resume with the"):
        kinet.train(tracks[4:], tracks[:4], "part", resume=True, **others)
    rest = kinet.train(tracks[4:], tracks[:4], "part", resume=True, **settings)
    assert [record["loss"] for record in rest] == [record["loss"] for record in whole]
    said = read_metadata("models/whole/best.keras")
    assert said.training.losses == BOTH
    assert [use.name for use in said.plugins if use.kind == "loss"] == ["supcon", "softmax"]
    assert said.songs == ("s2", "s3")

    network, _ = load_model("models/whole/best.keras")
    assert not is_embedder(network)
    hpcp = np.stack([np.load(track.path) for track in tracks])
    rows = kinet.embed(embedder_of(network), list(hpcp))
    given = network.predict(hpcp, verbose=0)
    assert given["logits"].shape == (8, 2)
    np.testing.assert_allclose(given["embedding"], rows, atol=1e-6)
    np.testing.assert_array_equal(
        kinet.embed(kinet.load("models/whole/best.keras"), list(hpcp)), rows
    )
    compiled = keras.saving.load_model("models/whole/last.keras")
    assert sorted(compiled.loss) == ["embedding", "logits"]
    assert compiled.loss["logits"].weights == [0.5]
