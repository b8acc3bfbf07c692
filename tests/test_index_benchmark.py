"""A small run of `benchmarks/index.py`, and its measures on cases worked out by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from libraries import version, write
from works import tune

from kinet.library import shelves
from kinet.library.calibration import Calibration
from kinet.versions.note_pack import Record, packed, write_note_pack

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import document_library
import index
import index_accuracy
import index_growth
import index_others
import index_speed
import postgres as postgres_benchmark
from train_small import material_of


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    for module in (index_growth, index_speed):
        monkeypatch.setattr(module, "in_a_process", lambda function, *args: function(*args))


def run(*arguments):
    done = CliRunner().invoke(index.main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output


def measured(tmp_path, *arguments):
    run(*arguments, "--out", tmp_path / "a.json")
    return json.loads((tmp_path / "a.json").read_text())[arguments[0]]


def test_a_small_scan_is_measured(tmp_path):
    [row] = measured(tmp_path, "scan", "--size", "60", "2", "16", "--repeats", "1")
    assert (row["recordings"], row["embeddings"], row["size"]) == (60, 120, 16)
    assert row["one_query_over_numpy"] > 0
    assert row["peak_rss_mib"] > 0
    assert 0 < row["seconds_to_find"] < row["seconds_to_open_and_find"]


def test_the_index_of_a_small_library_is_measured(tmp_path, monkeypatch):
    pytest.importorskip("usearch")
    # What the measure sets for its own process is put back.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    [row] = measured(tmp_path, "scan", "--approximate", "--size", "40", "2", "16", "--repeats", "1")
    found = row["kinet_index"]["looked_for"]
    assert [step["rows"] for step in found] == [10, 50, 100, 200]
    assert all(step["recall_at_10"] == 1.0 and step["one_query_ms"] > 0 for step in found)
    page = document_library.library_page({"a": json.loads((tmp_path / "a.json").read_text())})
    assert "| 80 | 40 | kinet, index, 50 rows |" in page


def test_a_small_library_on_a_server_is_measured(postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rows = np.random.default_rng(0).normal(size=(25, 2, 20))
    drawn = postgres_benchmark.PiecesDistribution(list(rows), 16)
    figures = postgres_benchmark.measured(postgres.new(), 30, 2, drawn, 1)
    assert (figures["recordings"], figures["embeddings"], figures["size"]) == (30, 60, 16)
    assert [step["rows_looked_for"] for step in figures["index"]] == [50, 100, 200, 400]
    assert all(step["recall_at_10"] == 1.0 and step["ms"] > 0 for step in figures["index"])
    assert figures["rows_loaded_per_second"] > figures["recordings_loaded_per_second"] > 0


def test_what_is_added_leaves_most_pages_as_they_were(tmp_path):
    row = measured(tmp_path, "add", "--there", "300", "--more", "20")
    assert (row["there"], row["added"]) == (300, 20)
    assert 0 < row["pages_changed"] < row["pages_before"] / 2


def test_pairs_are_measured_on_a_part_where_all_take_too_long(tmp_path):
    whole = measured(tmp_path, "pairs", "--size", "130", "2", "16")
    assert (whole["measured_recordings"], whole["pairs"] >= 130 * 10 / 2) == (130, True)
    part = measured(tmp_path, "pairs", "--size", "130", "2", "16", "--seconds", "0")
    assert part["measured_recordings"] == 2
    assert part["seconds_for_all"] == pytest.approx(65**2 * part["seconds"], abs=1)


def test_versions_are_grouped(tmp_path):
    row = measured(tmp_path, "groups", "--tracks", "6")
    assert (row["songs"], row["groups_of_one_song"]) == (3, 3)


def test_a_folder_of_sound_is_read(tmp_path):
    row = measured(tmp_path, "folder", "--files", 2, "--minutes", 0.2, "--model", "fourier")
    assert (row["files"], row["read"]) == (2, 2)
    assert row["times_real_time"] > 1


def test_an_index_that_finds_what_is_nearest_has_a_recall_of_1():
    rows = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    queries = rows[:3]
    order = np.argsort(-(queries @ rows.T), axis=1)[:, :10]
    found = index_others.nearest(rows, queries)
    assert [set(row) for row in found.tolist()] == [set(row) for row in order.tolist()]
    half = np.where(np.arange(10) < 5, order, -1)

    def look_at(effort):
        found = half if effort == 16 else order
        return lambda some: found[: len(some)]

    said = index_others._until_recalled(look_at, "lists", rows, queries, 1)
    assert (said["lists"], said["recall_at_10"]) == (32, 1.0)


@pytest.fixture
def easy(tmp_path):
    """A list of six songs in two versions, and the folder of its features."""
    lines = []
    for song in range(6):
        for number in range(2):
            write(tmp_path / f"s{song}_{number}.npy", version(song, 3 * number))
            lines.append(f"s{song}\t{number}\n")
    (tmp_path / "list").write_text("".join(lines))
    return tmp_path / "list", "--data-dir", tmp_path, "--model", "fourier"


def test_accuracy_of_songs_that_are_easy_to_find(easy, tmp_path, monkeypatch):
    made = Calibration(-5.0, 10.0, 0.0, 1, 1, 0.0, (), ())
    monkeypatch.setattr(shelves, "calibration_of", lambda own, digest: made)
    run("accuracy", *easy, "--out", tmp_path / "a.json")
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["whole"]["aligned"]["map"] == 1.0
    assert report["whole"]["aligned, by probability"]["map"] == 1.0
    assert set(report) >= {"whole", "60 s", "30 s", "15 s", "10 s", "machine", "list"}
    assert report["10 s"]["thresholds"][0]["versions"] >= 0.9
    sure = report["whole"]["reliability"]
    assert (sure["pairs"], sure["versions"]) == (12 * 11, 12)
    assert sure["brier"] < sure["brier_of_their_share"]

    page = document_library.library_page({"index-a": report})
    assert "## What a probability means" in page
    assert "| list | 10 s | 132 | 12 |" in page
    document_library.draw_reliability({"index-a": report}, tmp_path)
    assert (tmp_path / document_library.PICTURE).read_bytes().startswith(b"\x89PNG")


def test_what_was_not_measured_is_not_on_the_page(tmp_path):
    assert document_library.library_page({}) == ""
    row = measured(tmp_path, "scan", "--size", "60", "2", "16", "--repeats", "1")
    report = json.loads((tmp_path / "a.json").read_text())
    page = document_library.library_page({"index-scan": report})
    assert f"| 120 | 60 | 16 | {row[0]['one_query_ms']}" in page
    assert "What is found" not in page


def test_what_scores_mean_is_learned_from_made_versions(tmp_path):
    rng = np.random.default_rng(0)
    tunes = [tune(rng, 90, title=f"tune {number}") for number in range(4)]
    works = [packed(work, "made up", "none") for work in tunes]
    write_note_pack(works, tmp_path / "p")
    (tmp_path / "card.json").write_text('{"name": "a"}')
    run("calibrate", tmp_path / "p", "--model", "fourier", "--card", tmp_path / "card.json")
    card = json.loads((tmp_path / "card.json").read_text())
    assert (card["name"], card["calibrated_on"]) == ("a", ["4 works of made up (none)"])
    # Of three versions of each work, one of every second is a query of five lengths, and all are
    # aligned with it.
    learned = Calibration.from_json(json.dumps(card["calibration"]))
    assert (learned.versions, learned.others) == (2 * 2 * 5, 2 * 9 * 5)


def test_a_threshold_counts_queries_whose_best_version_or_wrong_song_reaches_it():
    songs = np.array(["a", "a", "b"])
    # Of the three queries two have a version; their best are 0.9 and 0.3. The best wrong songs
    # have 0.4, 0.55 and 0.55.
    scores = np.array([[1, 0.9, 0.4], [0.3, 1, 0.55], [0.55, 0.1, 1]])
    found = {row["threshold"]: row for row in index_accuracy.reached(scores, songs)}
    assert found[0.3] == {"threshold": 0.3, "versions": 1.0, "false_alarms": 1.0}
    assert found[0.5] == {"threshold": 0.5, "versions": 0.5, "false_alarms": 0.6667}
    assert found[0.6] == {"threshold": 0.6, "versions": 0.5, "false_alarms": 0.0}


def test_metrics_leave_the_query_out():
    songs = np.array(["a", "a", "b", "b"])
    # The first finds its version at once, the second at the third place, the others at once.
    scores = np.array([[9, 3, 2, 1], [1, 9, 3, 2], [0, 0, 9, 5], [0, 0, 5, 9]], np.float32)
    found = index_accuracy.metrics(scores, songs)
    assert found.map == pytest.approx((1 + 1 / 3 + 1 + 1) / 4)
    assert found.hit1 == 0.75


def test_reliability_counts_versions_among_pairs_of_one_probability():
    found = index_accuracy.reliability(
        np.array([0.05, 0.15, 0.11, 0.95, 1.0]), np.array([False, False, True, True, True])
    )
    # The squares of 0.05, 0.15, 0.89, 0.05 and 0.
    assert found["brier"] == pytest.approx((0.0025 + 0.0225 + 0.7921 + 0.0025) / 5, abs=1e-4)
    assert found["brier_of_their_share"] == pytest.approx(0.6 * 0.4)
    assert [(b["from"], b["pairs"], b["versions"]) for b in found["bins"]] == [
        (0.0, 1, 0.0),
        (0.1, 2, 0.5),
        (0.9, 2, 1.0),
    ]


def test_recordings_are_ranked_as_find_ranks_them():
    # Listed are 2, 0 and 3; the query is 1. The first two are aligned.
    scores = index_accuracy.realigned([(2, 0.9), (0, 0.8), (3, 0.7)], {2: 0.1, 0: 0.4})
    assert np.argsort(-scores).tolist() == [0, 2, 3, 1]


def test_material_is_counted_by_source_and_licence():
    records = [
        Record("a", "a.mid", source, licence, str(number))
        for number, (source, licence) in enumerate((("x", "MIT"), ("w", "CC0"), ("x", "MIT")))
    ]
    assert material_of(records) == ["1 works of w (CC0)", "2 works of x (MIT)"]
