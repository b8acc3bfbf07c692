"""`kinet find`, `kinet duplicates` and `kinet index` as a person and a program see them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import audio_files
import libraries
import numpy as np
import pytest
from libraries import source, tune, version, write

import kinet
from kinet.cli import run
from kinet.commands.libraries import clock
from kinet.errors import DataError
from kinet.library import IN_FOLDER, Answer, Library, adding, calibration
from kinet.library import library as library_module
from kinet.library.pages import write_answer
from kinet.weights import Card, card

SECONDS = 12
ALONE = ("--workers", "1")


def play(degrees, key, seconds_per_note=0.75, rate=22050):
    """A tune with four harmonics, as sound."""
    time = np.arange(int(seconds_per_note * rate)) / rate
    notes = [220 * 2 ** ((degree + key) / 12) for degree in degrees]
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    played = [fade * sum(np.sin(2 * np.pi * k * f * time) / k for k in range(1, 5)) for f in notes]
    return 0.2 * np.concatenate(played).astype(np.float32)[:, None]


TUNES = {
    "Yesterday": (0, 2, 4, 0, 4, 5, 7, 7, 9, 7, 5, 4, 0, -5, 0, 0),
    "Summertime": (4, 1, 4, 3, 1, 4, 1, -1, -4, 8, 6, 3, 4, 1, 4, 11),
}


@pytest.fixture(scope="module")
def music_of_all(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music of all")
    for name, degrees in TUNES.items():
        (folder / name).mkdir()
        for number, (take, suffix) in enumerate((("01 studio", "flac"), ("02 live", "ogg"))):
            signal = play(degrees, 3 * number)
            audio_files.write(folder / name / f"{name} {take}.{suffix}", signal, 22050)
    query = folder / "Yesterday" / "Yesterday 01 studio.flac"
    assert run(["find", str(query), "--in", str(folder), "--model-file", "fourier", *ALONE]) == 0
    return folder


@pytest.fixture
def music(music_of_all, tmp_path):
    """A folder of two songs in two versions each that was searched once."""
    shutil.copytree(music_of_all, tmp_path / "music")
    return tmp_path / "music"


@pytest.fixture
def out(capsys, monkeypatch):
    """Runs a command; gives stdout, or with a code that is expected stdout and stderr.

    New libraries have the descriptor, which needs no backend, whatever comes with kinet.
    """
    monkeypatch.setattr(library_module, "default_model", lambda: "fourier")
    monkeypatch.setenv("COLUMNS", "300")

    def call(*arguments, code=0):
        capsys.readouterr()
        outcome = run([str(argument) for argument in arguments])
        streams = capsys.readouterr()
        assert outcome == code, streams.err
        return (streams.out, streams.err) if code else streams.out

    return call


def reading_is_forbidden(monkeypatch):
    monkeypatch.setattr(adding, "read_sound", lambda job, check: pytest.fail(f"reads {job.path}"))


def query_of(music):
    return music / "Yesterday" / "Yesterday 02 live.ogg"


def test_find_in_a_folder_shows_song_place_key_and_tempo(music, out):
    shown = out("find", query_of(music), "--in", music)
    first = next(line for line in shown.splitlines() if "│ 1" in line)
    cells = [cell.strip() for cell in first.split("│")[1:-1]]
    assert cells[1] == "Yesterday 01 studio"
    assert re.fullmatch(r"0:0\d-0:1\d ~ 0:0\d-0:1\d", cells[4])
    assert cells[5:] == ["-3", "1.00", "Yesterday/Yesterday 01 studio.flac"]


def test_the_library_of_a_folder_is_in_it_and_is_kept(music, out, monkeypatch):
    reading_is_forbidden(monkeypatch)
    # The copy of the folder holds the library of the original, whose paths are others.
    first = json.loads(out("find", query_of(music), "--in", music, "--json"))
    assert first[0]["songs"][0]["path"].startswith(str(music))
    assert (music / IN_FOLDER).is_file()
    assert [path.name for path in (music / ".kinet").iterdir()] == ["library.sqlite"]
    assert len(first[0]["songs"]) == 3


def test_what_is_new_is_read_and_what_is_gone_is_forgotten(music, out):
    (music / "Summertime" / "Summertime 01 studio.flac").unlink()
    audio_files.write(music / "new.flac", play(TUNES["Yesterday"], 5), 22050)
    [answer] = json.loads(out("find", query_of(music), "--in", music, "--json", *ALONE))
    paths = [song["path"] for song in answer["songs"]]
    assert str(music / "new.flac") in paths
    assert not any("Summertime 01 studio" in path for path in paths)


def test_json_says_all_and_csv_has_a_line_for_every_song(music, out):
    [answer] = json.loads(out("find", query_of(music), "--in", music, "--json"))
    assert answer["query"] == str(query_of(music))
    assert (answer["error"], answer["calibrated"]) == (None, False)
    best = answer["songs"][0]
    assert (best["title"], best["transposition"]) == ("Yesterday 01 studio", -3)
    assert best["probability"] is None
    assert best["passages"][0]["query"][1] == pytest.approx(SECONDS, abs=2)
    rows = list(csv.DictReader(io.StringIO(out("find", query_of(music), "--in", music, "--csv"))))
    assert [row["rank"] for row in rows] == [str(n) for n in range(1, len(answer["songs"]) + 1)]
    assert rows[0]["title"] == "Yesterday 01 studio"
    assert float(rows[0]["score"]) == best["score"]


def test_nothing_here_is_an_answer(music, out, capsys):
    (music / "Yesterday" / "Yesterday 01 studio.flac").unlink()
    shown = out("find", query_of(music), "--in", music, "--threshold", "0.99", "--json")
    assert json.loads(shown)[0]["songs"] == []
    assert run(["find", str(query_of(music)), "--in", str(music), "--threshold", "0.99"]) == 0
    assert "nothing here of score 0.99 or more" in capsys.readouterr().err.replace("\n", " ")


def test_a_query_that_cannot_be_read_says_why_and_the_others_are_answered(music, out):
    broken = music.parent / "broken.mp3"
    broken.write_bytes(b"no sound")
    shown, told = out("find", broken, query_of(music), "--in", music, *ALONE, code=1)
    assert "broken.mp3: no audio in a known format" in told.replace("\n", " ")
    assert "Yesterday 01 studio" in shown.replace("\n", " ")
    shown, _ = out("find", broken, query_of(music), "--in", music, "--csv", *ALONE, code=1)
    first, second, *_ = csv.DictReader(io.StringIO(shown))
    assert "no audio" in first["message"]
    assert second["message"] == ""


def test_a_page_of_an_answer_has_the_songs_and_their_sound(music, out, tmp_path):
    page = tmp_path / "page.html"
    command = ["find", query_of(music), "--in", music, "--html", page, *ALONE, "--json"]
    [answer] = json.loads(out(*command))
    text = page.read_text()
    data = json.loads(re.search(r"<script[^>]*json[^>]*>(.*?)</script>", text, re.DOTALL)[1])
    titles = [each["title"] for each in data["recordings"]]
    assert titles[1:] == [song["title"] for song in answer["songs"]]
    assert all(each["sound"] for each in data["recordings"])


def test_a_page_is_of_one_query_and_of_an_answer(music, out, tmp_path):
    query = query_of(music)
    _, told = out("find", query, query, "--in", music, "--html", tmp_path / "a.html", code=2)
    assert "--html is of one QUERY, and 2 were given" in told
    _, told = out("find", query, "--in", music, "--html", tmp_path / "no" / "a.html", code=1)
    assert "cannot be written: no folder" in told
    with pytest.raises(DataError, match=r"no page of x\.wav: too short; need a query with songs"):
        write_answer(tmp_path / "a.html", Answer(Path("x.wav"), "too short"))
    assert not (tmp_path / "a.html").exists()


def test_a_short_query_is_refused(music, out):
    short = audio_files.make(music.parent / "short.flac", seconds=3.0)
    _, told = out("find", short, "--in", music, code=1)
    assert "3.0 s long; need at least 10 s to find a song" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--in", "missing"], "missing: missing; need a library, as kinet index add makes it"),
        (["--in", "empty"], "empty: no audio in this folder; need recordings"),
        (["--in", "notes.txt"], "notes.txt is no library of kinet's"),
        (["--in", "music", "--model-file", "else"], "no model else; allowed: fourier"),
    ],
)
def test_places_that_cannot_be_searched(tmp_path, monkeypatch, out, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "a.mp3").write_text("no sound")
    (tmp_path / "notes.txt").write_text("notes")
    write(tmp_path / "q.npy", tune(1))
    _, told = out("find", "q.npy", *arguments, code=1)
    assert told.startswith("kinet: ")
    assert message in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "empty" / ".kinet").exists()


@pytest.mark.parametrize("option", [["--top", "0"], ["--threshold", "2"], []])
def test_a_wrong_command_line_ends_with_2(out, option):
    _, told = out("find", "q.npy", *(["--in", "x", *option] if option else []), code=2)
    assert "See 'kinet find --help'" in told


def test_markup_and_control_characters_of_titles_are_shown_escaped(tmp_path, out, capsys):
    paths = [
        write(tmp_path / f"{name}.npy", version(1, key))
        for key, name in enumerate(("[red]a\x1b[2J", "plain"))
    ]
    out("index", "add", tmp_path / "l", *paths, "--workers", "1")
    for arguments in (["find", paths[1], "--in"], ["duplicates"], ["index", "list"]):
        shown = out(*arguments, tmp_path / "l")
        assert "\x1b" not in shown
        assert "[red]a" in shown
        assert "\\x1b" in shown


def test_csv_holds_no_formula_and_nothing_that_steers_a_terminal(tmp_path, out):
    first, second = (
        write(tmp_path / f"{name}.npy", version(1, key))
        for key, name in enumerate(("=A2+3\x1b", "@b"))
    )
    out("index", "add", tmp_path / "l", first, second, *ALONE)
    for command in (["find", first, "--in"], ["duplicates"]):
        rows = list(csv.DictReader(io.StringIO(out(*command, tmp_path / "l", "--csv"))))
        assert rows[-1]["title"] == "'@b"
    assert rows[0]["title"] == "'=A2+3\\x1b"
    assert rows[0]["artist"] == rows[0]["song"] == ""


def test_duplicates_as_table_csv_and_json(music, out):
    shutil.copy(query_of(music), music / "copy.ogg")
    groups = json.loads(out("duplicates", music, "--json", *ALONE))["groups"]
    assert [[len(member["paths"]) for member in group] for group in groups] == [[1, 1], [1, 2]]
    yesterday = groups[1]
    assert yesterday[0]["nearest"]["transposition"] == 3
    rows = list(csv.DictReader(io.StringIO(out("duplicates", music, "--csv"))))
    kinds = [(row["group"], row["kind"]) for row in rows]
    assert kinds == [("1", "version"), ("1", "version"), ("2", "version"), ("2", "version"),
                     ("2", "copy")]  # fmt: skip
    shown = out("duplicates", music)
    assert "Yesterday 01" in shown
    # As in kinet find: within the folder.
    assert "│ Yesterday/Yesterday 01 studio.flac" in shown
    assert str(music) not in shown


def test_duplicates_of_a_folder_without_any(tmp_path, out, capsys):
    path = write(tmp_path / "a.npy", tune(1))
    out("index", "add", tmp_path / "l", path)
    assert run(["duplicates", str(tmp_path / "l")]) == 0
    assert "no versions and no copies here" in capsys.readouterr().err


def test_index_add_list_info_remove_check_compact(music, out, tmp_path):
    library = tmp_path / "my.library"
    report = json.loads(out("index", "add", library, music / "Yesterday", "--json", *ALONE))
    assert [len(report["added"]), report["unchanged"], report["failed"]] == [2, 0, []]
    assert report["audio_seconds"] == pytest.approx(2 * SECONDS, abs=0.5)
    again = json.loads(out("index", "add", library, music / "Yesterday", "--json"))
    assert (again["added"], again["unchanged"]) == ([], 2)
    listed = json.loads(out("index", "list", library, "--json"))
    assert [entry["title"] for entry in listed] == ["Yesterday 01 studio", "Yesterday 02 live"]
    assert "0:12" in out("index", "list", library)
    info = json.loads(out("index", "info", library, "--json"))
    assert (info["model"], info["files"], info["calibration"]) == ("fourier", 2, None)
    assert "fourier" in out("index", "info", library)
    assert json.loads(out("index", "check", library, "--json"))["faults"] == []
    gone = json.loads(out("index", "remove", library, music / "Yesterday", "--json"))
    assert len(gone["removed"]) == 2
    size = json.loads(out("index", "compact", library, "--json"))
    assert size["bytes_after"] <= size["bytes_before"]
    for name in ("remove", "compact", "check", "merge"):
        assert run(["index", name, "--help"]) == 0


def test_index_commands_take_the_folder_that_find_searched(music, out):
    assert json.loads(out("index", "info", music, "--json"))["files"] == 4


def test_files_that_cannot_be_added_are_told_and_the_rest_is(music, out, tmp_path):
    (music / "broken.flac").write_bytes(b"fLaC")
    _, told = out("index", "add", tmp_path / "l", music, *ALONE, code=1)
    assert "broken.flac: " in told.replace("\n", "")
    assert "4 files read" in told
    assert "1 not readable" in told


def test_index_merge(out, tmp_path):
    for number in (1, 2):
        path = write(tmp_path / f"{number}.npy", tune(number))
        out("index", "add", tmp_path / f"l{number}", path)
    report = json.loads(out("index", "merge", tmp_path / "l1", tmp_path / "l2", "--json"))
    assert report == {"files": 1}


def test_interrupted_adding_says_that_it_goes_on(tmp_path, monkeypatch, capsys):
    path = write(tmp_path / "a.npy", tune(1))

    def interrupt(job, check):
        raise KeyboardInterrupt

    monkeypatch.setattr(adding, "read_sound", interrupt)
    assert run(["index", "add", str(tmp_path / "l"), str(path), "--workers", "1"]) == 130
    told = capsys.readouterr().err
    assert "interrupted; what was added stays, and the same command goes on" in told


# Calibration


@pytest.fixture
def known(tmp_path):
    """A library of seven songs in three versions each."""
    with libraries.library_of(tmp_path, songs=7, versions=3) as library:
        yield library


def test_a_calibrated_library_gives_probabilities(known, tmp_path, out, capsys):
    query = write(tmp_path / "q.npy", version(3, 7, 20, 60))
    learned = json.loads(out("index", "calibrate", tmp_path / "library.sqlite", "--json"))
    assert (learned["versions"], learned["brier"] < 0.05) == (7 * 3, True)
    [answer] = json.loads(out("find", query, "--in", tmp_path / "library.sqlite", "--json"))
    assert answer["calibrated"]
    scores = [song["score"] for song in answer["songs"]]
    assert scores == sorted(scores, reverse=True)
    probabilities = [song["probability"] for song in answer["songs"]]
    assert probabilities[0] > 0.9 > 0.2 > probabilities[1]
    library = tmp_path / "library.sqlite"
    chosen = json.loads(out("find", query, "--in", library, "--threshold", "0.5", "--json"))
    assert [song["song"] for song in chosen[0]["songs"]] == ["s3"]
    assert "yes, by its own recordings, Brier score" in out("index", "info", library)
    assert "false alarms" in out("index", "calibrate", library)
    assert "probability" in out("find", query, "--in", library)


def test_without_known_songs_there_is_no_calibration(tmp_path, out):
    path = write(tmp_path / "a.npy", tune(1))
    out("index", "add", tmp_path / "l", path)
    _, told = out("index", "calibrate", tmp_path / "l", code=1)
    assert "0 pairs of versions and 0 of other songs; need 20 of each" in told


def test_probability_is_the_logistic_function_of_a_sum():
    made = calibration.Calibration(-2.0, 4.0, 1.0, 1, 1, 0.0, (), (), of_length=2.0)
    # -2 + 4 * 0.5 + 1 * 0 + 2 * 0 = 0; -2 + 4 + 1 = 3, and 2 * log(10) more.
    assert made.probability(0.5, 0.0, 1) == 0.5
    assert made.probability(1.0, 1.0, 1) == pytest.approx(1 / (1 + np.exp(-3)))
    assert made.probability(1.0, 1.0, 10) == pytest.approx(1 / (1 + np.exp(-3) / 100))
    far = calibration.Calibration(0.0, 1e6, 0.0, 1, 1, 0.0, (), ())
    assert (far.probability(-1.0, 0.0, 9), far.probability(1.0, 0.0, 9)) == (pytest.approx(0), 1.0)
    assert calibration.Calibration.from_json(made.to_json()) == made
    assert calibration.Calibration.from_json("") is None


def test_the_same_score_says_less_of_short_recordings(rng):
    # By chance the score is 8 divided by the length, of versions the square root of that.
    same, lengths = np.arange(600) % 2 == 0, rng.integers(16, 400, 600)
    scores = (8 / lengths) ** np.where(same, 0.5, 1) + 0.05 * rng.random(600)
    learned = calibration.calibrate(scores, np.zeros(600), lengths, same)
    assert learned.probability(0.3, 0.0, 300) > 0.9 > 0.1 > learned.probability(0.3, 0.0, 20)


def test_what_comes_with_a_model_counts_until_a_library_has_learned_itself(monkeypatch):
    shipped = calibration.Calibration(-1.0, 1.0, 0.0, 1, 1, 0.0, (0.5,), (0.6,), of_length=0.3)
    values = {"sha256": "a" * 64, "calibration": asdict(shipped)}
    monkeypatch.setattr(calibration, "card", lambda name: Card(name, "", Path(), values))
    own = calibration.Calibration(-2.0, 4.0, 1.0, 1, 1, 0.0, (), ())
    assert calibration.calibration_of("", "a" * 64) == shipped
    assert calibration.calibration_of(own.to_json(), "a" * 64) == own
    assert calibration.calibration_of("", "b" * 64) is None


def test_small_comes_with_probabilities_that_rank_as_its_scores_do():
    shipped = calibration.calibration_of("", card("small").values["sha256"])
    assert min(shipped.versions, shipped.others) > 100
    assert shipped.of_similarity == 0.0
    assert shipped.probability(0.8, 0.0, 400) > 0.9 > 0.1 > shipped.probability(0.1, 0.0, 400)
    # By chance ten seconds have higher scores.
    assert shipped.probability(0.5, 0.0, 20) < shipped.probability(0.5, 0.0, 400) - 0.3


def test_a_number_that_speaks_against_versions_by_chance_is_left_out(rng):
    same = np.arange(400) % 2 == 0
    scores = 0.3 * same + 0.5 * rng.random(400)
    learned = calibration.calibrate(
        scores, 0.5 * rng.random(400) - 0.3 * same, np.full(400, 50), same
    )
    assert learned.of_similarity == 0.0
    assert learned.of_score > 0


def test_shares_are_of_pairs_that_reach_a_threshold():
    # All versions have the score 1, all others 0: every threshold tells them apart.
    same = np.arange(200) % 2 == 0
    learned = calibration.calibrate(same.astype(float), np.zeros(200), np.ones(200), same)
    assert learned.false_alarms == (0.0,) * 7
    assert learned.found == (1.0,) * 7
    # Nothing tells them apart: half of the pairs are versions, so says every probability.
    blind = calibration.calibrate(np.zeros(200), np.zeros(200), np.ones(200), same)
    assert blind.found[:2] == blind.false_alarms[:2] == (1.0, 1.0)
    assert blind.found[3:] == blind.false_alarms[3:] == (0.0,) * 4
    assert blind.brier == pytest.approx(0.25, abs=1e-3)


# Python


def test_find_and_library_are_verbs_of_the_package(tmp_path):
    sources = [source(tmp_path, song, n, version(song, n)) for song in range(2) for n in range(2)]
    with kinet.Library.create(tmp_path / "l", "fourier") as library:
        library.add(sources, workers=1)
    [answer] = kinet.find(tmp_path / "s0_0.npy", tmp_path / "l")
    assert answer.matches[0].path == tmp_path / "s0_1.npy"
    assert kinet.Library is Library


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (95.4, "1:35"), (3600, "60:00")]
)
def test_times_are_minutes_and_seconds(seconds, text):
    assert clock(seconds) == text


def test_songs_are_stated_by_folder_if_asked_for(music, out, tmp_path):
    shown = out("index", "add", tmp_path / "l", music, "--songs-by", "folder", "--json", *ALONE)
    assert len(json.loads(shown)["added"]) == 4
    listed = json.loads(out("index", "list", tmp_path / "l", "--json"))
    assert [entry["song"] for entry in listed] == ["Summertime"] * 2 + ["Yesterday"] * 2
    [answer] = json.loads(out("find", query_of(music), "--in", tmp_path / "l", "--json"))
    assert [song["song"] for song in answer["songs"]] == ["Yesterday", "Summertime"]
