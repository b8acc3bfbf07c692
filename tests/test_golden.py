"""The function of the original, from its own checkpoints, inputs and outputs."""

from __future__ import annotations

import dataclasses
import json
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest

from kinet.network import embedder_of
from kinet.original.conversion import network_of
from kinet.original.reading import read_original

ARCHIVE = Path(__file__).parent / "data" / "golden.tar.xz"
with tarfile.open(ARCHIVE) as archive:
    INDEX = json.load(archive.extractfile("index.json"))
CASES = {case["checkpoint"]: case for case in INDEX["cases"]}


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def outputs(model, hpcp):
    """Embedding and softmax of a classifier."""
    embedding = keras.ops.convert_to_numpy(embedder_of(model)(hpcp))
    return embedding, keras.ops.convert_to_numpy(keras.ops.softmax(model(hpcp)))


def test_there_are_22_checkpoints():
    assert len(CASES) == 22


@pytest.mark.parametrize("name", CASES)
def test_checkpoint_gives_the_outputs_of_the_reference(golden, name):
    case = CASES[name]
    original = read_original(golden / name)
    # With one stage all blocks are the same network, called simple.
    block = case["block"] if case["stages"] > 1 else "simple"
    attention = [n for n in ("channel", "temporal") if case[f"{n}_attention"]]
    config = original.config
    assert (config.block, config.stages) == (block, case["stages"])
    assert list(config.attention) == attention
    assert (config.channels, original.songs) == (case["channels"], case["classes"])

    expected = np.load(golden / case["outputs"])
    hpcp = expected["hpcp"].transpose(0, 2, 1)
    model = network_of(original)
    embedding, softmax = outputs(model, hpcp)
    np.testing.assert_allclose(embedding, expected["embedding"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(softmax, expected["softmax"], rtol=0, atol=1e-5)
    penalty = sum(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses)
    np.testing.assert_allclose(penalty, expected["l2_penalty"], rtol=1e-4)
    assert model.count_params() == case["params"]


@pytest.mark.parametrize("name", [n for n in CASES if "no_chnlatt_no_tempatt" in n])
def test_circular_axis_computes_the_same_function_without_attention(golden, name):
    original = read_original(golden / name)
    circular = dataclasses.replace(original.config, pitch_axis="circular")
    model = network_of(dataclasses.replace(original, config=circular))
    expected = np.load(golden / CASES[name]["outputs"])
    embedding, softmax = outputs(model, expected["hpcp"].transpose(0, 2, 1))
    np.testing.assert_allclose(embedding, expected["embedding"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(softmax, expected["softmax"], rtol=0, atol=1e-5)


# Only a checkpoint without temporal attention shows the fault: with it, the random weights shrink
# what depends on the input until nothing of it is left in the embedding.
@pytest.mark.parametrize("name", ["wider_S4_no_tempatt.h5"])
def test_circular_axis_is_exactly_invariant_to_key_with_attention(golden, name):
    original = read_original(golden / name)
    hpcp = np.load(golden / CASES[name]["outputs"])["hpcp"].transpose(0, 2, 1)
    change = {}
    for axis in ("unrolled", "circular"):
        config = dataclasses.replace(original.config, pitch_axis=axis)
        embedder = embedder_of(network_of(dataclasses.replace(original, config=config)))
        embeddings = [
            keras.ops.convert_to_numpy(embedder(np.roll(hpcp, semitones, axis=-1)))
            for semitones in (0, 5)
        ]
        change[axis] = np.abs(embeddings[1] - embeddings[0]).max()
    assert change["circular"] < 2e-6
    # The original counts wrapped rows twice: this is what circular repairs.
    assert change["unrolled"] > 1e-4
