"""Scores to a file of notes to a data set, as files and from the command line."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from works import cadence, tune

from kinet.cli import run
from kinet.data.settings_file import features_of
from kinet.data.tracks import read_tracks
from kinet.errors import DataError, SettingsError
from kinet.versions.dataset import Plan, shares_for, write_versions
from kinet.versions.note_pack import packed, read_note_pack, write_note_pack


@pytest.fixture
def works(rng):
    return [packed(cadence(repeats=8), "mine", "CC0"), packed(tune(rng), "folk", "public domain")]


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_data_set_has_the_usual_layout(works, tmp_path):
    plan = Plan(versions=3, least_vectors=20, most_vectors=40)
    assert write_versions(works, tmp_path / "set", plan, workers=1) == 6
    tracks = read_tracks(tmp_path / "set" / "list", tmp_path / "set")
    assert [(t.song_id, t.version_id) for t in tracks] == [
        (song, version) for song in "01" for version in "012"
    ]
    for track in tracks:
        hpcp = track.load()
        assert hpcp.dtype == np.float32
        assert hpcp.shape[1] == 12
        assert 20 <= len(hpcp) <= 40
    assert features_of(tmp_path / "set") is not None


def test_the_licence_of_every_song_stands_beside_the_features(works, tmp_path):
    write_versions(works, tmp_path, Plan(versions=1, least_vectors=20, most_vectors=20), workers=1)
    with open(tmp_path / "works.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["licence"] for row in rows] == ["CC0", "public domain"]
    assert [row["song_id"] for row in rows] == ["0", "1"]
    assert rows[1]["sha256"] == works[1].record.sha256


def test_the_same_seed_writes_the_same_files_with_any_number_of_workers(works, tmp_path):
    plan = Plan(versions=2, least_vectors=20, most_vectors=30)
    write_versions(works, tmp_path / "one", plan, workers=1)
    write_versions(works, tmp_path / "two", plan, workers=2)
    write_versions(works, tmp_path / "other", Plan(2, 20, 30, seed=1), workers=1)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


def test_a_version_does_not_depend_on_how_many_others_there_are(works, tmp_path):
    for count in (1, 3):
        write_versions(works, tmp_path / str(count), Plan(count, 20, 30), workers=1)
    one, three = (contents(tmp_path / count)["0_0.npy"] for count in "13")
    assert one == three


def test_single_tunes_mostly_get_an_accompaniment(works):
    assert shares_for(works[1]).new > 0.5 > shares_for(works[0]).new


@pytest.mark.parametrize(
    "numbers", [{"versions": 0}, {"least_vectors": 0}, {"most_vectors": 9}, {"seed": -1}]
)
def test_impossible_plans_are_told(numbers):
    with pytest.raises(SettingsError, match="allowed"):
        Plan(**numbers)


def test_no_works_are_told(tmp_path):
    with pytest.raises(DataError, match="no works"):
        write_versions([], tmp_path, Plan(), workers=1)


ABC = "X:1\nT:{title}\nM:4/4\nL:1/4\nQ:1/4=100\nK:C\n{notes}|]\n"


@pytest.fixture
def scores(tmp_path, rng):
    """A folder of two tunes, one of them twice and once more in D, and a damaged file."""
    pytest.importorskip("symusic")
    folder = tmp_path / "scores"
    folder.mkdir()
    for title in ("Ode", "Air"):
        notes = " ".join("CDEFGABcdefg"[i] for i in rng.integers(0, 12, 40))
        (folder / f"{title}.abc").write_text(ABC.format(title=title, notes=notes))
    first = (folder / "Air.abc").read_text()
    (folder / "Again.abc").write_text(first.replace("T:Air", "T:Once_more"))
    (folder / "broken.mid").write_bytes(b"MThd")
    return folder


def test_scores_become_a_pack_and_the_pack_a_data_set(scores, tmp_path, capsys):
    pack, out = tmp_path / "notes.npz", tmp_path / "set"
    command = ["scores", str(scores), "--out", str(pack), "--licence", "CC0", "--workers", "1"]
    assert run([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["works"], said["doubles"], said["damaged"]) == (2, 1, 1)
    assert "broken.mid" in said["faults"][0]
    assert [w.record.title for w in read_note_pack(pack)] == ["Once_more", "Ode"]
    synth = ["synth", str(pack), "--out", str(out), "--versions", "2", "--workers", "1"]
    assert run([*synth, "--vectors", "20", "30", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tracks"] == 4
    assert run(["check", str(out / "list"), "--data-dir", str(out)]) == 0


@pytest.mark.parametrize("name", ["ONCE MORE", "once_more"])
def test_works_are_left_out_by_name(scores, tmp_path, capsys, name):
    names = tmp_path / "names"
    names.write_text(f"{name}\n\nodessa\n")
    pack = tmp_path / "notes.npz"
    command = ["scores", str(scores), "--out", str(pack), "--without", str(names), "--keep-doubles"]
    assert run([*command, "--workers", "1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["works"], said["left_out_by_name"]) == (2, 1)


def test_packs_can_be_put_together(works, tmp_path, capsys):
    for number, work in enumerate(works):
        write_note_pack([work], tmp_path / f"{number}.npz")
    together = tmp_path / "all.npz"
    places = [str(tmp_path / f"{number}.npz") for number in range(2)]
    assert run(["scores", *places, "--out", str(together)]) == 0
    assert [w.record for w in read_note_pack(together)] == [w.record for w in works]
    assert "2 works" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["synth", "absent.npz", "--out", "set"], "no file absent.npz"),
        (["scores", "absent", "--out", "notes.npz"], "not a folder"),
        (["scores", ".", "--out", "absent/notes.npz"], "no folder"),
        (["synth", "one.npz", "--out", "set", "--songs", "3"], "holds 1 works"),
        (["synth", "one.npz", "--out", ".", "--songs", "1"], "not empty"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    arguments, reason, works, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    write_note_pack(works[:1], "one.npz")
    assert run(arguments) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert reason in line
