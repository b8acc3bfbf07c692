"""`kinet extract`, and that models and features of other settings are not mixed."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import audio_files
import numpy as np
import pytest

import kinet
from kinet.checkpoint import read_metadata, save
from kinet.cli import run
from kinet.config import FeatureConfig, ModelConfig
from kinet.data.settings_file import write_features
from kinet.training.runs import RunFolders

SMALL = [
    *("--block", "simple", "-S", "1", "--channels", "8", "--embedding-size", "16"),
    *("--attention", "none", "--time-field", "12", "--vectors", "110"),
]
FORMATS = (".wav", ".flac", ".ogg", ".mp3")
OTHER = FeatureConfig(reference_frequency=442.0)
# Degrees of four tunes, in semitones.
TUNES = {
    "frere jacques": (0, 2, 4, 0, 4, 5, 7, 7),
    "ode to joy": (4, 4, 5, 7, 7, 5, 4, 2),
    "a chromatic one": (0, 1, 2, 3, 6, 8, 9, 10),
    "a pentatonic one": (0, 3, 5, 10, 7, 3, 10, 5),
}


def play(tune, transposition, seconds_per_note, rate=44100):
    """Twice the tune, each note with five harmonics, over a drone on the first degree."""
    notes = [220 * 2 ** ((degree + transposition) / 12) for degree in (*tune, *tune)]
    time = np.arange(int(seconds_per_note * rate)) / rate
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    drone = 110 * 2 ** (transposition / 12)
    played = [
        fade * sum(np.sin(2 * np.pi * k * f * time) / k for f in (note, drone) for k in range(1, 6))
        for note in notes
    ]
    return 0.1 * np.concatenate(played).astype(np.float32)[:, None]


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """A folder per song, with a version in each of four formats, keys and tempi."""
    folder = tmp_path_factory.mktemp("my music")
    for song, tune in TUNES.items():
        (folder / song).mkdir()
        for version, suffix in enumerate(FORMATS):
            signal = play(tune, 3 * version, 0.6 + 0.05 * version)
            audio_files.write(folder / song / f"take {version}{suffix}", signal)
    return folder


@pytest.fixture(scope="module")
def features(music, tmp_path_factory):
    """The features that the command line makes of the folder."""
    out = tmp_path_factory.mktemp("made") / "my features"
    assert run(["extract", str(music), "--out", str(out)]) == 0
    return out


def test_extract_train_and_eval_of_a_folder_of_music(features, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lists = ["--data-dir", str(features), "--train-list", str(features / "list")]
    # As good as all of it: what is looked at is that all fits together.
    lines = (features / "list").read_text().splitlines(keepends=True)
    Path("validation").write_text("".join(lines[:-1]))
    lists += ["--validation-list", "validation"]
    supcon = ["--loss", "supcon", "--batch-size", "16", "--learning-rate", "0.003", "--epochs", "8"]
    assert run(["train", *SMALL, *lists, *supcon, "--tag", "mine"]) == 0
    assert read_metadata("models/mine/best.keras").features == FeatureConfig()
    capsys.readouterr()
    test = ["--data-dir", str(features), "--test-list", str(features / "list"), "--json"]
    assert run(["eval", *test]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["tracks"], report["songs"], report["queries"]) == (16, 4, 16)
    # Four songs in four versions: a ranking by chance has a MAP of about 0.3.
    assert report["map"] > 0.6


def test_the_features_of_a_song_are_alike_in_every_format(features):
    for song in ("frere-jacques", "ode-to-joy"):
        keys = []
        for version in range(4):
            mean = np.load(features / f"{song}_take-{version}.npy").mean(axis=0)
            keys.append(np.roll(mean, -3 * version))
        similar = np.corrcoef(keys)
        assert similar.min() > 0.9


def test_the_last_line_is_a_command_that_works(features, music, capsys):
    assert run(["extract", str(music), "--out", str(features)]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[-2].endswith("0 made (0.00 h of sound in 0 s), 16 finished before, 0 failed")
    assert said[-1].startswith("next: kinet check '")
    assert run(shlex.split(said[-1].removeprefix("next: kinet "))) == 0


def test_json_has_what_was_done_and_what_failed(music, tmp_path, capsys):
    (tmp_path / "text.mp3").write_text("no sound")
    (tmp_path / "songs.csv").write_text(
        f"path,song_id,version_id\n{music / 'ode to joy' / 'take 0.wav'},ode,1\ntext.mp3,ode,2\n"
    )
    out = tmp_path / "out"
    command = ["extract", str(tmp_path / "songs.csv"), "--out", str(out), "--workers", "1"]
    assert run([*command, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    [failed] = report.pop("failed")
    assert failed.pop("message").startswith("no audio in a known format")
    assert failed == {"path": str(tmp_path / "text.mp3"), "song_id": "ode", "version_id": "2"}
    assert report.pop("seconds") > 0
    assert report == {
        "data_dir": str(out),
        "list": str(out / "list"),
        "manifest": str(out / "manifest.csv"),
        "features": str(out / "features.json"),
        "fingerprint": FeatureConfig().fingerprint(),
        "done": 1,
        "skipped": 0,
        "audio_seconds": 9.6,  # 16 notes of 0.6 s
    }
    assert (out / "list").read_text() == "ode\t1\n"


def test_what_failed_is_a_line_each_at_the_end(tmp_path, capsys):
    audio_files.make(tmp_path / "good.wav", 1.0)
    audio_files.make(tmp_path / "short.wav", 0.1)
    command = ["extract", str(tmp_path), str(tmp_path / "good.wav"), "--out", str(tmp_path / "o")]
    assert run([*command, "--workers", "1"]) == 1
    streams = capsys.readouterr()
    assert streams.err.splitlines()[-3:-1] == [
        f"{tmp_path / 'short.wav'}: 0.10 s long; need at least 0.46 s",
        "1 made (0.00 h of sound in 0 s), 0 finished before, 1 failed",
    ]
    assert streams.out == ""
    assert re.search(r"extracting .* 2/2 .* files/s .* s of sound/s", streams.err)


def test_nothing_made_no_next_command(tmp_path, capsys):
    audio_files.make(tmp_path / "short.wav", 0.1)
    assert run(["extract", str(tmp_path), "--out", str(tmp_path / "o"), "--workers", "1"]) == 1
    assert "next:" not in capsys.readouterr().err


def test_a_full_disk_still_shows_what_failed(tmp_path, monkeypatch, capsys):
    def full(path, write):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("kinet.extraction.recording.write_array_atomically", full)
    for name in ("b.wav", "c.wav"):
        audio_files.make(tmp_path / name, 1.0)
    (tmp_path / "a.wav").touch()
    assert run(["extract", str(tmp_path), "--out", str(tmp_path / "o"), "--workers", "1"]) == 1
    streams = capsys.readouterr()
    assert f"{tmp_path / 'a.wav'}: an empty file; need sound" in streams.err.splitlines()
    assert "next:" not in streams.err
    assert streams.err.splitlines()[-1] == (
        f"kinet: cannot write {tmp_path / 'o' / 'b_1.npy'}: No space left on device; 0 of 3 "
        "recordings are done and stay; the same command goes on when there is room"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Missing argument 'SOURCE...'"),
        (["absent", "--out", "o"], 1, "kinet: absent: missing; need an audio file, a folder"),
        (["empty", "--out", "o"], 1, "kinet: empty: a folder without audio; need an audio file"),
        (["a.wav"], 2, "Missing option '--out'"),
        (["a.wav", "--out", "o", "--workers", "0"], 2, "'--workers': 0 is not in the range x>=1."),
        (["a.wav", "--out", "a.wav"], 1, "kinet: cannot write a.wav: File exists; need a folder"),
    ],
)
def test_commands_that_cannot_work(arguments, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.wav").touch()
    assert run(["extract", *arguments]) == code
    [line] = capsys.readouterr().err.splitlines()[-1:]
    assert said in line
    assert not (tmp_path / "o").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_no_text_can_fail_and_be_shown(tmp_path, capsys):
    Path(tmp_path, "caf\udce9.wav").touch()
    assert run(["extract", str(tmp_path), "--out", str(tmp_path / "o"), "--workers", "1"]) == 1
    assert "caf" in capsys.readouterr().err


# Features and models of other settings


@pytest.fixture
def other_features(tmp_path, monkeypatch, rng):
    """A folder ``data`` with features that say they were made with another A, and a ``list``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("1_1", "1_2", "2_1", "2_2"):
        np.save(tmp_path / "data" / f"{name}.npy", rng.random((120, 12)).astype(np.float32))
    (tmp_path / "list").write_text("1 1\n1 2\n2 1\n2 2\n")
    (tmp_path / "validation").write_text("1 1\n1 2\n2 1\n")
    write_features("data", OTHER)
    return tmp_path


LISTS = ["--data-dir", "data", "--train-list", "list", "--validation-list", "validation"]
TRAIN = ["train", *SMALL, *LISTS, "--epochs", "2", "--tag", "mine"]


def write_model(path, features):
    config = ModelConfig(
        block="simple", stages=1, attention=(), channels=8, embedding_size=16, time_field=12,
        vectors=110,
    )  # fmt: skip
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save(kinet.build(**config.to_dict(), features=features), path)


def refusal(capsys, needs, expected=FeatureConfig()):  # noqa: B008
    line = capsys.readouterr().err.splitlines()[-1]
    found = OTHER if expected != OTHER else FeatureConfig()
    assert line == (
        f"kinet: the features in data have the fingerprint {found.fingerprint()}, {needs} needs "
        f"{expected.fingerprint()}; reference_frequency is {found.reference_frequency} there, "
        f"needed is {expected.reference_frequency}"
    )


def test_training_writes_the_settings_of_the_features_into_the_model(other_features, capsys):
    assert run(TRAIN) == 0
    for name in ("best", "last"):
        assert read_metadata(f"models/mine/{name}.keras").features == OTHER
    assert run(["eval", "--data-dir", "data", "--test-list", "list"]) == 0
    # With other features it does not go on.
    write_features("data", FeatureConfig())
    capsys.readouterr()
    assert run(["train", "--resume", "--tag", "mine"]) == 1
    refusal(capsys, "the model models/mine/last.keras", OTHER)
    # Features that do not say are trusted, and the model keeps what it knows.
    Path("data/features.json").unlink()
    assert run(["train", "--resume", "--tag", "mine"]) == 0
    assert read_metadata("models/mine/last.keras").features == OTHER


@pytest.mark.parametrize(
    "command",
    [
        ["eval", "--test-list", "list"],
        ["embed", "list", "--out", "x.npz"],
    ],
)
def test_a_model_refuses_features_of_other_settings(other_features, capsys, command):
    write_model("m.keras", FeatureConfig())
    arguments = [*command, "--data-dir", "data", "--model-file", "m.keras"]
    assert run(arguments) == 1
    refusal(capsys, "the model m.keras")
    Path("data/features.json").unlink()
    assert run(arguments) == 0


def test_weights_of_other_features_are_refused(other_features, capsys):
    write_model("m.keras", FeatureConfig())
    assert run([*TRAIN, "--init", "m.keras"]) == 1
    refusal(capsys, "the model m.keras")
    assert not RunFolders.of("mine").settings.exists()
    # The original's checkpoints were made with the default settings.
    assert run([*TRAIN, "--init", "old.h5"]) == 1
    refusal(capsys, "the model old.h5")


def test_weights_of_the_same_features_are_taken(other_features):
    write_model("m.keras", OTHER)
    Path("data/features.json").unlink()
    assert run([*TRAIN, "--init", "m.keras"]) == 0
    assert read_metadata("models/mine/best.keras").features == OTHER
