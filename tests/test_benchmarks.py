"""A small run of the benchmarks, so that none rots."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import click
import keras
import numpy as np
import pytest
from click.testing import CliRunner

from kinet.config import ModelConfig
from kinet.errors import ExportError

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import ablation  # noqa: E402
import accuracy  # noqa: E402
import cells  # noqa: E402
import document  # noqa: E402
import evaluation  # noqa: E402
import exported_forms  # noqa: E402
import loader  # noqa: E402
import original  # noqa: E402
import steps  # noqa: E402
import tables  # noqa: E402
import throughput  # noqa: E402
import timing  # noqa: E402
from arithmetic import convolutions, multiply_adds  # noqa: E402

SLOW = pytest.mark.skipif(
    not os.environ.get("KINET_SLOW"), reason="takes half a minute or more; KINET_SLOW=1 runs it"
)
BACKEND = keras.config.backend()
SMALL = [
    *("--block", "wider", "--stages", "1", "--channels", "4", "--vectors", "135"),
    *("--attention", "none", "--backend", BACKEND),
]
QUICK = [*SMALL, "--seconds", "0.001", "--batch", "2", "--training-batch", "2"]
QUICK += ["--product-size", "8"]


@pytest.fixture
def here(monkeypatch):
    """Cells are measured in this process, where Keras is loaded already."""
    for module in (throughput, accuracy, original, evaluation, ablation):
        monkeypatch.setattr(module, "in_a_process", lambda function, *args: function(*args))
    monkeypatch.setattr(loader, "TRACKS", 8)
    monkeypatch.setattr(evaluation, "LOOP_SECONDS", 0)


def call(module, *arguments):
    command = getattr(module, "command", None)
    done = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def page(reports):
    """All pages, one after the other."""
    return "\n".join(document.pages(reports).values())


# Worked out apart from this code, in 1e9: rows x vectors x kernel x channels in x channels out.
@pytest.mark.parametrize(
    ("stages", "simple", "bottleneck", "wider"),
    [
        (1, (0.93, 0.93), (0.93, 0.93), (0.93, 0.93)),
        (2, (49.1, 49.1), (3.8, 3.7), (12.8, 12.7)),
        (3, (56.9, 48.6), (4.4, 3.7), (14.8, 12.6)),
        (4, (56.6, 45.1), (4.5, 3.6), (14.8, 11.8)),
        (6, (52.9, 39.5), (4.7, 3.5), (14.0, 10.5)),
        (12, (46.3, 32.6), (5.6, 4.0), (13.0, 9.2)),
    ],
)
def test_multiply_adds_are_those_worked_out(stages, simple, bottleneck, wider):
    expected = {"simple": simple, "bottleneck": bottleneck, "wider": wider}
    for block, pair in expected.items():
        for axis, billions in zip(("unrolled", "circular"), pair, strict=True):
            config = ModelConfig.original(block=block, stages=stages, pitch_axis=axis)
            # The table was rounded to two digits first, 3.649 to 3.65 and then to 3.7.
            allowed = 0.005 if stages == 1 else 0.055
            assert multiply_adds(config) / 1e9 == pytest.approx(billions, abs=allowed)


def test_multiply_adds_of_one_stage_by_hand():
    config = ModelConfig(block="simple", stages=1, channels=256)
    # 12 rows of 400 - 47 = 353; then 353 - 27 = 326, pooled to 162, and 162 - 27 = 135.
    stage = 12 * 353 * 256 * (12 * 48 * 1)
    summary = (326 + 135) * 256 * (10 * 256)
    assert multiply_adds(config) == stage + summary + 256 * 128


def test_multiply_adds_of_a_bottleneck_by_hand():
    config = ModelConfig(block="bottleneck", stages=2, channels=256)
    first = 12 * 377 * 256 * (6 * 24 * 1)
    squeeze = 12 * 377 * 64 * 256
    kernel = 12 * 353 * 64 * (7 * 25 * 64)
    expand = 12 * 353 * 256 * 64
    summary = (326 + 135) * 256 * (10 * 256)
    expected = first + squeeze + kernel + expand + summary + 256 * 128
    assert multiply_adds(config) == expected


def test_shapes_of_convolutions_are_those_of_the_network():
    for axis in ("unrolled", "circular"):
        for block in throughput.BLOCKS:
            config = ModelConfig.original(
                block=block, stages=3, pitch_axis=axis, channels=8, vectors=140, time_field=24
            )
            model = original.original_model(config)
            if axis == "circular":
                from kinet.model import build_embedder

                model = build_embedder(config)
            built = [
                tuple(layer.output.shape[1:])
                for layer in model.layers
                if isinstance(layer, keras.layers.Conv2D)
            ]
            assert [found.output for found in convolutions(config)] == built


def test_throughput_measures_every_part_and_goes_on_where_it_stopped(here, tmp_path):
    out = tmp_path / "throughput.json"
    parts = ["--part", "inference", "--part", "training", "--part", "loader"]
    call(throughput, *QUICK, *parts, "--pitch-axis", "circular", "--out", out)
    report = json.loads(out.read_text())
    found = {cell["part"]: cell for cell in report["cells"]}
    assert list(found) == ["inference", "training", "loader"]
    assert not any("failed" in cell for cell in found.values())
    embedding = found["inference"]
    assert set(embedding["embeddings_per_second"]) == {"batch_1", "batch_2"}
    assert embedding["best_batch"] in embedding["embeddings_per_second"]
    assert embedding["largest_difference"] < 1e-4
    config = ModelConfig(
        block="wider", stages=1, attention=(), channels=4, vectors=135, pitch_axis="circular"
    )
    assert embedding["multiply_adds"] == multiply_adds(config)
    assert found["training"]["multiply_adds"] == 3 * multiply_adds(config)
    assert embedding["parameters"] == original.original_model(config).count_params()
    assert found["training"]["over_unrolled"] > 0
    assert set(found["loader"]["tracks_per_second"]) == {
        *("files", "packed", "training", "inference")
    }
    again = call(throughput, *QUICK, *parts, "--pitch-axis", "circular", "--out", out)
    assert again.count("there already") == 3
    assert json.loads(out.read_text())["cells"] == report["cells"]
    text = page({"throughput": report})
    assert "| S = 1, circular |" in text
    assert "## The loader alone" in text


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MatMul_1.258", "products_transformed"),
        ("dot.4", "products_1x1"),
        ("convolution.23", "direct_convolutions"),
        ("concatenate_bitcast_fusion.38", "passes_over_memory"),
        ("wrapped_reduce-window.9", "passes_over_memory"),
        ("convert_fusion", "passes_over_memory"),
    ],
)
def test_steps_are_told_apart_by_their_names(name, kind):
    assert steps.kind_of(name) == kind


@SLOW
def test_where_the_time_goes(tmp_path):
    # In a process of its own: a profiler listens to all of it.
    out = tmp_path / "throughput.json"
    small = ["--block", "wider", "--stages", "1", "--stages", "2", "--channels", "16"]
    program = [sys.executable, str(BENCHMARKS / "throughput.py"), *small, "--vectors", "135"]
    program += ["--backend", BACKEND, "--part", "steps", "--attention", "none", "--out", str(out)]
    subprocess.run(program, capture_output=True, text=True, check=True)
    report = json.loads(out.read_text())
    if BACKEND != "tensorflow":
        assert all("steps are traced under tensorflow" in c["failed"] for c in report["cells"])
        assert "## Where the time goes" not in page({"throughput": report})
        return
    one, two = report["cells"]
    assert one["multiply_adds_1x1"] == 0 < two["multiply_adds_1x1"]
    assert two["milliseconds_of"]["products_1x1"] > one["milliseconds_of"]["products_1x1"]
    for cell in (one, two):
        spent = cell["milliseconds_of"]
        assert min(spent["products_transformed"], spent["passes_over_memory"]) > 0
    assert "| wider, S = 2 |" in page({"throughput": report})


def test_the_table_of_steps_adds_up():
    spent = {"products_1x1": 2.0, "products_transformed": 3.0, "passes_over_memory": 4.0}
    cell = {
        **{"part": "steps", "block": "wider", "stages": 4, "pitch_axis": "circular"},
        **{"milliseconds": 11.5, "milliseconds_of": {**spent, "direct_convolutions": 1.0}},
        "multiply_adds_1x1": 400_000_000,
    }
    section = document.steps_section([cell])
    # 4e8 in 2 ms are 200e9 a second.
    assert "| wider, S = 4 | 11.5 | 3 | 2 | 1 | 4 | 1.5 | 200 |" in section


def test_exported_forms_are_measured_with_their_map(here, tmp_path, monkeypatch, rng):
    def refuse(model_file, kind, out, **reduced):
        raise ExportError(f"{kind} cannot be written here")

    monkeypatch.setattr("kinet.export.export", refuse)  # tests of the export are elsewhere
    lines = []
    for song in range(2):
        for version in range(2):
            np.save(tmp_path / f"{song}_{version}.npy", rng.random((120, 12)))
            lines.append(f"{song} {version}\n")
    (tmp_path / "list").write_text("".join(lines))
    out = tmp_path / "throughput.json"
    arguments = ["--part", "exported", "--list", tmp_path / "list", "--data-dir", tmp_path]
    call(throughput, *QUICK, *arguments, "--out", out)
    (cell,) = json.loads(out.read_text())["cells"]
    assert set(cell["forms"]) == {"kinet float32", *(" ".join(f) for f in exported_forms.FILES)}
    assert 0 < cell["forms"]["kinet float32"]["map"] <= 1
    assert cell["forms"]["kinet float32"]["map_change"] == 0
    assert cell["forms"]["onnx float32"] == {"not_written": "onnx cannot be written here"}
    forms = cell["forms"]["kinet float32"]
    assert forms["times_original"] > 0
    section = page({"throughput": json.loads(out.read_text())})
    assert "| S = 1, 4 channels, attention none | onnx float32 |  |  |  |  |" in section


@SLOW
def test_a_cell_chooses_its_backend_before_keras_is_loaded(tmp_path):
    program = [sys.executable, str(BENCHMARKS / "throughput.py"), *QUICK]
    program += ["--part", "inference", "--part", "loader", "--pitch-axis", "circular"]
    environment = {**os.environ, "KERAS_BACKEND": "none-such"}
    done = subprocess.run(program, capture_output=True, text=True, env=environment, check=True)
    assert not any("failed" in cell for cell in json.loads(done.stdout)["cells"]), done.stderr


def test_a_list_without_its_folder_is_refused():
    done = CliRunner().invoke(throughput.command, ["--list", "x"])
    assert "--list and --data-dir need each other" in done.output


@pytest.mark.skipif(BACKEND != original.BACKEND, reason="the original runs on TensorFlow")
def test_the_original_is_measured_beside_our_form(here, tmp_path):
    out = tmp_path / "original.json"
    arguments = ["--block", "wider", "--block", "simple", "--stages", "1", "--channels", "4"]
    arguments += ["--vectors", "135", "--attention", "none", "--batch", "2", "--seconds", "0.001"]
    call(original, *arguments, "--out", out)
    (cell,) = json.loads(out.read_text())["cells"]  # at S = 1 all blocks are one network
    assert cell["over_original"] > 0
    found = page({"original": json.loads(out.read_text())})
    assert "Under tensorflow, 4 channels, T = 135, attention none, batches of 2:" in found
    assert call(original, *arguments, "--out", out).count("there already") == 1


def test_the_reference_embeds_one_track_at_a_time(rng, monkeypatch):
    config = ModelConfig(block="simple", stages=1, channels=4, vectors=135)
    model = original.original_model(replace(config, pitch_axis="circular"))
    assert model.layers[1].rows == 23
    monkeypatch.setattr(original, "original_model", lambda _: model)
    tracks = rng.random((2, 135, 12), dtype=np.float32)
    rows = original.one_at_a_time(config)(tracks)
    np.testing.assert_allclose(rows, model.predict_on_batch(tracks), atol=1e-5)


@SLOW
def test_each_step_is_taken_away_alone(here, tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "OPENVINO", ("float32",))
    out = tmp_path / "ablation.json"
    small = ["--block", "wider", "--stages", "2", "--channels", "16", "--vectors", "135"]
    small += ["--backend", BACKEND, "--batch", "2", "--seconds", "0.001"]
    call(ablation, *small, "--out", out)
    report = json.loads(out.read_text())
    plain, attended = report["cells"]
    assert (plain["attention"], attended["attention"]) == ("none", "channel,temporal")
    assert set(plain["over"]) == set(plain["embeddings_per_second"]) - {"all steps"}
    steps = {"joined attention", "pieces"}
    if BACKEND != "torch":  # whose convolutions stay as they are
        steps |= {"transformed convolutions", "pitch Fourier", "minimal filtering"}
    beside = {"original", "OpenVINO float32"}
    assert set(plain["over"]) - beside == {*steps, "12 rows"}
    assert set(attended["over"]) - beside == steps
    assert set(plain["processor_seconds"]) == set(plain["embeddings_per_second"])
    assert ("original" in plain["over"]) == (BACKEND == "tensorflow")
    assert "### " + BACKEND + ": 16 channels, T = 135, attention none" in page({"ablation": report})
    assert call(ablation, *small, "--out", out).count("there already") == 2


def test_all_forms_of_an_ablation_are_the_same_function():
    from kinet.model import build_embedder

    model = build_embedder(ModelConfig("wider", 2, (), "unrolled", channels=16, vectors=135))
    batch = ablation.made_up_tracks(2, 135)
    expected = model.predict_on_batch(batch)
    for name, embed in ablation.forms_of(model):
        np.testing.assert_allclose(embed(batch), expected, atol=1e-5, err_msg=name)


def test_the_table_of_an_ablation_names_what_each_step_gives():
    cell = {
        **{"backend": "jax", "block": "wider", "stages": 4, "attention": "none", "channels": 8},
        **{"vectors": 400, "embeddings_per_second": {"all steps": 40.0}, "batch": 16},
        **{"over": {"12 rows": 2.5, "pieces": 1.1}, "load_average": 1.25},
    }
    cell["processor_seconds"] = {"all steps": 0.02, "pieces": 0.03}
    section = document.ablation_section([cell, {**cell, "stages": 6, "failed": "x"}])
    assert "| model | batch | load | embeddings /s | 12 rows | pieces |" in section
    assert "| wider, S = 4 | 16 | 1.25 | 40 | 2.5 x | 1.1 x (1.5) |" in section
    assert "S = 6" not in section
    assert document.ablation_section([]) == ""


@SLOW
def test_accuracy_trains_and_ranks_every_seed(here, tmp_path, rng):
    lines = []
    for song in range(4):
        melody = rng.random((110, 12)).astype(np.float32)
        for version in range(2):
            np.save(tmp_path / f"{song}_{version}.npy", np.roll(melody, version, axis=1))
            lines.append(f"{song} {version}\n")
    for name, part in (("train", lines[:4]), ("test", lines[4:])):
        (tmp_path / name).write_text("".join(part))
    out = tmp_path / "accuracy.json"
    lists = ["--train-list", tmp_path / "train", "--validation-list", tmp_path / "test"]
    lists += ["--test-list", tmp_path / "test", "--data-dir", tmp_path]
    small = [*SMALL, "--pitch-axis", "circular", "--epochs", "1", "--batch", "4"]
    call(accuracy, *small, *lists, "--models", tmp_path / "models", "--out", out)
    report = json.loads(out.read_text())
    assert [cell["seed"] for cell in report["cells"]] == [0, 1]
    assert all(0 < cell["map"] <= 1 and cell["queries"] == 4 for cell in report["cells"])
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["wider-1.keras"]
    assert "| S = 1, circular | 2 |" in page({"accuracy": report})
    done = CliRunner().invoke(accuracy.command, ["--train-list", "x"])
    assert "need each other" in done.output


@pytest.mark.parametrize("program", [accuracy, throughput])
def test_a_misspelt_module_is_refused_before_anything_is_measured(
    program, here, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(program.command, ["--attention", "chanel"])
    assert done.exit_code == 2
    assert "'chanel' is not one of none, channel, local, temporal" in done.output
    assert not any(tmp_path.iterdir())


def test_a_misspelt_loss_is_refused_before_anything_is_trained(here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(accuracy.command, ["--loss", "supco"])
    assert done.exit_code == 2
    assert (
        "'supco' is not one of 'clews', 'normsoftmax', 'softmax', 'supcon', 'triplet'"
        in done.output
    )
    assert not any(tmp_path.iterdir())


def test_the_double_loop_gives_what_evaluate_gives(here, tmp_path):
    out = tmp_path / "evaluation.json"
    call(evaluation, "--tracks", "20", "--loop", "20", "--out", out)
    report = json.loads(out.read_text())
    loop = report["double_loop"]
    assert loop["largest_difference"] < 1e-12
    assert loop["double_loop_over_evaluate"] > 0
    assert "A plain double loop over 20 tracks" in page({"evaluation": report})


def test_a_cell_that_fails_is_written_down_and_tried_again(tmp_path):
    out = tmp_path / "cells.json"

    def die():
        raise BrokenProcessPool("the process ended")

    cells.Cells("what", (), str(out)).measure({"part": "a"}, die)
    assert json.loads(out.read_text())["cells"][0]["failed"] == (
        "BrokenProcessPool: the process ended"
    )
    again = cells.Cells("what", (), str(out))
    again.measure({"part": "a"}, lambda: {"rate": 1})
    (cell,) = json.loads(out.read_text())["cells"]
    assert cell["rate"] == 1
    assert "failed" not in cell


@pytest.mark.parametrize("name", ["machine", "versions"])
def test_figures_of_another_machine_are_not_mixed_in(tmp_path, name):
    out = tmp_path / "cells.json"
    cells.Cells("what", ("numpy",), str(out)).measure({"part": "a"}, lambda: {"rate": 1})
    report = json.loads(out.read_text())
    report[name]["cores" if name == "machine" else "numpy"] = "other"
    out.write_text(json.dumps(report))
    with pytest.raises(click.UsageError, match=f"with another {name}"):
        cells.Cells("what", ("numpy",), str(out))


def test_steps_take_turns_and_slow_ones_stop_early():
    calls = []
    steps = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = timing.in_turns(steps, 0)
    # Once to warm up, then one call in each of the three rounds of no budget.
    assert calls == ["a", "b"] * 4
    assert [len(seconds) for seconds in times.values()] == [3, 3]
    times = timing.in_turns({"a": lambda: time.sleep(0.001)}, 0.02)
    assert len(times["a"]) >= 3
    assert min(times["a"]) >= 0.001


def test_a_ratio_is_the_median_of_the_rounds():
    assert timing.ratio([2, 8, 30], [1, 2, 10]) == 3  # 2, 4, 3
    assert timing.per_second(10, [1, 2, 5]) == 5


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234.5, "1,230"), (0.012345, "0.0123"), (7.1, "7.1"), (59.228, "59.2"), (None, None)],
)
def test_numbers_have_three_digits_that_mean_something(value, shown):
    assert tables.number(value) == shown


def test_a_page_of_cells_shows_shares_of_the_limit():
    limit = {
        "product_multiply_adds_per_second": 100e9,
        "convolution_multiply_adds_per_second": 120e9,
    }
    model = {
        **{"block": "wider", "stages": 4, "pitch_axis": "circular", "precision": "float32"},
        **{"backend": "jax", "attention": "none", "channels": 256, "vectors": 400, "device": "cpu"},
    }
    embedding = {
        **{"part": "inference", "parameters": 1000, "multiply_adds": 12e9, **model, **limit},
        **{
            "multiply_adds_12_rows": 12e9,
            "embeddings_per_second": {"batch_1": 4.0, "batch_16": 5.0},
        },
        "best_batch": "batch_16",
        "peak_rss_mib": 900.0,
    }
    head = {"machine": {"cpu": "A", "cores": 2}, "versions": {"python": "3"}, "date": "2026-01-01"}
    text = page({"throughput": {**head, "cells": [embedding]}})
    # 5 x 12e9 are 60 % of the product and 50 % of the best rate seen, the convolution's.
    row = next(line for line in text.splitlines() if line.startswith("| wider, S = 4, circular"))
    assert row == "| wider, S = 4, circular | 1,000 | 12 | 4 | 5 (16) | 60 % | 50 % | 900 |"
    assert "## On a GPU" not in text
    on_gpu = {**embedding, "device": "gpu"}
    text = page({"throughput": {**head, "cells": [embedding, on_gpu]}})
    assert "## On a GPU" in text
    assert "| wider, S = 4 | 5 |" in text.split("## On a GPU")[1]


def test_the_picture_takes_models_with_rate_and_accuracy(tmp_path):
    pytest.importorskip("matplotlib")
    speed, trained = [], []
    for stages, rate, score in ((1, 100.0, 0.5), (4, 10.0, 0.7), (12, 9.0, 0.6)):
        model = {"block": "wider", "stages": stages, "pitch_axis": "circular", "channels": 8}
        speed.append(
            {
                **{"part": "inference", "device": "cpu", "precision": "float32", **model},
                **{"best_batch": "batch_1", "embeddings_per_second": {"batch_1": rate}},
                "backend": "jax",
            }
        )
        trained += [{"data": "a", "loss": "supcon", "map": score + d, **model} for d in (-0.1, 0.1)]
    # Of another backend than the rest, which alone would make S = 6 a point.
    speed.append({**speed[0], "backend": "torch", "stages": 6})
    trained.append({"data": "a", "loss": "supcon", "map": 0.9, **model, "stages": 6})
    # Of another loss, and not of all.
    trained.append({"data": "a", "loss": "softmax", "map": 1.0, **model})
    trained.append({"data": "a", "loss": "supcon", "attention": "local", "map": 1.0, **model})
    section = document.choice_section(speed, trained, "p.png")
    assert "| S = 1 | 100 | 0.500 |" in section
    assert "| wider, S = 4 | 10 | 0.700 |" in section
    assert "S = 12" not in section  # S = 4 is faster and better
    assert "S = 6" not in section
    assert "Rates are of 8 channels under jax, " in section
    reports = {"throughput": {"cells": speed}, "accuracy-a": {"cells": trained}}
    assert document.choice_section(speed, [{"failed": "x", **model}], "p.png") == ""
    document.draw(reports, tmp_path)
    assert (tmp_path / document.PICTURE).read_bytes().startswith(b"\x89PNG")


def test_backends_stand_side_by_side_where_two_were_measured():
    model = {"block": "wider", "stages": 4, "pitch_axis": "circular", "precision": "float32"}
    model |= {"attention": "none", "channels": 8, "vectors": 400}
    rates = {"best_batch": "batch_16", "embeddings_per_second": {"batch_1": 3.0, "batch_16": 5.0}}
    one = {"backend": "jax", "device": "cpu", **model}
    cells = [{**one, "part": "inference", **rates}, {**one, "part": "training", "failed": "x"}]
    shown = [("wider", 4), ("simple", 1)]
    assert document.backends_section(cells, shown) == ""
    other = {**one, "backend": "torch", "part": "training", "samples_per_second": 0.25}
    section = document.backends_section([*cells, other], shown)
    assert "8 channels, T = 400, attention none:" in section
    assert "| model | jax: embeddings /s | torch: training /s |" in section
    assert "| wider, S = 4 | 5 | 0.25 |" in section
    unrolled = {**other, "pitch_axis": "unrolled"}
    on_gpu = {**other, "device": "gpu"}
    assert "0.25" not in document.backends_section([*cells, unrolled], shown)
    assert document.backends_section([*cells, on_gpu], shown) == ""
    assert document.backends_section([*cells, {**other, "channels": 16}], shown) == ""
    assert document.backends_section([*cells, {**other, "part": "loader"}], shown) == ""


def test_with_one_stage_the_blocks_are_one_model():
    rates = (("simple", 2.0), ("bottleneck", 9.0), ("wider", 5.0))
    cells = [
        {"block": block, "stages": 1, "best_batch": "b", "embeddings_per_second": {"b": rate}}
        for block, rate in rates
    ]
    # Three measurements of one network: the middle one.
    assert tables.of_model(cells, "simple", 1)["block"] == "wider"
    assert tables.of_model(cells, "simple", 2) == {}
    assert len(tables.models()) == 16
    assert tables.models()[0] == ("simple", 1)


def test_a_column_of_nothing_is_left_out():
    assert tables.table(["a", "b", "c"], [[1, None, None], [2, None, 3]]) == (
        "| a | c |\n| --- | --- |\n| 1 |  |\n| 2 | 3 |\n"
    )


def test_the_section_of_processes_compares_them():
    settings = {"block": "wider", "stages": 4, "channels": 32, "batch_size": 32}
    report = {
        "date": "2026-01-01",
        "machine": {"cpu": "c", "instructions": [], "cores": 2, "system": "s"},
        "versions": {"python": "3"},
        "settings": {**settings, "tracks": 64, "vectors": 400},
        "forms": [
            {"threads": 1, "processes": 1, "tracks_per_second": 10.0},
            {"threads": 1, "processes": 2, "tracks_per_second": 16.0},
            {"processes": 1, "tracks_per_second": 20.0},
        ],
        "two_over_one": 1.6,
        "two_over_threads": 0.8,
        "largest_difference_of_a_loss": 0.001,
        "largest_difference_by_threads": 0.002,
    }
    text = page({"processes": report})
    assert "| 2 | 1 | 16 |" in text
    assert "1.6 x as fast as one of a thread" in text
    assert "at most, those of one process with one thread and with more by 2.0e-03" in text


def test_the_committed_pages_are_what_the_figures_give():
    cards = document.read_cards(document.WEIGHTS)
    expected = document.pages(document.read_reports(document.RESULTS), cards)
    there = {path.name for path in (document.DOCS / "benchmarks").iterdir()}
    assert there == {Path(name).name for name in expected if name.startswith("benchmarks/")}
    for name, text in expected.items():
        assert (document.DOCS / name).read_text() == text, "run: python benchmarks/document.py"


def test_the_front_page_fits_on_two_screens():
    lines = (document.DOCS / document.FRONT).read_text().splitlines()
    assert len([line for line in lines if line]) <= 100


def test_mean_chroma_finds_a_transposed_copy(tmp_path, rng):
    lines = []
    for song in range(3):
        hpcp = rng.random((50, 12)) * rng.random(12)
        for version in range(2):
            np.save(tmp_path / f"{song}_{version}.npy", np.roll(hpcp, 5 * version, axis=1))
            lines.append(f"{song} {version}\n")
    (tmp_path / "list").write_text("".join(lines))
    done = subprocess.run(
        [
            *(sys.executable, str(BENCHMARKS / "baselines.py"), str(tmp_path / "list")),
            *("--data-dir", str(tmp_path)),
        ],
        capture_output=True,
        check=True,
    )
    report = json.loads(done.stdout)
    for name in ("mean chroma", "mean chroma, centred"):
        # Every query has one version, and it is first: AP = 1, P@10 = 1/10.
        assert report[name]["map"] == 1
        assert report[name]["p10"] == pytest.approx(1 / 10)
