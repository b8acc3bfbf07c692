"""The installed package by itself: nothing here needs the repository."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np


def kinet(*arguments, cwd):
    command = [sys.executable, "-m", "kinet.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_version_and_plugins(tmp_path):
    assert kinet("--version", cwd=tmp_path).stdout.startswith("kinet, version 0.")
    listed = json.loads(kinet("plugins", "--json", cwd=tmp_path).stdout)
    assert {"simple", "bottleneck", "wider"} <= {row["name"] for row in listed}


def test_train_and_eval(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for song in range(4):
        melody = rng.random((120, 12)).astype(np.float32)
        for version in range(2):
            np.save(tmp_path / "data" / f"{song}_{version}.npy", np.roll(melody, version, axis=1))
    lines = [f"{song} {version}\n" for song in range(4) for version in range(2)]
    (tmp_path / "list").write_text("".join(lines[:4]))
    (tmp_path / "other").write_text("".join(lines[4:]))
    small = ["--block", "simple", "-S", "1", "--channels", "4", "--time-field", "12"]
    lists = ["--data-dir", "data", "--train-list", "list", "--validation-list", "other"]
    short = ["--vectors", "110", "--epochs", "1"]
    trained = kinet("train", *small, *short, *lists, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    evaluated = kinet("eval", "--data-dir", "data", "--test-list", "list", "--json", cwd=tmp_path)
    assert evaluated.returncode == 0, evaluated.stderr
    assert 0 < json.loads(evaluated.stdout)["map"] <= 1
