"""`kinet show`: pictures of HPCP."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from kinet.cli import run
from kinet.config import FeatureConfig
from kinet.data.manifest import write_features
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
