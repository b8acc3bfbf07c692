"""Model files: what is written is read; what is foreign, damaged or too large is refused."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import resource
import struct
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest
from hostile import damaged

from kinet.checkpoint import load_model, read_metadata, restore, save
from kinet.config import ModelConfig
from kinet.errors import CheckpointError
from kinet.model import build_embedder

CONFIG = ModelConfig(
    block="simple", stages=1, channels=4, attention=(), time_field=4, vectors=110, embedding_size=8
)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.keras"
    keras.utils.set_random_seed(1)
    save(compiled(), path)
    return path


def compiled():
    model = build_embedder(CONFIG)
    model.compile("adam", loss="supcon")
    return model


def rewritten(good, target, changes, **options):
    """A copy with members changed: a function of its bytes each, or None to leave it out."""
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(target, "w", **options) as copy:
        for name in dict.fromkeys([*source.namelist(), *changes]):
            change = changes.get(name, lambda content: content)
            if change is not None:
                copy.writestr(name, change(source.read(name) if name in source.namelist() else b""))
    return target


def in_json(change):
    """A change of a member that is JSON."""

    def changed(content):
        values = json.loads(content)
        change(values)
        return json.dumps(values).encode()

    return changed


def refuse(path, message):
    for read in (read_metadata, load_model):
        with pytest.raises(CheckpointError, match=message) as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_what_is_written_is_read(good):
    model, metadata = load_model(good)
    assert metadata.model == CONFIG
    assert model.output_shape == (None, 8)
    again = compiled()
    restore(good, again)
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


class TestDirectory:
    """Decided by the central directory, before a byte is unpacked."""

    @pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_compressed_members(self, good, tmp_path, method):
        path = rewritten(good, tmp_path / "m.keras", {}, compression=method)
        refuse(path, r"'metadata.json' is compressed, \d+ bytes to 64; allowed: members as they")

    def test_a_bomb_is_refused_without_its_memory(self, good, tmp_path):
        bomb = {"model.weights.h5": lambda _: bytes(100 * 2**20)}
        path = rewritten(good, tmp_path / "m.keras", bomb, compression=zipfile.ZIP_DEFLATED)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.monotonic()
        refuse(path, "is compressed")
        assert time.monotonic() - started < 1
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000

    def test_encrypted_members(self, good, tmp_path):
        content = bytearray(good.read_bytes())
        for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            place = content.find(signature)
            while place >= 0:
                content[place + offset] |= 1
                place = content.find(signature, place + 1)
        path = tmp_path / "m.keras"
        path.write_bytes(content)
        refuse(path, "'metadata.json' is encrypted; allowed: members as they are")

    @pytest.mark.parametrize("name", ["../../x", "assets/a", "/etc/passwd", "model.weights.npz"])
    def test_members_that_kinet_does_not_write(self, good, tmp_path, name):
        path = rewritten(good, tmp_path / "m.keras", {name: lambda _: b"x"})
        refuse(path, f"member '{name}'; allowed: once each metadata.json, config.json,")

    def test_a_member_twice(self, good, tmp_path):
        path = rewritten(good, tmp_path / "m.keras", {})
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("config.json", "{}")
        refuse(path, "member 'config.json'; allowed: once each")

    def test_members_over_each_other(self, good, tmp_path):
        """Both sizes of a directory's entry are only claims."""
        content = bytearray(good.read_bytes())
        place = content.rfind(b"PK\x01\x02")  # of the last member
        content[place + 20 : place + 28] = struct.pack("<II", 10**9, 10**9)
        path = tmp_path / "m.keras"
        path.write_bytes(content)
        refuse(path, r"its members claim 1000\d+ bytes, the file has ")

    @pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"x" * 1000])
    def test_no_archive(self, tmp_path, content):
        path = tmp_path / "m.keras"
        path.write_bytes(content)
        refuse(path, "not a model file|has no config.json")


def config_of(good):
    with zipfile.ZipFile(good) as archive:
        return json.loads(archive.read("config.json"))


class TestNetwork:
    """What Keras is asked to build."""

    @pytest.mark.parametrize(
        ("module", "name", "registered"),
        [
            ("os", "system", None),
            ("builtins", "eval", None),
            ("keras.layers", "Lambda", None),
            ("keras.layers", "TFSMLayer", None),
            ("keras.layers", "Dense", "somebody>Else"),
            ("keras.src.utils.file_utils", "get_file", None),
            ("keras.utils", "get_file", "get_file"),
            ("kinet.layers", "PitchRows", "somebody>PitchRows"),
            ("kinet_plugin_dilated.layers", "SqueezeExcite", "kinet_plugin_dilated>SqueezeExcite"),
            (None, "__lambda__", None),
            (None, "__typespec__", None),
            (3, "Dense", None),
        ],
    )
    def test_classes_of_elsewhere(self, good, tmp_path, module, name, registered):
        def change(config):
            layer = config["config"]["layers"][-1]
            layer |= {"module": module, "class_name": name, "registered_name": registered}

        path = rewritten(good, tmp_path / "m.keras", {"config.json": in_json(change)})
        with pytest.raises(CheckpointError, match=r"asks for .*class|asks for .*; allowed: layers"):
            load_model(path)

    def test_code_is_never_allowed_with_a_plug_in_named(self, good, tmp_path):
        use = {"kind": "block", "name": "far", "distribution": "far", "version": "1"}

        def change(config):
            config["config"]["metadata"]["plugins"].append(use)
            config["config"]["layers"][-1]["class_name"] = "Lambda"

        path = rewritten(good, tmp_path / "m.keras", {"config.json": in_json(change)})
        with pytest.raises(CheckpointError, match=r"keras\.layers\.Lambda|needs .*block 'far'"):
            load_model(path)

    def test_weights_that_the_file_does_not_have(self, good, tmp_path):
        """A thousand digits more or less in a line of text: 4 TB of them."""

        def change(config):
            for layer in config["config"]["layers"]:
                for name in ("filters", "units"):
                    if name in layer["config"]:
                        layer["config"][name] = 1_000_000
                if layer["class_name"] == "BatchNormalization" and "build_config" in layer:
                    layer["build_config"]["input_shape"][-1] = 1_000_000
                if layer["class_name"] in ("Conv2D", "Dense"):
                    layer.pop("build_config")

        path = rewritten(good, tmp_path / "m.keras", {"config.json": in_json(change)})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(CheckpointError, match=r"its layers have weights of at least \d+ bytes"):
            load_model(path)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000

    def test_nested_without_end(self, good, tmp_path):
        def change(config):
            value = 1
            for _ in range(500):
                value = {"a": value}
            config["config"]["layers"][0]["config"]["a"] = value

        path = rewritten(good, tmp_path / "m.keras", {"config.json": in_json(change)})
        with pytest.raises(CheckpointError, match="nested more than 40 deep"):
            load_model(path)
        deeper = {"config.json": lambda _: b'{"a":' * 200_000}
        refuse(rewritten(good, tmp_path / "n.keras", deeper), "unreadable config.json")

    def test_more_layers_than_any_model(self, good, tmp_path):
        def change(config):
            config["config"]["layers"] *= 200

        path = rewritten(good, tmp_path / "m.keras", {"config.json": in_json(change)})
        with pytest.raises(CheckpointError, match=r"has \d+ layers; allowed: up to 2000"):
            load_model(path)

    def test_texts_longer_than_any_model_has(self, good, tmp_path):
        path = rewritten(good, tmp_path / "m.keras", {"config.json": lambda c: c + b" " * 2**24})
        refuse(path, r"config.json has \d+ bytes; allowed: up to 16777216")

    @pytest.mark.parametrize("number", [np.nan, np.inf])
    def test_weights_that_are_not_finite(self, good, tmp_path, number):
        def change(content):
            memory = io.BytesIO(content)
            with h5py.File(memory, "a") as file:
                file["layers/conv2d/vars/0"][0, 0, 0, 0] = number
            return memory.getvalue()

        path = rewritten(good, tmp_path / "m.keras", {"model.weights.h5": change})
        message = "layer stage0_kernel_conv has weights that are not finite numbers"
        with pytest.raises(CheckpointError, match=message):
            load_model(path)

    def test_weights_in_another_file(self, good, tmp_path):
        def change(content):
            memory = io.BytesIO(content)
            with h5py.File(memory, "a") as file:
                del file["layers/conv2d/vars/0"]
                file["layers/conv2d/vars/0"] = h5py.ExternalLink("/etc/passwd", "x")
            return memory.getvalue()

        path = rewritten(good, tmp_path / "m.keras", {"model.weights.h5": change})
        with pytest.raises(CheckpointError, match="vars/0 is a ExternalLink; allowed: arrays in"):
            load_model(path)


@pytest.mark.parametrize(
    "text",
    ["null", "[]", "3", "{", "{}", '{"registered_name": 3, "config": []}', "[" * 100_000],
)
def test_settings_that_say_nothing(good, tmp_path, text):
    path = rewritten(good, tmp_path / "m.keras", {"config.json": lambda _: text.encode()})
    refuse(path, r"has an unreadable config\.json|damaged or not a model file")


@pytest.mark.parametrize("said", [3, [], {}, {"format": "x"}, {"format": []}, {"format": 99}])
def test_metadata_that_say_nothing(good, tmp_path, said):
    change = in_json(lambda config: config["config"].__setitem__("metadata", said))
    path = rewritten(good, tmp_path / "m.keras", {"config.json": change})
    refuse(path, "unreadable in what it says of itself|does not say what it is|later format")


class TestRestore:
    """What training goes on from."""

    def test_a_state_that_points_elsewhere(self, good, tmp_path):
        def change(content):
            memory = io.BytesIO(content)
            with h5py.File(memory, "a") as file:
                name = next(iter(file["optimizer/vars"]))
                del file[f"optimizer/vars/{name}"]
                file[f"optimizer/vars/{name}"] = h5py.ExternalLink("/etc/passwd", "x")
            return memory.getvalue()

        path = rewritten(good, tmp_path / "m.keras", {"model.weights.h5": change})
        with pytest.raises(CheckpointError, match="optimizer/vars/0 is a ExternalLink; allowed"):
            restore(path, compiled())

    def test_a_network_of_other_sizes(self, good):
        other = build_embedder(dataclasses.replace(CONFIG, channels=5))
        other.compile("adam", loss="supcon")
        with pytest.raises(CheckpointError, match="cannot be loaded") as caught:
            restore(good, other)
        assert "\n" not in str(caught.value)


def test_damaged_files_are_refused_in_one_line(good, tmp_path):
    """Or they are read, where the damage hits nothing that is read."""
    content = good.read_bytes()
    path = tmp_path / "m.keras"
    refused = []
    for seed in range(3000 if os.environ.get("KINET_SLOW") else 200):
        path.write_bytes(damaged(content, seed))
        for read in (read_metadata, load_model):
            try:
                read(path)
            except CheckpointError as error:
                refused.append(str(error))
    assert len(refused) > 200
    assert not [message for message in refused if "\n" in message]


def test_damaged_members_are_refused_in_one_line(good, tmp_path):
    """With a checksum that fits, as who does it on purpose would see to."""
    refused = []
    for seed in range(1000 if os.environ.get("KINET_SLOW") else 60):
        name = ("config.json", "model.weights.h5")[seed % 2]
        changes = {name: lambda content, seed=seed: damaged(content, seed)}
        path = rewritten(good, tmp_path / "m.keras", changes)
        for read in (read_metadata, load_model):
            try:
                read(path)
            except CheckpointError as error:
                refused.append(str(error))
    assert len(refused) > 30
    assert not [message for message in refused if "\n" in message]
