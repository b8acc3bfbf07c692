"""A small run of `benchmarks/index.py`, and its measures on cases worked out by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from libraries import version, write

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import index
import postgres as postgres_benchmark


def run(*arguments):
    done = CliRunner().invoke(index.main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output


def test_a_small_scan_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "in_a_process", lambda function, *args: function(*args))
    run("scan", "--size", "60", "2", "16", "--repeats", "1", "--out", tmp_path / "a.json")
    [row] = json.loads((tmp_path / "a.json").read_text())["scan"]
    assert (row["recordings"], row["embeddings"], row["size"]) == (60, 120, 16)
    assert row["one_query_over_numpy"] > 0


def test_a_small_library_on_a_server_is_measured(postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    figures = postgres_benchmark.measured(postgres.new(), 30, 2, 16, 1)
    assert (figures["recordings"], figures["embeddings"], figures["size"]) == (30, 60, 16)
    assert figures["index_recall_at_10"] == 1.0
    assert figures["embeddings_loaded_per_second"] > figures["recordings_loaded_per_second"] > 0


def test_accuracy_of_songs_that_are_easy_to_find(tmp_path):
    lines = []
    for song in range(6):
        for number in range(2):
            write(tmp_path / f"s{song}_{number}.npy", version(song, 3 * number))
            lines.append(f"s{song}\t{number}\n")
    (tmp_path / "list").write_text("".join(lines))
    out = tmp_path / "a.json"
    data = ("--data-dir", tmp_path, "--model", "fourier", "--out", out)
    run("accuracy", tmp_path / "list", *data)
    report = json.loads(out.read_text())
    assert report["whole"]["aligned"]["map"] == 1.0
    assert set(report) >= {"whole", "60 s", "30 s", "15 s", "10 s", "machine", "list"}
    assert report["10 s"]["thresholds"][0]["versions"] >= 0.9


def test_a_threshold_counts_queries_whose_best_version_or_wrong_song_reaches_it():
    songs = np.array(["a", "a", "b"])
    # Of the three queries two have a version; their best are 0.9 and 0.3. The best wrong songs
    # have 0.4, 0.55 and 0.55.
    scores = np.array([[1, 0.9, 0.4], [0.3, 1, 0.55], [0.55, 0.1, 1]])
    found = {row["threshold"]: row for row in index.reached(scores, songs)}
    assert found[0.3] == {"threshold": 0.3, "versions": 1.0, "false_alarms": 1.0}
    assert found[0.5] == {"threshold": 0.5, "versions": 0.5, "false_alarms": 0.6667}
    assert found[0.6] == {"threshold": 0.6, "versions": 0.5, "false_alarms": 0.0}


def test_metrics_leave_the_query_out():
    songs = np.array(["a", "a", "b", "b"])
    # The first finds its version at once, the second at the third place, the others at once.
    scores = np.array([[9, 3, 2, 1], [1, 9, 3, 2], [0, 0, 9, 5], [0, 0, 5, 9]], np.float32)
    found = index.metrics(scores, songs)
    assert found.map == pytest.approx((1 + 1 / 3 + 1 + 1) / 4)
    assert found.hit1 == 0.75
