"""A small run of the benchmark of alignment, and its page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import alignment
import document_alignment

from kinet.matching import align


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Three songs in two versions each, the second 5 semitones higher and without its beginning."""
    folder, rng = tmp_path_factory.mktemp("list"), np.random.default_rng(0)
    names = []
    for song in range(3):
        hpcp = rng.random((70, 12)).astype(np.float32)
        np.save(folder / f"{song}_0.npy", hpcp)
        np.save(folder / f"{song}_1.npy", np.roll(hpcp[12:], 5, axis=1))
        names += [f"{song} 0\n", f"{song} 1\n"]
    (folder / "LIST").write_text("".join(names))
    out = folder / "alignment.json"
    options = ["--list", folder / "LIST", folder, "--vary", "--seconds", "0.01", "--out", out]
    done = CliRunner().invoke(alignment.command, list(map(str, options)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(out.read_text())


def test_versions_are_found(report):
    (found,) = report["lists"]
    for score in ("share of the shorter recording", "Qmax / sqrt(length of the candidate)"):
        assert (found[score]["map"], found[score]["mr1"]) == (1, 1)
    # Each is the same in all of the shorter recording.
    assert set(found["score_percentiles"]["versions"].values()) == {1}
    assert 0 < found["score_percentiles"]["other songs"]["99"] < 0.6
    assert set(found["map_of_variations"]) == {"key of mean vectors", *alignment.VARIATIONS}


def test_the_benchmark_scores_as_alignment_does():
    rng = np.random.default_rng(1)
    a, b = (rng.random((length, 12)).astype(np.float32) for length in (80, 50))
    assert alignment.longest(a, b) / (50 - 5) == align(a, b).score


def test_variations_change_the_settings_and_give_them_back(report):
    rng = np.random.default_rng(1)
    hpcp = [rng.random((60, 12)).astype(np.float32) for _ in range(4)]
    before = alignment.all_pairs(hpcp)
    for module, setting, value in alignment.VARIATIONS.values():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, setting, value)
            assert not np.array_equal(alignment.all_pairs(hpcp), before), setting
    assert np.array_equal(alignment.all_pairs(hpcp), before)


def test_the_key_of_means_is_the_rotation_of_the_second():
    a = np.zeros((4, 12))
    a[:, [0, 4]] = 3, 2
    assert alignment.key_of_means(a, np.roll(a, 5, axis=1)) == 7


def test_the_page_tells_what_was_measured(report):
    page = document_alignment.alignment_page({"alignment-x": report})
    assert "| LIST, 6 recordings | share of the shorter recording | 1.000 | 0.100 | 1.000" in page
    assert "| LIST | as it is | 1.000 |" in page
    assert page.count("| 400 |") == 1
    without = {**report, "lists": [{**report["lists"][0], "map_of_variations": {}}]}
    assert "Other settings" not in document_alignment.alignment_page({"a": without})
    assert document_alignment.alignment_page({}) == ""
