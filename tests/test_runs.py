"""Runs on disk: which one is the newest."""

from __future__ import annotations

import os

import pytest

from kinet.errors import CheckpointError
from kinet.training.runs import newest_best


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
