"""`kinet convert` and what it says of files that are no checkpoint of the original."""

from __future__ import annotations

import tarfile

import h5py
import keras
import numpy as np
import pytest
from test_golden import ARCHIVE

import kinet
from kinet.cli import run
from kinet.errors import CheckpointError
from kinet.original.reading import read_original


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    with tarfile.open(ARCHIVE) as archive:
        for name in ("wider_S4_no_tempatt.h5", "wider_S4_no_tempatt.npz"):
            archive.extract(name, folder, filter="data")
    return folder / "wider_S4_no_tempatt.h5"


def test_convert_writes_a_model_file_that_gives_the_same_embedding(checkpoint, tmp_path, capsys):
    target = tmp_path / "new.keras"
    assert run(["convert", str(checkpoint), str(target)]) == 0
    said = capsys.readouterr().err
    assert "block wider, S = 4, attention channel, T = 200, 16 channels, 7 songs" in said
    expected = np.load(checkpoint.with_suffix(".npz"))
    embedding = keras.ops.convert_to_numpy(kinet.load(target)(expected["hpcp"].transpose(0, 2, 1)))
    np.testing.assert_allclose(embedding, expected["embedding"], rtol=0, atol=1e-5)


def test_convert_does_not_replace_a_file_unasked(checkpoint, tmp_path, capsys):
    target = tmp_path / "new.keras"
    target.write_text("mine")
    assert run(["convert", str(checkpoint), str(target)]) == 1
    assert "is there already; --force replaces it" in capsys.readouterr().err
    assert target.read_text() == "mine"


def test_weights_without_settings_are_enough(checkpoint, tmp_path):
    bare = tmp_path / "weights.h5"
    with h5py.File(checkpoint) as source, h5py.File(bare, "w") as target:
        for name, layer in source["model_weights"].items():
            source.copy(layer, target, name)
    config = read_original(bare).config
    assert (config.block, config.stages, config.attention) == ("wider", 4, ("channel",))
    # Nothing in the weights tells T without temporal attention: the default of the original.
    assert config.vectors == 400


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no checkpoint"),
        (b"not a checkpoint", "damaged or not an HDF5 file"),
        (b"", "damaged or not an HDF5 file"),
    ],
)
def test_files_that_are_no_hdf5(tmp_path, content, message):
    path = tmp_path / "old.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_original(path)


def test_truncated_checkpoint(checkpoint, tmp_path):
    path = tmp_path / "old.h5"
    path.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="damaged"):
        read_original(path)


def test_hdf5_of_another_kind(tmp_path):
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file["dense/kernel:0"] = np.ones((2, 2))
    with pytest.raises(CheckpointError, match="not a MulKINet checkpoint"):
        read_original(path)


def test_missing_layer(checkpoint, tmp_path, capsys):
    path = tmp_path / "old.h5"
    path.write_bytes(checkpoint.read_bytes())
    with h5py.File(path, "a") as file:
        del file["model_weights/Temporal_1_BN"]
    assert run(["convert", str(path), str(tmp_path / "new.keras")]) == 1
    assert "summary1_bn" in capsys.readouterr().err
    assert not (tmp_path / "new.keras").exists()
