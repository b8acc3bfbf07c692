"""Heads: the batch-norm neck between two losses, and a new head on a network that is kept."""

from __future__ import annotations

import dataclasses
from math import exp, log

import keras
import numpy as np
import pytest
from quick import ONE_OF_MANY
from test_losses import value
from test_several_losses import MODEL, Stop, tracks  # noqa: F401 - a fixture

import kinet
from kinet import losses
from kinet.checkpoint import load_model, read_metadata
from kinet.config import ModelConfig, TrainConfig
from kinet.embeddings import embed_arrays, fast_embedder
from kinet.errors import SettingsError
from kinet.losses import NormalisedSoftmax
from kinet.losses.objective import Objective
from kinet.model import build_embedder, build_for
from kinet.network import HEAD, embedder_of
from kinet.proxies import Proxies
from kinet.training.runs import RunFolders
from kinet.training.starting import start

NECK = dataclasses.replace(MODEL, head="bnneck")
TRAINING = TrainConfig(
    {"supcon": 1, "normsoftmax": 1}, batch_size=4, versions_per_song=2, epochs=2, averaging=0.5
)
pytestmark = pytest.mark.filterwarnings("ignore:the validation list has 2 songs")


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def moved(model, rng):
    """`model` with batch normalisation away from where it begins."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([w + rng.random(w.shape) for w in layer.get_weights()])
    return model


def everything(network, hpcp):
    """What a network with several outputs gives, what its embedder does and what its first layer
    of the head does: all from one model, which is compiled once."""
    outputs = {
        **dict(zip(sorted(network.get_config()["output_layers"]), network.outputs, strict=True)),
        "embedded": embedder_of(network).output,
        "before": network.get_layer("head").output,
    }
    return keras.Model(network.input, outputs).predict(hpcp, verbose=0)


def test_losses_that_compare_see_what_is_before_the_neck_and_the_others_what_is_behind(rng):
    network = moved(build_for(("logits", "cosines", "embedding"), NECK, ["a", "b"]), rng)
    given = everything(network, rng.random((5, 100, 12)).astype(np.float32))
    neck = network.get_layer("features")
    assert [weight.name for weight in neck.weights] == ["gamma", "moving_mean", "moving_variance"]
    gamma, mean, variance = neck.get_weights()
    behind = gamma * (given["before"] - mean) / np.sqrt(variance + neck.epsilon)
    np.testing.assert_allclose(given["embedding"], unit(given["before"]), atol=1e-5)
    kernel = network.get_layer("logits").get_weights()[0]
    np.testing.assert_allclose(given["logits"], behind @ kernel, atol=1e-5)
    kernel = network.get_layer("cosines").get_weights()[0]
    np.testing.assert_allclose(given["cosines"], unit(behind) @ unit(kernel.T).T, atol=1e-5)
    np.testing.assert_allclose(given["embedded"], unit(behind), atol=1e-5)


def test_with_the_linear_head_all_losses_see_the_same(rng):
    network = build_for(("logits", "embedding"), MODEL, ["a", "b"])
    given = everything(network, rng.random((2, 100, 12)).astype(np.float32))
    np.testing.assert_allclose(given["embedding"], given["embedded"], atol=1e-6)


def test_a_network_with_a_neck_is_kept_and_has_a_fast_form(rng, tmp_path):
    sizes = {"channels": 8, "embedding_size": 8, "vectors": 150}
    model = moved(kinet.build("simple", 1, head="bnneck", **sizes), rng)
    hpcp = [rng.random((150, 12)).astype(np.float32) for _ in range(3)]
    rows = kinet.embed(model, hpcp)
    np.testing.assert_allclose(embed_arrays(fast_embedder(model), hpcp, None, 3), rows, atol=1e-5)
    kinet.save(model, tmp_path / "model.keras")
    loaded = kinet.load(tmp_path / "model.keras")
    assert loaded.metadata.model.head == "bnneck"
    np.testing.assert_allclose(kinet.embed(loaded, hpcp), rows, atol=1e-6)


@pytest.mark.parametrize("loss", ["supcon", "softmax", {"softmax": 1, "normsoftmax": 1}])
def test_a_neck_stands_between_two_losses(loss):
    objective = Objective.of(TrainConfig(loss=loss))
    with pytest.raises(SettingsError, match=r"head bnneck with the loss .*; allowed: a loss that"):
        objective.require_place(NECK)
    objective.require_place(MODEL)
    Objective.of(TrainConfig(loss={"clews": 1, "softmax": 1})).require_place(NECK)


def test_a_head_that_nobody_knows_is_told_and_the_original_s_stays_the_default():
    with pytest.raises(SettingsError, match="head is 'neck'; allowed: linear, bnneck"):
        ModelConfig(head="neck")
    with pytest.raises(SettingsError, match="freeze is 1; allowed: True or False"):
        TrainConfig(freeze=1)
    assert ModelConfig.from_dict({"stages": 4}).head == "linear"
    assert not TrainConfig.from_dict({"epochs": 4}).freeze


def test_normalised_softmax_counts_the_cosine_alone():
    cosines = np.array([[0.6, 0.8, 0.0], [1.0, 0.0, -1.0]], np.float32)
    first = log(exp(0.6 / 0.5) + exp(0.8 / 0.5) + 1) - 0.6 / 0.5
    second = log(exp(1 / 0.5) + 1 + exp(-1 / 0.5)) - -1 / 0.5
    expected = pytest.approx((first + second) / 2, rel=1e-5)
    assert value(NormalisedSoftmax(0.5), cosines, np.array([0, 2])) == expected
    plugin = losses.registry.get("normsoftmax")
    assert value(plugin.with_options({"temperature": 0.5}), cosines, np.array([0, 2])) == expected
    assert plugin.with_options({}).temperature == 0.05
    with pytest.raises(SettingsError, match="temperature is 0; allowed: a number above 0"):
        NormalisedSoftmax(0)


def test_the_length_of_features_and_of_proxies_does_not_count(rng):
    layer = Proxies(3)
    rows = rng.standard_normal((2, 4)).astype(np.float32)
    cosines = keras.ops.convert_to_numpy(layer(rows))
    layer.set_weights([5 * layer.get_weights()[0]])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(7 * rows)), cosines, atol=1e-6)


def test_a_loss_of_cosines_by_its_name_is_refused_elsewhere():
    model = kinet.build_classifier(["a", "b"], "simple", 1, channels=4, attention=())
    with pytest.raises(SettingsError, match=r"wants cosines with songs, .*gives logits of songs"):
        model.compile(loss="normsoftmax")


def weights_by_layer(path):
    return {
        layer.name: layer.get_weights() for layer in load_model(path)[0].layers if layer.weights
    }


SHORTER = dataclasses.replace(NECK, embedding_size=3, head="linear")
FROZEN = dataclasses.replace(TRAINING, freeze=True, loss="normsoftmax", learning_rate=0.1)


def test_a_new_head_is_trained_on_a_network_that_is_kept(tracks):  # noqa: F811
    lists = (tracks[4:], tracks[:4])
    training = dataclasses.replace(TRAINING, epochs=1)
    kinet.train(*lists, "base", model=NECK, training=training)
    base = kinet.load("models/base/best.keras")
    history = kinet.train(*lists, "new", model=SHORTER, training=FROZEN, start_from=base)
    assert history[1]["loss"] < history[0]["loss"]
    before, after = (weights_by_layer(f"models/{tag}/best.keras") for tag in ("base", "new"))
    kept = before.keys() - {*HEAD, "cosines"}
    assert kept == after.keys() - {*HEAD, "cosines"}
    for name in kept:
        for one, other in zip(before[name], after[name], strict=True):
            np.testing.assert_array_equal(one, other)
    assert after["head"][0].shape == (4, 3)
    said = read_metadata("models/new/best.keras")
    assert said.training.freeze
    assert said.model == SHORTER


@ONE_OF_MANY
def test_a_new_head_goes_on_without_the_network_that_it_began_with(tracks):  # noqa: F811
    lists = (tracks[4:], tracks[:4])
    settings = {"model": SHORTER, "training": FROZEN, "start_from": build_embedder(NECK)}
    whole = kinet.train(*lists, "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        kinet.train(*lists, "part", callbacks=[Stop()], **settings)
    # What is kept is in the checkpoint.
    rest = kinet.train(*lists, "part", model=SHORTER, training=FROZEN, resume=True)
    assert [record["loss"] for record in rest] == [record["loss"] for record in whole]


def test_what_is_kept_must_be_there_and_be_the_same_network():
    other = build_embedder(dataclasses.replace(SHORTER, pooling="autopool"))
    with pytest.raises(SettingsError, match="freeze keeps a network as it is and there is none"):
        start(other, None, keep=True)
    with pytest.raises(SettingsError, match="pooling is 'autopool', and 'mean' in the network tha"):
        start(other, build_embedder(NECK), keep=True)


def test_a_run_of_before_there_were_heads_goes_on(tmp_path):
    folders = RunFolders.of("old", tmp_path)
    model, training = ModelConfig().to_dict(), TrainConfig().to_dict()
    del model["head"], training["freeze"]
    lists = {"data_dir": "a", "train_list": "b", "validation_list": "c"}
    folders.write_settings({**lists, "model": model, "training": training})
    read = folders.read_settings()
    assert (read["model"]["head"], read["training"]["freeze"]) == ("linear", False)
