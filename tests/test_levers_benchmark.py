"""Networks trained alike on versions of scores: the program and its page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np
from click.testing import CliRunner
from works import tune

from kinet.versions.note_pack import packed, write_note_pack

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import document_training
import levers


def test_every_cell_is_trained_ranked_and_shown(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(levers, "in_a_process", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr(levers, "SONGS", 2)
    monkeypatch.setattr(levers, "VERSIONS", 2)
    works = [packed(tune(rng, title=str(number)), "mine", "CC0") for number in range(3)]
    write_note_pack(works, tmp_path / "works.notes")
    lines = []
    for song in range(2):
        melody = rng.random((150, 12)).astype(np.float32)
        for version in range(2):
            np.save(tmp_path / f"{song}_{version}.npy", np.roll(melody, version, axis=1))
            lines.append(f"{song} {version}\n")
    (tmp_path / "LIST").write_text("".join(lines))
    out = tmp_path / "training-levers.json"
    arguments = ["--scores", tmp_path / "works.notes", "--list", f"{tmp_path / 'LIST'}:{tmp_path}"]
    arguments += ["--block", "simple", "--stages", "1", "--channels", "4", "--batches", "1"]
    arguments += ["--seed", "0", "--seed", "1", "--backend", keras.config.backend(), "--out", out]
    done = CliRunner().invoke(levers.command, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads(out.read_text())
    assert [cell["seed"] for cell in report["cells"]] == [0, 1]
    assert all(cell["lists"]["LIST"]["queries"] == 4 for cell in report["cells"])

    page = document_training.training_page({"training-family": report, "training-levers": report})
    values = [cell["lists"]["LIST"]["map"] for cell in report["cells"]]
    assert f"| S = 1 | {report['cells'][0]['parameters']:,} | {values[0]:.3f} (" in page
    assert f"| 2 | {sum(values) / 2:.3f} (" in page


def test_a_lever_is_named_by_what_it_changes():
    ranked = {"LIST": {"map": 0.5, "map_interval": [0.4, 0.6]}}
    cell = {
        **{"block": "wider", "stages": 4, "attention": "none", "loss": "supcon"},
        **{"pooling": "gem", "channels": 32, "samples": 96, "lists": ranked},
    }
    report = {"machine": {"cpu": "x", "cores": 2}, "versions": {}, "date": "today"}
    better = {"LIST": {"map": 0.7, "map_interval": [0.45, 0.8]}}
    means = [{**cell, "pooling": "mean", "lists": found} for found in (ranked, better)]
    report["cells"] = [cell, *means, {**cell, "failed": "no"}]
    page = document_training.training_page({"training-levers": report})
    assert (
        "| block wider, stages 4, attention none, loss supcon, pooling gem, channels 32 |" in page
    )
    assert "| pooling mean | 2 | 0.600 (0.400 to 0.800) |" in page
    assert document_training.training_page({}) == ""
