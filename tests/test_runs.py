"""What a training run keeps on disk, and what is said of what was damaged there."""

from __future__ import annotations

import json
import os

import pytest

from kinet.cli import run
from kinet.config import ModelConfig, TrainConfig
from kinet.errors import CheckpointError
from kinet.training.runs import RunFolders, newest_best

SETTINGS = {
    "data_dir": "data",
    "train_list": "a",
    "validation_list": "b",
    "scores": "",
    "batches": 10,
    "model": ModelConfig().to_dict(),
    "training": TrainConfig().to_dict(),
}


def test_settings_are_read_as_they_were_written(tmp_path):
    folders = RunFolders.of("a", tmp_path)
    folders.write_settings(SETTINGS)
    assert folders.read_settings() == SETTINGS


def without(name):
    return {key: value for key, value in SETTINGS.items() if key != name}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("\xff", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "holds no settings; expected a JSON object"),
        ("{}", "holds no settings of a run .KeyError: 'model'."),
        (json.dumps({**SETTINGS, "model": 3}), "holds no settings of a run .TypeError: "),
        (json.dumps({**SETTINGS, "model": {"stages": 5}}), "number of stages S is 5; allowed"),
        (json.dumps({**SETTINGS, "training": {"epoch": 5}}), "unknown setting 'epoch'"),
        (json.dumps(without("data_dir")), "lacks data_dir"),
        (json.dumps({**SETTINGS, "train_list": 3}), "has train_list of type int; expected str"),
        (json.dumps({**SETTINGS, "batches": "x"}), "has batches of type str; expected int"),
    ],
)
def test_damaged_settings_are_told_in_one_line(tmp_path, monkeypatch, capsys, text, message):
    monkeypatch.chdir(tmp_path)
    folders = RunFolders.of("a")
    folders.make()
    folders.settings.write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=message):
        folders.read_settings()
    assert run(["train", "--resume", "--tag", "a"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_best_model_of_the_run_that_was_written_to_last_is_taken(tmp_path):
    for tag, written in (("a", 2000), ("b", 3000), ("c", 1000)):
        best = tmp_path / "models" / tag / "best.keras"
        best.parent.mkdir(parents=True)
        best.touch()
        os.utime(best, (written, written))
    assert newest_best(tmp_path) == tmp_path / "models" / "b" / "best.keras"
    # The last checkpoint is no best model, and a folder without one is no run.
    (tmp_path / "models" / "d").mkdir()
    (tmp_path / "models" / "d" / "last.keras").touch()
    assert newest_best(tmp_path) == tmp_path / "models" / "b" / "best.keras"


def test_where_no_run_is_the_command_is_told(tmp_path):
    with pytest.raises(CheckpointError, match=r"no models/<tag>/best\.keras here; name a model wi"):
        newest_best(tmp_path)
