"""`kinet convert` and what it says of files that are no checkpoint of the original."""

from __future__ import annotations

import os
import tarfile

import h5py
import keras
import numpy as np
import pytest
from hostile import damaged
from test_golden import ARCHIVE

import kinet
from kinet.cli import run
from kinet.errors import CheckpointError
from kinet.original.conversion import convert
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


class TestFilesThatPointElsewhere:
    """A checkpoint reads nothing but itself."""

    @pytest.fixture
    def secret(self, tmp_path):
        path = tmp_path / "secret"
        path.write_bytes(np.arange(16, dtype=np.float32).tobytes())
        with h5py.File(tmp_path / "secret.h5", "w") as file:
            file["kernel"] = np.ones((4, 4), np.float32)
        return path

    @pytest.mark.parametrize(
        ("put", "message"),
        [
            (
                lambda group, secret: group.create_dataset(
                    "x", (4, 4), "f4", external=[(str(secret), 0, 64)]
                ),
                "model_weights/Embedding/x lies in another file",
            ),
            (
                lambda group, secret: group.create_virtual_dataset("x", virtual_layout(secret)),
                "model_weights/Embedding/x lies in another file",
            ),
            (
                lambda group, secret: group.__setitem__(
                    "x", h5py.ExternalLink(f"{secret}.h5", "kernel")
                ),
                "model_weights/Embedding/x is a ExternalLink",
            ),
            (
                lambda group, secret: group.__setitem__("x", h5py.SoftLink("/model_weights")),
                "model_weights/Embedding/x is a SoftLink",
            ),
        ],
    )
    def test_are_refused(self, checkpoint, tmp_path, secret, put, message):
        path = copy_of(checkpoint, tmp_path)
        with h5py.File(path, "a") as file:
            put(file["model_weights/Embedding"], secret)
        with pytest.raises(CheckpointError, match=message.removeprefix("model_weights/")):
            read_original(path)

    def test_are_refused_as_a_whole(self, tmp_path, checkpoint):
        path = tmp_path / "old.h5"
        with h5py.File(path, "w") as file:
            file["model_weights"] = h5py.ExternalLink(str(checkpoint), "model_weights")
        with pytest.raises(CheckpointError, match="model_weights is no group in the file itself"):
            read_original(path)


def virtual_layout(secret):
    layout = h5py.VirtualLayout((4, 4), "f4")
    layout[:] = h5py.VirtualSource(f"{secret}.h5", "kernel", (4, 4))
    return layout


def copy_of(checkpoint, folder):
    path = folder / "old.h5"
    path.write_bytes(checkpoint.read_bytes())
    return path


class TestSizesThatAreOnlyClaimed:
    """Memory follows the bytes of the file, not what they say."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"shape": (10**6, 10**6)}, "x claims 4000000000000 bytes and has 0"),
            ({"shape": (10**5, 10**4), "chunks": True, "compression": "gzip"}, "x is in chunks"),
            ({"shape": (0, 10**9)}, r"x is float32 of shape \(0, 1000000000\)"),
        ],
    )
    def test_an_array_without_its_bytes(self, checkpoint, tmp_path, arguments, message):
        path = copy_of(checkpoint, tmp_path)
        with h5py.File(path, "a") as file:
            file["model_weights/Embedding"].create_dataset("x", dtype="f4", **arguments)
        with pytest.raises(CheckpointError, match=message):
            read_original(path)

    def test_one_array_under_many_names(self, checkpoint, tmp_path):
        path = copy_of(checkpoint, tmp_path)
        with h5py.File(path, "a") as file:
            whole = file.create_dataset("model_weights/x", data=np.ones(10**5, np.float32))
            for number in range(20):
                file[f"model_weights/y{number}"] = whole
        with pytest.raises(CheckpointError, match=r"its arrays claim 8[0-9]* bytes, the file has "):
            read_original(path)

    def test_a_group_that_holds_itself(self, checkpoint, tmp_path):
        path = copy_of(checkpoint, tmp_path)
        with h5py.File(path, "a") as file:
            file["model_weights/x"] = file["model_weights"]
        with pytest.raises(CheckpointError, match="more than 20000 items or nests them more than"):
            read_original(path)

    def test_a_layer_from_which_a_network_of_terabytes_follows(self, checkpoint, tmp_path):
        """A summary of 200,000 channels would have kernels of 1.6 TB."""
        path = copy_of(checkpoint, tmp_path)
        with h5py.File(path, "a") as file:
            (name,) = (n for n in names_of(file) if "Temporal_0_Conv" in n)
            del file[name]
            file[name] = np.ones((1, 1, 1, 200_000), np.float32)
        with pytest.raises(
            CheckpointError, match=r"the checkpoint's layer .* has shapes .*; block"
        ):
            convert(path, tmp_path / "new.keras")
        assert not (tmp_path / "new.keras").exists()


def names_of(file):
    names = []
    file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
    return names


def test_weights_that_are_not_finite(checkpoint, tmp_path):
    path = copy_of(checkpoint, tmp_path)
    with h5py.File(path, "a") as file:
        (name,) = (n for n in names_of(file) if n.endswith("Embedding/kernel:0"))
        file[name][0, 0] = np.nan
    with pytest.raises(CheckpointError, match="layer head has weights that are not finite numbers"):
        read_original(path)


@pytest.mark.parametrize(
    "settings",
    ['{"config": 3}', "[1]", "{", '{"config": {"layers": []}}', "[" * 100_000, '"l2": e--.'],
)
def test_settings_that_say_nothing(checkpoint, tmp_path, settings):
    path = copy_of(checkpoint, tmp_path)
    with h5py.File(path, "a") as file:
        del file.attrs["model_config"]
        try:
            file.attrs["model_config"] = settings
        except (OSError, RuntimeError):  # too long for where HDF5 wants to put it
            pytest.skip("this HDF5 has no room for it")
    with pytest.raises(CheckpointError, match="not a MulKINet checkpoint of the original code"):
        read_original(path)


def test_damaged_checkpoints_are_refused_in_one_line(checkpoint, tmp_path):
    """Or they are read, where the damage hits a number of a weight."""
    content = checkpoint.read_bytes()
    path = tmp_path / "old.h5"
    refused = []
    for seed in range(3000 if os.environ.get("KINET_SLOW") else 150):
        path.write_bytes(damaged(content, seed))
        try:
            read_original(path)
        except CheckpointError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert not [message for message in refused if "\n" in message]
