"""Settings of features: what cannot be is refused in one line, at once."""

from __future__ import annotations

import dataclasses

import pytest

from kinet.config import FeatureConfig, ModelConfig, TrainConfig
from kinet.errors import SettingsError


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("hop_size", 0, "an integer from 1 to 1048576"),
        ("hop_size", -1, "an integer from 1 to 1048576"),
        ("hop_size", True, "an integer from 1 to 1048576"),
        ("hop_size", 1024.0, "an integer from 1 to 1048576"),
        ("frame_size", 1, "an integer from 2 to 1048576"),
        ("frame_size", 2**40, "an integer from 2 to 1048576"),
        ("sample_rate", "44100", "an integer from 1 to 768000"),
        ("maximum_peaks", 0, "an integer from 1 to 10000"),
        ("bins", 0, "an integer from 1 to 1200"),
        ("harmonics", -1, "an integer from 0 to 1000"),
        ("frames_per_vector", 0, "an integer from 1 to 1048576"),
        ("minimum_frequency", -0.5, "a finite number from 0"),
        ("maximum_frequency", float("inf"), "a finite number from 0"),
        ("maximum_frequency", 40.0, "above the minimum frequency, 40.0"),
        ("magnitude_threshold", float("nan"), "a finite number from 0"),
        ("reference_frequency", 0.0, "a finite number from 0.001"),
        ("weighting_window", None, "a finite number from 0"),
        ("weighting_window", -1.0, "a finite number from 0"),
        ("window", 92, "text"),
        ("other_processing", None, "text"),
    ],
)
def test_a_setting_of_features_out_of_its_range_is_refused(name, value, allowed):
    with pytest.raises(SettingsError) as caught:
        FeatureConfig(**{name: value})
    assert str(caught.value) == f"{name} is {value!r}; allowed: {allowed}"


@pytest.mark.parametrize(
    ("kind", "name", "value", "allowed"),
    [
        (ModelConfig, "l2", "0.1", "a finite number from 0"),
        (ModelConfig, "l2", float("inf"), "a finite number from 0"),
        (ModelConfig, "attention", "channel", "names of modules, such as ('channel', 'temporal')"),
        (ModelConfig, "attention", (1,), "names of modules, such as ('channel', 'temporal')"),
        (TrainConfig, "learning_rate", float("inf"), "a finite number above 0"),
        (TrainConfig, "learning_rate", 0, "a finite number above 0"),
        (TrainConfig, "dropout", "0.5", "from 0 to below 1"),
        (TrainConfig, "averaging", None, "from 0 to below 1"),
    ],
)
def test_a_number_that_is_none_or_has_no_end_is_refused(kind, name, value, allowed):
    with pytest.raises(SettingsError) as caught:
        kind(**{name: value})
    assert str(caught.value).endswith(f" is {value!r}; allowed: {allowed}")


@pytest.mark.parametrize(
    ("name", "value"),
    [("hop_size", 1), ("frame_size", 2), ("harmonics", 0), ("bins", 1200), ("sample_rate", 768_000),
     ("minimum_frequency", 0), ("magnitude_threshold", 0.0), ("maximum_frequency", 40.001)],
)  # fmt: skip
def test_the_ends_of_the_ranges_are_allowed(name, value):
    assert getattr(FeatureConfig(**{name: value}), name) == value


def test_settings_are_the_same_after_a_way_through_json():
    config = FeatureConfig(hop_size=512)
    assert FeatureConfig.from_described(config.described()) == config
    changed = {**config.described(), "fingerprint": FeatureConfig().fingerprint()}
    with pytest.raises(SettingsError, match=r"the settings have the fingerprint \w+, but \w+ is"):
        FeatureConfig.from_described(changed)


def test_every_setting_is_in_the_fingerprint():
    seen = {FeatureConfig().fingerprint()}
    for field in dataclasses.fields(FeatureConfig):
        value = getattr(FeatureConfig(), field.name)
        other = value + "x" if isinstance(value, str) else value + 1
        seen.add(FeatureConfig(**{field.name: other}).fingerprint())
    assert len(seen) == 1 + len(dataclasses.fields(FeatureConfig))


def test_the_defaults_are_what_the_benchmarks_speak_for():
    model, training = ModelConfig(), TrainConfig()
    assert (model.block, model.stages, model.channels) == ("wider", 4, 64)
    assert (model.attention, model.pooling, model.pitch_axis) == ((), "mean", "circular")
    assert training.loss == "supcon"


def test_the_settings_of_the_original_are_there_by_name():
    model = ModelConfig.original()
    assert (model.block, model.stages, model.channels) == ("wider", 12, 256)
    assert model.attention == ("channel", "temporal")
    assert (model.vectors, model.pooling, model.pitch_axis) == (400, "mean", "unrolled")
    training = TrainConfig.original()
    assert (training.loss, training.batch_size, training.epochs) == ("softmax", 32, 100)
    assert (training.learning_rate, training.dropout) == (1e-3, 0.5)


def test_settings_given_win_over_the_original():
    assert ModelConfig.original(stages=3, attention=()).stages == 3
    assert ModelConfig.original(stages=3, attention=()).channels == 256
    assert TrainConfig.original(loss="triplet") == TrainConfig(loss="triplet")
    with pytest.raises(SettingsError, match="number of stages S is 5; allowed"):
        ModelConfig.original(stages=5)
