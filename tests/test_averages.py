"""Moving averages of the weights, and the rise of the learning rate."""

from __future__ import annotations

import shutil

import keras
import numpy as np
import pytest

import kinet
from kinet.checkpoint import load_model, read_metadata
from kinet.config import ModelConfig, TrainConfig
from kinet.data.tracks import Track
from kinet.training.averages import Averages
from kinet.training.fitting import _schedule

TRAINING = TrainConfig("supcon", batch_size=4, epochs=3, warmup=2, averaging=0.75)
MODEL = ModelConfig(
    "simple", 1, (), vectors=110, time_field=12, channels=4, bottleneck_ratio=1, embedding_size=4
)


class Weights(keras.callbacks.Callback):
    """The only weight at the end of every epoch."""

    def __init__(self, averages=None):
        super().__init__()
        self.seen = []
        self._averages = averages

    def on_epoch_end(self, epoch, logs=None):
        if self._averages:
            self._averages.put_back()
        self.seen.append(float(self.model.get_weights()[0][0, 0]))


@pytest.mark.parametrize(("averaging", "validated"), [(True, [1.6, 1.52]), (False, [1.6, 1.28])])
def test_the_average_is_validated_and_the_weights_go_on(averaging, validated):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1, use_ema=averaging, ema_momentum=0.75), "mse")
    model.set_weights([np.array([[2.0]])])
    averages = Averages()
    during, after = Weights(), Weights(averages)
    # The gradient of (w x - 0)^2 at x = 1 is 2 w: 2 - 0.1 * 4 = 1.6, then 1.28. The average begins
    # with the first of them: 0.75 * 1.6 + 0.25 * 1.28 = 1.52.
    model.fit(
        np.ones((1, 1)), np.zeros((1, 1)), epochs=2, verbose=0, callbacks=[averages, during, after]
    )
    assert during.seen == pytest.approx(validated)
    assert after.seen == pytest.approx([1.6, 1.28])


def test_the_rate_rises_for_the_warm_up_and_then_falls_along_a_cosine():
    schedule = _schedule(TRAINING, steps=4)  # 12 steps, of which 10 fall
    rates = [float(schedule(step)) for step in (0, 1, 2, 7, 12)]
    assert rates == pytest.approx([0.0, 5e-4, 1e-3, 5e-4, 0.0], abs=1e-9)
    assert _schedule(TrainConfig(), 4) is None


class Copy(keras.callbacks.Callback):
    """What a run leaves that is killed when two epochs are over."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            for folder in ("models", "log"):
                shutil.copytree(f"{folder}/whole", f"{folder}/stopped")


@pytest.fixture
def tracks(tmp_path, rng, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = []
    for song in range(6):
        melody = rng.random((120, 12)) ** 4
        for version in range(2):
            path = tmp_path / f"s{song}_{version}.npy"
            np.save(path, np.roll(melody, version, axis=1).astype(np.float32))
            found.append(Track(f"s{song}", str(version), path))
    return found


@pytest.mark.filterwarnings("ignore:the validation list has 2 songs")
def test_a_resumed_run_with_averages_ends_as_one_that_was_not_stopped(tracks):
    settings = {"model": MODEL, "training": TRAINING}
    whole = kinet.train(tracks[4:], tracks[:4], "whole", callbacks=[Copy()], **settings)
    assert len(read_metadata("models/stopped/last.keras").history) == 2
    assert len(kinet.train(tracks[4:], tracks[:4], "stopped", resume=True, **settings)) == len(
        whole
    )
    for name in ("last", "best"):
        one, other = (load_model(f"models/{tag}/{name}.keras")[0] for tag in ("whole", "stopped"))
        for left, right in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)
    last, best = (load_model(f"models/whole/{name}.keras")[0] for name in ("last", "best"))
    trained = [m.get_layer("head").get_weights()[0] for m in (last, best)]
    assert not np.array_equal(*trained)
