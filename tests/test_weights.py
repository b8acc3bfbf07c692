"""The models that come with kinet."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

import kinet
from kinet import weights
from kinet.cli import run
from kinet.errors import CheckpointError, ExportError
from kinet.evaluation import evaluate
from kinet.export import FORMATS, export, load_export
from kinet.export.formats import choose_converter

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).parent / "data" / "small.npz"


@pytest.fixture(scope="module")
def chorales():
    """HPCP of chorales in two versions each, their songs, and what `small` gave for them."""
    with np.load(DATA) as file:
        lengths, songs = file["lengths"], file["songs"].tolist()
        hpcp = np.split(file["hpcp"].astype(np.float32) / 255, np.cumsum(lengths)[:-1])
        return hpcp, songs, file["embeddings"]


@pytest.fixture(scope="module")
def small():
    return kinet.load("small")


def test_small_gives_the_same_under_every_backend(small, chorales):
    hpcp, _, expected = chorales
    rows = kinet.embed(small, hpcp)
    assert rows.shape == (len(hpcp), small.output_shape[-1]) == (len(hpcp), 256)
    np.testing.assert_allclose(rows, expected, atol=1e-5)


@pytest.mark.parametrize("name", FORMATS)
def test_small_gives_the_same_in_every_format(name, chorales, tmp_path):
    try:
        converter = choose_converter(FORMATS[name])
    except ExportError as error:
        pytest.skip(str(error))
    if converter.backend == "torch":
        pytest.skip("what PyTorch's exporter writes of its descriptor cannot be run")
    if name != "onnx" and not os.environ.get("KINET_SLOW"):
        pytest.skip("each takes ten seconds; KINET_SLOW=1 has all")
    hpcp, _, expected = chorales
    path = export("small", name, tmp_path / f"small{FORMATS[name].ending}").path
    if name == "savedmodel" and keras.config.backend() != "tensorflow":
        pytest.skip("TensorFlow is not the backend of this process")
    np.testing.assert_allclose(kinet.embed(load_export(path), hpcp), expected, atol=1e-5)


def test_small_finds_songs(small, chorales):
    hpcp, songs, _ = chorales
    metrics = evaluate(kinet.embed(small, hpcp), songs)
    assert metrics.hit1 > 0.8  # by chance one in fifteen


def test_small_does_not_mind_the_key(small, chorales):
    hpcp = chorales[0][:2]
    there = kinet.embed(small, [np.roll(each, 5, axis=1) for each in hpcp])
    np.testing.assert_allclose(there, kinet.embed(small, hpcp), atol=1e-4)


def test_names_are_those_of_the_cards():
    assert kinet.list_models() == weights.names()
    for name in weights.names():
        assert weights.card(name).path.stat().st_size < 8e6
        assert weights.model_path(name) == weights.card(name).path


def test_a_file_that_is_not_that_of_its_card_is_refused(tmp_path, monkeypatch):
    card = weights.card("small")
    shutil.copy(card.path.with_suffix(".json"), tmp_path)
    (tmp_path / "small.keras").write_bytes(card.path.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(weights, "_FOLDER", tmp_path)
    with pytest.raises(CheckpointError, match=r"small\.keras has the digest .* and its card says"):
        kinet.load("small")


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(CheckpointError, match="unknown model 'smal', did you mean 'small'"):
        kinet.load("smal")


def test_what_lies_there_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small").write_text("mine")
    assert weights.model_path("small") == Path("small")


def test_models_tells_of_each_and_shows_a_card(capsys):
    assert run(["models"]) == 0
    assert "small" in capsys.readouterr().out
    assert run(["models", "small"]) == 0
    shown = capsys.readouterr().out
    card = weights.card("small").values
    assert card["sha256"][:20] in shown.replace("\n", "")
    assert run(["models", "small", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == card
    assert run(["models", "large"]) == 1
    assert "unknown model 'large'" in capsys.readouterr().err


def test_commands_take_the_name(tmp_path, monkeypatch, chorales, capsys):
    monkeypatch.chdir(tmp_path)
    hpcp, songs, expected = chorales
    (tmp_path / "features").mkdir()
    for number, (song, each) in enumerate(zip(songs, hpcp, strict=True)):
        np.save(tmp_path / "features" / f"{song}_{number}.npy", each)
    (tmp_path / "list").write_text("".join(f"{s} {i}\n" for i, s in enumerate(songs)))
    where = ["list", "--data-dir", "features", "--model-file", "small"]
    assert run(["embed", *where, "--out", "rows.npz"]) == 0
    with np.load("rows.npz") as file:
        np.testing.assert_allclose(file["embeddings"], expected, atol=1e-5)
        assert str(file["model"]) == weights.card("small").values["sha256"]
    capsys.readouterr()
    assert run(["eval", *where[1:], "--test-list", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hit1"] > 0.8


def test_nothing_that_it_is_tested_on_was_trained_on():
    """By name; that works do not sound like what is tested on is what put them into the list."""
    folder = ROOT / "benchmarks"
    names = [folder / name for name in ("held_out.txt", "calibration.txt")]
    held_out = [line for name in names for line in name.read_text("utf-8").splitlines()]
    with (ROOT / "benchmarks/results/small-works.csv").open(encoding="utf-8", newline="") as file:
        works = list(csv.DictReader(file))
    assert len(works) > 2000
    assert len({work["sha256"] for work in works}) == len(works)
    for line in filter(None, map(str.strip, held_out)):
        hit = [w for w in works if line.casefold() in f"{w['title']}\n{w['file']}".casefold()]
        assert not hit, (line, hit)
