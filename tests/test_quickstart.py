"""`kinet quickstart` on very few songs."""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest

import kinet
from kinet.cli import run
from kinet.errors import DataError
from kinet.pictures import draw_distances

LIBRARIES = ("music21", "matplotlib")
pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in LIBRARIES),
    reason="needs the extra quickstart",
)


def test_quickstart_writes_trains_evaluates_and_draws(tmp_path, capsys):
    out = tmp_path / "quickstart"
    command = ["quickstart", "--out", str(out), "--songs", "6", "--versions", "3"]
    assert run([*command, "--epochs", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["songs"], report["tracks"]) == (2, 6)
    assert 0 < report["map"] <= 1
    assert (out / "distances.png").read_bytes().startswith(b"\x89PNG")
    found = report["recording"]
    assert 1 <= found["rank"] <= found["songs"] == 2
    assert found["nearest"][found["rank"] - 1]["song"] == found["song"]
    assert kinet.extract(found["path"]).shape[0] > 130  # a minute and more
    lists = ["--data-dir", str(out / "data"), "--test-list", str(out / "meta/CHORALES-TEST")]
    assert run(["eval", *lists, "--model-file", report["model"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["map"] == report["map"]
    assert run(["check", lists[3], "--data-dir", lists[1]]) == 0


def test_more_songs_than_there_are(tmp_path, capsys):
    assert run(["quickstart", "--out", str(tmp_path), "--songs", "1"]) == 1
    assert "songs" in capsys.readouterr().err


def test_without_matplotlib_the_picture_says_what_to_install(tmp_path, monkeypatch, rng):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(DataError, match=r"Matplotlib is not installed; install it with: pip"):
        draw_distances(tmp_path / "x.png", rng.random((4, 3)), ["a", "a", "b", "b"], "title")
    assert not (tmp_path / "x.png").exists()
