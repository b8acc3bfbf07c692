"""`kinet show`: pictures of HPCP, and what a model file says."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kinet.cli import run
from kinet.commands.model_files import ModelFile, say_of_short_tracks
from kinet.config import FeatureConfig, ModelConfig, TrainConfig
from kinet.data.settings_file import write_features
from kinet.data.tracks import Track
from kinet.metadata import Metadata, PluginUse
from kinet.pictures import draw_hpcp, pitch_names

PNG = b"\x89PNG"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_tone(path, seconds=2.0):
    time = np.arange(int(seconds * 44100)) / 44100
    soundfile.write(path, 0.1 * np.sin(2 * np.pi * 440 * time), 44100)


def test_a_recording(here, capsys):
    write_tone("a song.wav")
    assert run(["show", "a song.wav"]) == 0
    assert (here / "a song.wav.hpcp.png").read_bytes().startswith(PNG)
    assert capsys.readouterr().err == "a song.wav.hpcp.png: 4 vectors, 1.9 s\n"


def test_a_feature_file_lasts_as_long_as_its_settings_say(here, capsys):
    np.save("1_2.npy", np.eye(12, dtype=np.float32))
    write_features(here, FeatureConfig(hop_size=512))
    assert run(["show", "1_2.npy", "--out", "p.png"]) == 0
    assert (here / "p.png").read_bytes().startswith(PNG)
    assert capsys.readouterr().err == "p.png: 12 vectors, 2.8 s\n"


def test_a_picture_is_replaced_only_with_force(here, capsys):
    write_tone("a.wav")
    (here / "p.png").write_text("mine")
    assert run(["show", "a.wav", "--out", "p.png"]) == 1
    assert capsys.readouterr().err == (
        "kinet: p.png is there already; --force replaces it, --out names another\n"
    )
    assert (here / "p.png").read_text() == "mine"
    assert run(["show", "a.wav", "--out", "p.png", "--force"]) == 0
    assert (here / "p.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nothing.wav", None, "nothing.wav: no such file; need an audio file"),
        ("text.mp3", b"no sound at all", "text.mp3: "),
        ("text.npy", b"no array at all", "text.npy: not a .npy file; need a (T, 12) array"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_no_picture(here, capsys, name, content, message):
    if content is not None:
        (here / name).write_bytes(content)
    assert run(["show", name]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"kinet: {message}")
    assert error.count("\n") == 1
    assert not list(here.glob("*.png"))


def test_an_unwritable_target_is_one_line(here, capsys):
    write_tone("a.wav")
    assert run(["show", "a.wav", "--out", "nowhere/p.png"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_pitch_names_begin_with_the_reference():
    assert pitch_names(FeatureConfig())[:5] == ["A", "A♯", "B", "C", "C♯"]
    assert pitch_names(FeatureConfig(reference_frequency=261.63))[:2] == ["C", "C♯"]
    assert pitch_names(FeatureConfig(bins=24))[:4] == ["A", "A", "A♯", "B"]


def test_strong_pitch_classes_are_bright(tmp_path):
    from matplotlib.image import imread

    hpcp = np.zeros((10, 12))
    hpcp[:, 3] = 1
    draw_hpcp(tmp_path / "p.png", hpcp, FeatureConfig(), "C")
    pixels = imread(tmp_path / "p.png")[:, :, :3].sum(axis=2)
    column = pixels[30:260, 300]
    # The fourth of twelve rows from below.
    brightest = np.flatnonzero(column > 2).mean() / len(column)
    assert 0.6 < brightest < 0.8


def write_model(path):
    """A model file as far as it can be told what it is without loading it."""
    metadata = Metadata(
        ModelConfig(attention=("channel",), block_options={"expansion": 2.0}),
        FeatureConfig(hop_size=512),
        TrainConfig(epochs=2),
        songs=("a", "b"),
        plugins=(
            PluginUse("block", "wider", "mulkinet", "0.1.0"),
            PluginUse("attention", "mine", "", "", "mine.py"),
        ),
        history=({"epoch": 1, "map": 0.25}, {"epoch": 2, "map": 0.125}),
        kinet="0.1.0",
    )
    said = {"registered_name": "kinet>Network", "config": {"metadata": metadata.to_dict()}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(said))
    return metadata


def test_a_model_file_says_what_it_is(here, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    metadata = write_model(here / "m.keras")
    assert run(["show", "m.keras"]) == 0
    lines = [line.split("│")[1:4] for line in capsys.readouterr().out.splitlines()]
    rows = {tuple(cell.strip() for cell in row) for row in lines if len(row) == 3}
    digest = hashlib.sha256((here / "m.keras").read_bytes()).hexdigest()
    assert rows >= {
        ("file", "SHA-256", digest),
        ("file", "written by", "kinet 0.1.0"),
        ("model", "stages", "4"),
        ("model", "attention", "channel"),
        ("model", "block options", "expansion=2.0"),
        ("features", "fingerprint", metadata.features.fingerprint()),
        ("features", "hop size", "512"),
        ("plug-in", "block", "wider (mulkinet 0.1.0)"),
        ("plug-in", "attention", "mine (mine.py)"),
        ("training", "loss", "supcon"),
        ("training", "songs of the classifier", "2"),
        ("training", "epochs done", "2"),
        ("training", "best validation mAP", "0.2500 in epoch 1"),
    }
    assert not list(here.glob("*.png"))


def test_programs_get_all_that_a_model_says(here, capsys):
    metadata = write_model(here / "m.keras")
    assert run(["show", "m.keras", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    digest = hashlib.sha256((here / "m.keras").read_bytes()).hexdigest()
    assert said == {"path": "m.keras", "digest": digest, **metadata.to_dict()}


def test_programs_get_the_size_of_hpcp(here, capsys):
    write_tone("a.wav")
    assert run(["show", "a.wav", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "path": "a.wav",
        "picture": "a.wav.hpcp.png",
        "vectors": 4,
        "seconds": 1.858,
    }


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.keras"], 1, "kinet: no model file none.keras; expected a .keras file"),
        (["none.onnx"], 1, "kinet: no export none.onnx; expected"),
        (["bad.keras"], 1, "kinet: bad.keras is damaged or not a model file"),
        (["m.keras", "--out", "p.png"], 2, "kinet show: --out is for pictures; a model is shown"),
    ],
)
def test_what_is_no_model_is_one_line(here, capsys, arguments, code, message):
    write_model(here / "m.keras")
    (here / "bad.keras").write_text("no archive")
    assert run(["show", *arguments]) == code
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1


def test_no_backend_is_loaded_to_show_a_model(here):
    write_model(here / "m.keras")
    code = (
        "import sys; from kinet.cli import run; code = run(['show', 'm.keras']); "
        "loaded = {'keras', 'jax', 'torch', 'tensorflow'} & set(sys.modules); "
        "sys.exit(code or ', '.join(sorted(loaded)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_tracks_much_shorter_than_what_a_model_looks_at_are_told(here, capsys):
    tracks = []
    for version, length in enumerate((50, 49, 20)):
        tracks.append(Track("a", str(version), here / f"a_{version}.npy"))
        np.save(tracks[-1].path, np.ones((length, 12), np.float32))
    opened = ModelFile(here / "m.keras", FeatureConfig(), 4, 100, lambda *_: None)
    say_of_short_tracks(opened, tracks, None)
    assert " ".join(capsys.readouterr().err.split()) == (
        "2 of 3 tracks are shorter than half of the 100 vectors (46 s) that the model looks at, "
        "the shortest has 20 (9 s); less is found of them than of whole recordings"
    )
    say_of_short_tracks(opened, tracks, 40)
    say_of_short_tracks(opened, tracks[:1], None)
    assert capsys.readouterr().err == ""


def test_a_model_that_comes_with_kinet_is_shown_by_its_name(capsys):
    assert run(["show", "small", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    card = json.loads(Path(said["path"]).with_suffix(".json").read_text())
    assert said["digest"] == card["sha256"]
