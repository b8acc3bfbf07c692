"""`kinet compare`: where two recordings match."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from kinet.cli import run
from kinet.config import FeatureConfig
from kinet.data.settings_file import write_features
from kinet.errors import DataError
from kinet.matching import align
from kinet.matching.recurrence import cross_similarity
from kinet.pictures import draw_alignment

SECONDS = FeatureConfig().seconds_per_vector


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Two feature files: b has 20 vectors of its own before a, and is 2 semitones higher."""
    rng = np.random.default_rng(0)
    a = (rng.random((90, 12)) * [5, 1, 3, 1, 4, 2, 1, 4, 1, 3, 1, 2]).astype(np.float32)
    own = rng.random((20, 12)).astype(np.float32)
    np.save(tmp_path / "a.npy", a / 5)
    np.save(tmp_path / "b.npy", np.roll(np.vstack([own, a / 5]), 2, axis=1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_person_reads(here, capsys):
    assert run(["compare", "a.npy", "b.npy"]) == 0
    streams = capsys.readouterr()
    assert "a.npy" in streams.out
    row = next(line for line in streams.out.splitlines() if "0:00-0:42" in line)
    assert "0:09-0:51" in row  # 20 vectors are 9.3 s, 90 are 41.8 s
    assert streams.err == (
        "score 1.00 of 1; b.npy is 2 semitones higher, at 1.00 times the tempo\n"
    )


def test_what_a_program_reads(here, capsys):
    assert run(["compare", "a.npy", "b.npy", "--json"]) == 0
    streams = capsys.readouterr()
    assert not streams.err
    report = json.loads(streams.out)
    assert report["a"] == {"title": "a.npy", "seconds": pytest.approx(90 * SECONDS)}
    assert (report["score"], report["transposition"], report["tempo_ratio"]) == (1, 2, 1)
    (passage,) = report["passages"]
    assert passage["start_b"] == pytest.approx(20 * SECONDS)
    assert passage["length"] == 85
    assert passage["path"][0] == pytest.approx([0, 20 * SECONDS])


def test_songs_that_have_nothing_in_common_say_so(here, capsys):
    np.save("c.npy", np.random.default_rng(9).random((90, 12)))
    assert run(["compare", "a.npy", "c.npy"]) == 0
    assert "so low a score" in capsys.readouterr().err


def test_silence_has_no_passage(here, capsys):
    np.save("silence.npy", np.zeros((40, 12), np.float32))
    assert run(["compare", "a.npy", "silence.npy"]) == 0
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err == "no passage of a.npy matches one of silence.npy\n"
    assert run(["compare", "a.npy", "silence.npy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passages"] == []


def test_recordings_with_picture_and_page(here, capsys):
    time = np.arange(22050) / 22050
    tones = [0.2 * np.sin(2 * np.pi * f * time) for f in (220, 247, 277, 294, 330, 370, 415, 440)]
    soundfile.write("a song.wav", np.hstack(tones), 22050)
    soundfile.write("$\\frac$ <b>.wav", np.hstack(tones[2:]), 22050)
    command = [
        "compare",
        "a song.wav",
        "$\\frac$ <b>.wav",
        "--picture",
        "p.png",
        "--html",
        "p.html",
    ]
    assert run(command) == 0
    assert capsys.readouterr().err.endswith("p.png is written\np.html is written\n")
    assert (here / "p.png").read_bytes().startswith(b"\x89PNG")
    page = (here / "p.html").read_text()
    assert "<b>" not in page
    assert '"sound": "' in page
    assert run(command) == 1
    assert capsys.readouterr().err == "kinet: p.png is there already; --force replaces it\n"
    assert run([*command, "--force"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.npy", "nothing.npy"], "nothing.npy: missing"),
        (["nothing.mp3", "a.npy"], "nothing.mp3: no such file; need an audio file"),
        (["a.npy", "short.npy"], "the second recording has 5 vectors; need at least 6"),
        (["a.npy", "b.npy", "--html", "nowhere/p.html"], "nowhere/p.html cannot be written"),
        (["a.npy", "other/b.npy"], "features of different settings: a.npy with "),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_no_file(here, capsys, arguments, message):
    np.save("short.npy", np.ones((5, 12)))
    (here / "other").mkdir()
    np.save("other/b.npy", np.ones((50, 12)))
    write_features(here / "other", FeatureConfig(hop_size=512))
    assert run(["compare", *arguments, "--picture", "p.png"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("kinet: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (here / "p.png").exists()


def test_the_picture_has_the_passage_where_it_is(tmp_path):
    from matplotlib.image import imread

    hpcp = np.random.default_rng(0).random((120, 12)).astype(np.float32)
    similarity = cross_similarity(hpcp[:60], hpcp)
    found = align(hpcp[:60], hpcp)
    draw_alignment(tmp_path / "p.png", similarity, found, FeatureConfig(), ("a", "b"))
    pixels = imread(tmp_path / "p.png")[60:, 80:, :3]  # below the legend, right of the labels
    blue = (pixels[..., 2] - pixels[..., 0] > 0.3).nonzero()
    # From the lower left corner half way up the right side.
    assert blue[1].min() < 0.1 * pixels.shape[1]
    assert blue[1].max() > 0.9 * pixels.shape[1]
    assert 0.4 < blue[0].min() / pixels.shape[0] < 0.6


def test_without_matplotlib_a_line_says_how_to_get_it(here, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    hpcp = np.eye(12, dtype=np.float32)
    with pytest.raises(DataError, match="Matplotlib is not installed"):
        draw_alignment("p.png", np.eye(7), align(hpcp, hpcp), FeatureConfig(), ("a", "b"))
