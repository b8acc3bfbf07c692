"""A small run of the benchmark of scale, and of the page that is made of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import document_scale  # noqa: E402
import law  # noqa: E402
import scale  # noqa: E402
import scale_search  # noqa: E402

SIZE = 16


@pytest.fixture
def measure(monkeypatch, tmp_path):
    """Runs a command in this process; gives what it measured."""
    monkeypatch.setattr(scale, "in_a_process", lambda function, *args: function(*args))
    made = np.random.default_rng(0).normal(size=(200, 24)).astype(np.float32) + 0.2
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    monkeypatch.setattr(scale_search, "embeddings_of_versions", lambda model: made)
    monkeypatch.setattr(scale_search, "find_spec", lambda name: None)

    def call(*arguments):
        command = [*map(str, arguments), "--out", str(tmp_path / "a.json")]
        done = CliRunner().invoke(scale.main, command, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads((tmp_path / "a.json").read_text())

    return call


def test_a_page_is_made_of_small_figures(measure, tmp_path):
    pytest.importorskip("numba")
    costs = measure("costs", "--tracks", 4, "--model", "fourier")
    assert costs["costs"]["bytes_on_disk_of_a_track"] > 390 * 48
    assert costs["costs"]["bytes_in_memory_of_a_track"] > 1044 * 4
    rows = ("--rows", 2000, "--rows", 5000)
    search = measure("search", *rows, "--size", SIZE, "--repeats", 1)
    assert search["search"]["recall_at_10"] > 0.8
    assert search["search"]["recall_at_10_looked_at_again"] == 1.0
    assert [row["rows"] for row in search["search"]["rows"]] == [2000, 5000]
    results = BENCHMARKS / "results"
    there = {
        name: json.loads((results / f"{name}.json").read_text())
        for name in ("extraction", "index-add")
    }
    page = document_scale.scale_page({"scale-costs": costs, "scale-search": search, **there})
    for heading in ("A million recordings", "The law", "Extrapolated", "What engines publish"):
        assert heading in page
    assert document_scale.scale_page(there) == ""


def test_the_scan_finds_the_ten_largest_products():
    pytest.importorskip("numba")
    rng = np.random.default_rng(1)
    for count in (5, 1000, 5000):
        rows = rng.integers(-127, 128, (count, SIZE), dtype=np.int8)
        query = rng.integers(-127, 128, SIZE, dtype=np.int8)
        products = rows.astype(np.int64) @ query.astype(np.int64)
        best = np.argsort(-products, kind="stable")[:10]
        assert scale_search.Scan().nearest(rows, query).tolist() == best.tolist()


def test_drawn_rows_have_the_mean_and_the_spread_of_the_embeddings():
    rng = np.random.default_rng(2)
    made = (rng.normal(size=(4000, 6)) * [3, 2, 1, 0.5, 0.1, 0.1] + 4).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    drawn = scale_search.Distribution(made, 6).draw(20_000, 0)
    assert np.allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-5)
    # Cosines of two are alike, however the rows are turned; drawn ones have no tails but normal.
    for function in (np.mean, np.std):
        pairs = [function(rows[:2000] @ rows[2000:4000].T) for rows in (made, drawn)]
        assert pairs[0] == pytest.approx(pairs[1], rel=0.25)


def test_drawn_pieces_of_a_recording_are_as_alike_as_those_of_real_ones():
    rng = np.random.default_rng(3)
    made = []
    for count in rng.integers(1, 9, 500):
        rows = rng.normal(size=6) * [3, 2, 1, 0.5, 0.1, 0.1] + 1.5 * rng.normal(size=(count, 6)) + 9
        made.append((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))
    drawn = scale_search.PiecesDistribution(made, 6).draw_pieces(2000, 5, 0)
    assert drawn.shape == (2000, 5, 6)
    assert np.allclose(np.linalg.norm(drawn, axis=-1), 1, atol=1e-5)
    # One less the cosine of two, of one recording and of any two.
    for function in (alike_in_one, alike_in_all):
        assert function(made) == pytest.approx(function(drawn), rel=0.1)
    assert alike_in_one(made) < alike_in_all(made) / 2


def alike_in_one(recordings):
    return np.mean([1 - rows[0] @ rows[1] for rows in recordings if len(rows) > 1])


def alike_in_all(recordings):
    first = np.array([rows[0] for rows in recordings[:400]])
    return 1 - np.mean((first @ first.T)[np.triu_indices(400, 1)])


def test_a_power_and_a_line_are_fitted():
    rows = [{"rows": n, "s": 3e-9 * n} for n in (10, 100_000, 400_000, 3_000_000)]
    found = law.fitted(rows, "s")
    assert (found["a"], found["b"]) == (pytest.approx(3e-9), pytest.approx(1))
    assert found["slope"] == pytest.approx(3e-9)
    rows[2]["s"] *= 1.5
    # Of three points with the shares 1, 1.5 and 1 the power is off by the geometric mean.
    found = law.fitted(rows, "s")
    assert found["residual"] > 0.2
    assert found["residual_of_line"] > 0.2


def test_core_hours_by_hand():
    costs = {
        "minutes": 1.0,
        "seconds_to_embed_a_track": 0.036,
        "pieces_of_a_track": 2.0,
        "size": 8,
        "seconds_to_group_a_pair": 0.5,
        "pairs_aligned": 30,
        "tracks": 10,
    }
    search = {
        "size": 4,
        "threads": 2,
        "rows": [{"rows": 1000, "float32_products_of_16": 0.016}],
    }
    formats = {"mp3": {"share_of_decoding": 0.25, "kinet_times_real_time": 500.0}}
    found = document_scale.core_hours(costs, search, formats, {"seconds": 9.0, "added": 1000})
    assert found["decode, mp3"] == pytest.approx(0.25 * 60e6 / 500 / 3600)
    assert found["HPCP, mp3"] == pytest.approx(0.75 * 60e6 / 500 / 3600)
    assert found["embed"] == pytest.approx(10)
    assert found["add"] == pytest.approx(2.5)
    # 2 x 2 pieces, twice as long as the rows that were measured: 8 products of 2e-6 core-seconds.
    assert found["find, a query"] * 3600 == pytest.approx(8 * 2e-6 * 1e6 + 20 * 0.5)
    assert found["duplicates, products"] * 3600 == pytest.approx(8 * 2e-6 * 1e12 / 2)
    assert found["duplicates, alignment"] * 3600 == pytest.approx(3e6 * 0.5)
