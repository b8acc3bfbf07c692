"""What a user of Keras expects: compile, fit, save and load as of any model."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from quick import ONCE

import kinet
from kinet.checkpoint import read_metadata
from kinet.config import FeatureConfig, ModelConfig, TrainConfig
from kinet.data.tracks import Track
from kinet.errors import CheckpointError, DataError, SettingsError
from kinet.training.epochs import Epochs
from kinet.training.fitting import Task, train
from kinet.training.runs import RunFolders

SIZES = {"channels": 8, "time_field": 12, "vectors": 100, "embedding_size": 8, "attention_ratio": 2}
SMALL = {"block": "simple", "stages": 1, **SIZES}
CONFIG = ModelConfig(**SMALL, attention=("channel",))

# As a user writes it: with a loss of kinet's that has a setting of its own, and with one of theirs.
SCRIPT = """
import sys
import keras
import numpy as np
import kinet
from pathlib import Path

@keras.saving.register_keras_serializable("mine")
class Apart(keras.losses.Loss):
    def __init__(self, share=0.5, **options):
        super().__init__(**options)
        self.share = share
    def call(self, y_true, y_pred):
        return self.share * keras.ops.mean(keras.ops.square(y_pred - 0.1), axis=-1)
    def get_config(self):
        return {**super().get_config(), "share": self.share}

tracks = kinet.read_tracks("list", "features")
data = kinet.TrainingData(tracks, vectors=100, batch_size=4, versions_per_song=2)
for name, loss in (("theirs", Apart(0.25)), ("ours", kinet.losses.SupervisedContrastive(0.3))):
    sizes = {"channels": 8, "time_field": 12, "vectors": 100, "embedding_size": 8}
    model = kinet.build("simple", 1, attention=("channel", "temporal"), **sizes)
    model.compile("adam", loss=loss)
    model.fit(data, epochs=2, verbose=0, callbacks=[kinet.Ranking(tracks)])
    model.save(f"{name}.keras")
    kinet.save(model, f"{name}-by-kinet.keras")
    np.save(f"{name}.npy", kinet.embed(model, tracks))
    for file in (f"{name}.keras", f"{name}-by-kinet.keras"):
        by_keras = keras.saving.load_model(file)
        assert type(by_keras.loss) is type(loss)
        assert by_keras.loss.get_config() == loss.get_config()
        for again in (kinet.load(file), by_keras, keras.saving.load_model(file, compile=False)):
            np.testing.assert_array_equal(kinet.embed(again, tracks), np.load(f"{name}.npy"))
"""
# In a new process, where only this was imported.
OPENS = """
import {first}
import {second}
import numpy as np
model = keras.saving.load_model("ours.keras")
assert abs(model.loss.temperature - 0.3) < 1e-9
hpcp = np.stack([np.load(f"features/s{{s}}_{{v}}.npy")[:100] for s in range(2) for v in range(2)])
np.testing.assert_allclose(
    model.predict_on_batch(hpcp.astype("float32")), np.load("ours.npy"), atol=1e-6
)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A list of two songs in two versions, in other keys, with their features."""
    folder = tmp_path_factory.mktemp("site")
    rng = np.random.default_rng(0)
    (folder / "features").mkdir()
    lines = []
    for song in range(2):
        tune = rng.random((100, 12)) ** 4
        for version in range(2):
            np.save(folder / f"features/s{song}_{version}.npy", np.roll(tune, version, axis=1))
            lines.append(f"s{song}\t{version}\n")
    (folder / "list").write_text("".join(lines))
    return folder


@pytest.fixture
def tracks(site):
    return kinet.read_tracks(site / "list", site / "features")


def run_script(script, folder):
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def kept(site):
    done = run_script(SCRIPT, site)
    assert done.returncode == 0, done.stderr
    return site


def test_build_compile_fit_save_and_load_by_kinet_and_by_keras_give_the_same_embeddings(kept):
    assert {path.name for path in kept.glob("*.keras")} == {
        "ours.keras", "ours-by-kinet.keras", "theirs.keras", "theirs-by-kinet.keras",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("keras", "kinet.layers"),
        pytest.param("kinet.layers", "keras", marks=ONCE),
        pytest.param("keras", "kinet.losses", marks=ONCE),
    ],
)
def test_keras_opens_a_compiled_model_where_kinet_is_imported(kept, first, second):
    done = run_script(OPENS.format(first=first, second=second), kept)
    assert done.returncode == 0, done.stderr


def test_a_file_by_keras_says_what_a_file_by_kinet_says(kept):
    by_keras, by_kinet = (read_metadata(kept / f"ours{name}.keras") for name in ("", "-by-kinet"))
    assert by_keras == by_kinet
    assert by_keras.model == ModelConfig(
        *("simple", 1, ("channel", "temporal")),
        channels=8,
        time_field=12,
        vectors=100,
        embedding_size=8,
    )
    assert [use.name for use in by_keras.plugins] == ["simple", "channel", "temporal"]


def test_a_model_keeps_how_its_features_are_made(tmp_path):
    features = FeatureConfig(hop_size=512)
    kinet.build(**SMALL, features=features).save(tmp_path / "m.keras")
    assert read_metadata(tmp_path / "m.keras").features == features
    kinet.build_classifier(["a", "b"], **SMALL, features=features).save(tmp_path / "c.keras")
    said = read_metadata(tmp_path / "c.keras")
    assert (said.features, said.songs) == (features, ("a", "b"))
    assert kinet.load(tmp_path / "c.keras").metadata.songs == ()


def test_losses_go_by_name_with_the_model_that_they_want():
    embedder, classifier = kinet.build(**SMALL), kinet.build_classifier(["a", "b"], **SMALL)
    embedder.compile("sgd", loss="triplet")
    assert embedder.loss.margin == 0.3
    classifier.compile("sgd", loss="softmax")
    classifier.compile("sgd", loss="sparse_categorical_crossentropy")  # one of Keras's
    assert classifier.loss == "sparse_categorical_crossentropy"
    with pytest.raises(SettingsError, match=r"'softmax' wants a classifier.*gives embeddings"):
        embedder.compile(loss="softmax")
    with pytest.raises(SettingsError, match=r"'triplet' wants an embedder.*gives logits of songs"):
        classifier.compile(loss="triplet")
    with pytest.raises(SettingsError, match=r"'tripplet', did you mean 'triplet'.*keras.losses"):
        embedder.compile(loss="tripplet")


def test_a_copy_that_keras_makes_of_the_layers_is_not_saved_as_one_of_kinets(tmp_path):
    copy = keras.models.clone_model(kinet.build(**SMALL))
    for model in (copy, keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])):
        with pytest.raises(CheckpointError, match=r"does not say what it is; allowed: what kinet"):
            kinet.save(model, tmp_path / "m.keras")
        model.save(tmp_path / "other.keras")
        with pytest.raises(CheckpointError, match=r"other.keras holds a .* that does not say what"):
            kinet.load(tmp_path / "other.keras")


def test_ranking_puts_what_evaluate_says_into_the_logs_of_the_callbacks_after_it(
    tracks, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    classifier = kinet.build_classifier(["s0", "s1"], **SMALL, attention=("channel",))
    classifier.compile(keras.optimizers.SGD(0.0), loss="softmax")
    ranking = kinet.Ranking(tracks)
    stopping = keras.callbacks.EarlyStopping("val_map", mode="max", patience=1)
    keeping = keras.callbacks.ModelCheckpoint("{epoch}-{val_map:.3f}.keras", "val_map", mode="max")
    history = classifier.fit(
        kinet.TrainingData(tracks, vectors=100, batch_size=4),
        epochs=5,
        verbose=0,
        callbacks=[ranking, stopping, keeping, keras.callbacks.CSVLogger("log.csv")],
    ).history
    # Nothing is learnt: the second epoch is not better, and patience ends.
    assert len(history["val_map"]) == 2
    metrics = kinet.evaluate(
        kinet.embed(kinet.embedder_of(classifier), tracks), [track.song_id for track in tracks]
    )
    assert str(ranking.metrics) == str(metrics)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    for name in ("map", "p10", "mr1", "hit1"):
        assert history[f"val_{name}"][-1] == float(rows[-1][f"val_{name}"])
        assert history[f"val_{name}"][-1] == getattr(metrics, name)
    kinet.load(tmp_path / f"2-{metrics.map:.3f}.keras")


def settings(**others):
    return TrainConfig(**{"loss": "softmax", "batch_size": 4, "epochs": 3, **others})


def stop_after(epochs):
    class Interrupted(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == epochs:
                raise KeyboardInterrupt

    return Interrupted()


@pytest.mark.filterwarnings("ignore:the validation list has", "ignore:2 of 2 songs of the valid")
def test_an_optimizer_and_a_schedule_of_keras_are_gone_on_with_exactly(
    tracks, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=1, decay_rate=0.5)
    seen = []
    log = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))
    options = {
        "model": CONFIG,
        "training": settings(loss="triplet", versions_per_song=2),
        "optimizer": keras.optimizers.SGD(1.0, momentum=0.9),
        "schedule": rate,
    }
    whole = kinet.train(tracks, tracks[:-1], "whole", **options, callbacks=[log])
    # One step an epoch, after which the rate is that of the next one.
    np.testing.assert_allclose([r["learning_rate"] for r in whole], [0.05, 0.025, 0.0125])
    assert [logs["val_map"] for logs in seen] == [record["map"] for record in whole]
    with pytest.raises(KeyboardInterrupt):
        kinet.train(tracks, tracks[:-1], "part", **options, callbacks=[stop_after(2)])
    rest = kinet.train(tracks, tracks[:-1], "part", **options, resume=True)
    assert [r["loss"] for r in rest] == [r["loss"] for r in whole]
    one, other = (kinet.load(f"models/{tag}/last.keras").get_weights() for tag in ("whole", "part"))
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)
    said = read_metadata("models/whole/last.keras").optimizer
    assert said["class_name"] == "SGD"
    with pytest.raises(SettingsError, match="the run models/whole is there already"):
        kinet.train(tracks, tracks[:-1], "whole", **options)
    with pytest.raises(CheckpointError, match=r"trained with optimizer config = .*, now it is"):
        kinet.train(
            tracks,
            tracks[:-1],
            "part",
            **{**options, "optimizer": "sgd", "schedule": None},
            resume=True,
        )
    longer = settings(loss="triplet", versions_per_song=2, epochs=4)
    with pytest.raises(CheckpointError, match="was trained with training epochs = 3, now it is 4"):
        kinet.train(tracks, tracks[:-1], "part", **{**options, "training": longer}, resume=True)


def losses_with(dropout, tracks, folder, **others):
    """Of two epochs of one batch each, all tracks whole, in which next to nothing is learnt."""
    training = settings(epochs=2, dropout=dropout, learning_rate=1e-12, **others)
    folders = RunFolders.of(f"dropout-{dropout}", folder)
    history = train(Task(CONFIG, training, tracks, tracks[:-1], folders))
    return [record["loss"] for record in history]


def test_the_dropout_of_a_run_is_what_was_asked_for(tracks, tmp_path):
    without, same = losses_with(0.0, tracks, tmp_path)
    assert same == pytest.approx(without, rel=1e-4)
    assert losses_with(0.75, tracks, tmp_path)[0] != pytest.approx(without, rel=1e-3)


def test_dropout_is_another_one_in_every_epoch_and_the_same_in_the_same(tracks):
    model = kinet.build_classifier(["s0", "s1"], **SMALL, dropout=0.75)

    def kept(epoch, seed=0):
        epochs = Epochs(kinet.TrainingData(tracks, vectors=100), seed)
        epochs.set_model(model)
        epochs.on_epoch_begin(epoch)
        ones = np.ones((64, 8), np.float32)
        values = model.get_layer("dropout")(ones, training=True)
        return keras.ops.convert_to_numpy(values) > 0

    first = kept(0)
    assert first.mean() == pytest.approx(0.25, abs=0.1)
    np.testing.assert_array_equal(kept(0), first)
    assert (kept(1) != first).any()
    assert (kept(0, seed=1) != first).any()


def test_embed_refuses_a_classifier_and_a_foreign_model_in_one_line(tracks):
    classifier = kinet.build_classifier(["a", "b", "c"], **SMALL)
    with pytest.raises(DataError, match=r"gives 3 logits, not embeddings; kinet.embedder_of"):
        kinet.embed(classifier, tracks)
    foreign = keras.Sequential([keras.Input((100, 12)), keras.layers.Flatten()], name="flat")
    with pytest.raises(DataError, match="the model 'flat' is not a network of kinet's"):
        kinet.embed(foreign, tracks)
    with pytest.raises(DataError, match="the model 'flat' is not a network of kinet's"):
        kinet.embedder_of(foreign)
    with pytest.raises(DataError, match="the model 'str' is not a network of kinet's"):
        kinet.embed("best.keras", tracks)


def test_embed_takes_the_fast_form_by_itself_when_there_are_many_tracks(tracks, monkeypatch):
    made = []

    def fast(model):
        made.append(model)
        return model

    monkeypatch.setattr("kinet.embeddings.MANY_TRACKS", 4)
    monkeypatch.setattr("kinet.embeddings.fast_embedder", fast)
    model = kinet.build(**SMALL, attention=())
    few = kinet.embed(model, tracks[:3])
    assert made == []
    many = kinet.embed(model, tracks)
    assert made == [model]
    np.testing.assert_allclose(many[:3], few, atol=1e-6)


def test_the_version_and_the_models_that_come_with_kinet():
    from importlib.metadata import version

    assert kinet.__version__ == version("mulkinet")
    assert kinet.list_models() == ["small"]
    assert set(kinet.__all__) <= set(dir(kinet))
    for name in kinet.__all__:
        assert getattr(kinet, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        kinet.nothing  # noqa: B018


def test_asking_for_what_needs_no_network_loads_no_keras():
    code = (
        "import sys, kinet; kinet.evaluate, kinet.extract, kinet.read_tracks, kinet.save; "
        "kinet.__version__; kinet.list_models(); assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_what_a_model_says_is_json(tracks, tmp_path):
    train(Task(CONFIG, settings(epochs=1), tracks, tracks[:-1], RunFolders.of("run", tmp_path)))
    said = read_metadata(tmp_path / "models/run/best.keras")
    assert json.loads(json.dumps(said.to_dict())) == said.to_dict()
    assert said.training == settings(epochs=1)
    assert said.optimizer is None
    assert [record["epoch"] for record in said.history] == [1]


def test_validation_needs_a_song_of_two_versions(tmp_path):
    with pytest.raises(DataError, match="no song of two versions"):
        kinet.Ranking([Track("a", "1", tmp_path), Track("b", "1", tmp_path)])


def test_training_warns_of_lists_that_say_little_and_refuses_one_list_for_both(
    tracks, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with (
        pytest.warns(UserWarning, match="songs of the validation list are in the training list"),
        pytest.warns(UserWarning, match="below 10 its mAP says little"),
        pytest.raises(DataError, match="hold the same"),
    ):
        kinet.train(tracks, tracks, "same", model=CONFIG, training=settings())
    assert not (tmp_path / "models" / "same" / "last.keras").exists()
