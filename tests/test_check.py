"""`kinet check` from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kinet.cli import run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A good list of two songs with two versions each, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "data").mkdir()
    rng = np.random.default_rng(0)
    for song in ("s1", "s2"):
        for version in ("v1", "v2"):
            np.save(tmp_path / "data" / f"{song}_{version}.npy", rng.random((20, 12)))
    (tmp_path / "LIST").write_text("s1 v1\ns1 v2\ns2 v1\ns2 v2\n")
    return tmp_path


def test_a_good_list(folder, capsys):
    assert run(["check", "LIST", "--data-dir", "data"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "4 tracks of 2 songs: 0 errors, 0 warnings\n"
    assert captured.err == ""


def test_faults_are_a_table_and_exit_code_1(folder, capsys):
    np.save(folder / "data" / "s1_v1.npy", np.ones((12, 20)))
    (folder / "data" / "s2_v2.npy").unlink()
    assert run(["check", "LIST", "--data-dir", "data"]) == 1
    out = capsys.readouterr().out
    assert "s1_v1.npy: is (12, 20): transposed, expected (T, 12)" in out
    assert "s2_v2.npy: missing; need a readable .npy file" in out
    assert out.splitlines()[-1] == "4 tracks of 2 songs: 2 errors, 0 warnings"


def test_a_warning_is_no_failure(folder, capsys):
    np.save(folder / "data" / "s1_v1.npy", np.full((20, 12), 1.5))
    assert run(["check", "LIST", "--data-dir", "data"]) == 0
    out = capsys.readouterr().out
    assert "HPCP lie in [0, 1]" in out  # brackets are text, not rich's markup
    assert out.splitlines()[-1] == "4 tracks of 2 songs: 0 errors, 1 warnings"


def test_repeated_lines_are_told_and_do_not_stop_the_check(folder, capsys):
    (folder / "LIST").write_text("s1 v1\ns1 v2\ns1 v1\ns2 v1\n")
    assert run(["check", "LIST", "--data-dir", "data"]) == 1
    out = capsys.readouterr().out
    assert "listed 2 times" in out
    assert "only one version listed" in out


def test_ids_that_look_like_markup(folder, capsys):
    (folder / "LIST").write_text("[red] [x]\n[red] [bold]\n")
    assert run(["check", "LIST", "--data-dir", "data"]) == 1
    assert "[red] [bold]" in capsys.readouterr().out


def test_against_other_lists(folder, capsys):
    (folder / "VAL").write_text("s2 v2\ns2 v3\n")
    (folder / "TEST").write_text("s3 v1\n")
    arguments = ["check", "LIST", "--data-dir", "data", "--against", "VAL", "--against", "TEST"]
    assert run([*arguments, "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "list": "LIST",
        "tracks": 4,
        "songs": 2,
        "errors": 2,
        "warnings": 0,
        "problems": [
            {
                "severity": "error",
                "kind": "shared song",
                "subject": "s2",
                "message": "also in VAL, with 2 tracks there",
            },
            {
                "severity": "error",
                "kind": "shared track",
                "subject": "s2 v2",
                "message": "also in VAL",
            },
        ],
    }


def test_json_of_a_good_list(folder, capsys):
    assert run(["check", "LIST", "--data-dir", "data", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []


def test_a_long_list_shows_progress_on_stderr(folder, capsys):
    np.save(folder / "data" / "s1_v1.npy", np.ones((20, 12)))
    (folder / "LIST").write_text("".join(f"s1 v{number}\n" for number in range(1, 301)))
    assert run(["check", "LIST", "--data-dir", "data", "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["errors"] == 298
    assert "300/300" in captured.err


def test_a_faulty_line_is_one_line_of_error(folder, capsys):
    (folder / "LIST").write_text("s1\n")
    assert run(["check", "LIST", "--data-dir", "data"]) == 1
    err = capsys.readouterr().err
    assert err == "kinet: LIST:1: line has 1 fields, 's1'; need '<song_id> <version_id>'\n"


def test_a_missing_list(folder, capsys):
    assert run(["check", "NONE", "--data-dir", "data"]) == 1
    assert capsys.readouterr().err == "kinet: NONE: missing; need a readable list file\n"


@pytest.mark.parametrize("arguments", [["check", "LIST"], ["check", "LIST", "--data-dir", "none"]])
def test_wrong_usage(folder, capsys, arguments):
    assert run(arguments) == 2
    assert "--data-dir" in capsys.readouterr().err
