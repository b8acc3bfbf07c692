"""`kinet quickstart` on very few songs."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import keras
import pytest
from quick import SLOW

import kinet
from kinet.cli import run
from kinet.errors import DataError
from kinet.pictures import draw_distances

LIBRARIES = ("music21", "matplotlib")
BACKEND = keras.config.backend()
pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in LIBRARIES),
    reason="needs the extra quickstart",
)


def test_quickstart_writes_trains_evaluates_and_draws(tmp_path, capsys):
    out = tmp_path / "quickstart"
    command = ["quickstart", "--train", "--out", str(out), "--songs", "6", "--versions", "3"]
    assert run([*command, "--epochs", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["songs"], report["tracks"]) == (2, 6)
    assert 0 < report["map"] <= 1
    assert report["validation"]["songs"] == 2
    harmonic = 1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5  # of five others, of which two are versions
    expected = (harmonic + (5 - harmonic) / 4) / 5
    assert report["baselines"]["chance"] == pytest.approx(expected)
    assert report["validation"]["chance_map"] == pytest.approx(expected)
    assert 0 < report["baselines"]["mean_chroma"] <= 1
    for picture in (report["picture"], report["recording"]["picture"]):
        assert Path(picture).read_bytes().startswith(b"\x89PNG")
    found = report["recording"]
    assert 1 <= found["rank"] <= found["songs"] == 2
    assert found["nearest"][found["rank"] - 1]["song"] == found["song"]
    assert kinet.extract(found["path"]).shape[0] > 130  # a minute and more
    lists = ["--data-dir", str(out / "data"), "--test-list", str(out / "meta/CHORALES-TEST")]
    assert run(["eval", *lists, "--model-file", report["model"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["map"] == report["map"]
    assert run(["check", lists[3], "--data-dir", lists[1]]) == 0
    capsys.readouterr()

    # The same again says the same, as a table with what the mAP is worth.
    assert run([*command, "--epochs", "1"]) == 0
    shown = capsys.readouterr()
    assert f"{report['map']:.4f}" in shown.out
    assert f"{expected:.4f}" in shown.out
    assert "the 2 validation songs, where chance has" in " ".join(shown.err.split())

    # Another corpus, and other settings of the training, would be mixed with what is there.
    before = {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file()}
    for other, said in (
        (["--songs", "7"], "began with corpus songs = 6, now it is 7"),
        (["--seed", "1"], "began with corpus seed = 0, now it is 1"),
        (["--versions", "2"], "began with corpus versions = 3, now it is 2"),
        (["--epochs", "3"], "began with training epochs = 1, now it is 3"),
    ):
        assert run([*command, "--epochs", "1", *other]) == 1
        message = capsys.readouterr().err
        assert message.endswith("repeat the command that it began with, or name another --out\n")
        assert said in message
    assert before == {path: path.read_bytes() for path in before}


def test_more_songs_than_there_are(tmp_path, capsys):
    assert run(["quickstart", "--train", "--out", str(tmp_path), "--songs", "3"]) == 1
    assert "songs is 3; allowed: an integer from 6" in capsys.readouterr().err


def test_quickstart_finds_a_recording_and_writes_a_page(tmp_path, capsys):
    command = ["quickstart", "--out", str(tmp_path), "--songs", "3", "--backend", BACKEND]
    assert run([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(list(Path(report["folder"]).glob("*.flac"))) == 3
    assert report["songs"][report["rank"] - 1]["title"] == report["title"]
    assert report["rank"] == 1
    assert all(0 <= song["probability"] <= 1 for song in report["songs"])
    page = Path(report["page"]).read_text()
    assert all(json.dumps(song["title"])[1:-1] in page for song in report["songs"])

    # The same again makes nothing anew, and speaks to a person.
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.flac")}
    assert run(command) == 0
    shown = capsys.readouterr()
    assert report["title"] in shown.out
    assert "its own song has rank 1 of 3" in shown.err
    assert before == {path: path.stat().st_mtime_ns for path in before}

    if SLOW:  # of another seed the recording is another song's, and the others stay
        assert run([*command, "--seed", "2", "--json"]) == 0
        other = json.loads(capsys.readouterr().out)
        assert (other["title"] != report["title"], other["rank"]) == (True, 1)
        assert len(list(Path(report["folder"]).glob("*.flac"))) > 3


def test_without_matplotlib_the_picture_says_what_to_install(tmp_path, monkeypatch, rng):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(DataError, match=r"Matplotlib is not installed; install it with: pip"):
        draw_distances(tmp_path / "x.png", rng.random((4, 3)), ["a", "a", "b", "b"], "title")
    assert not (tmp_path / "x.png").exists()
