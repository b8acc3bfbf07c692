"""The names of commands and options."""

from __future__ import annotations

import os

import pytest

from kinet.cli import run
from kinet.commands import eval as evaluating
from kinet.commands import train as training
from kinet.commands.options import require_target
from kinet.commands.output import say, show_table
from kinet.errors import DataError

# Options of the original code, and the field of the settings or the parameter that they give.
ORIGINAL_TRAIN = {
    "--tag": "tag",
    "--data-dir": "data_dir",
    "--train-ls": "train_list",
    "--val-ls": "validation_list",
    "--block": "block",
    "--ki-block-num": "stages",
    "--no-chnlatt": "no_chnlatt",
    "--no-tempatt": "no_tempatt",
    "--batchsize": "batch_size",
    "--max-epoch": "epochs",
    "--gpu": "gpu",
    "--feature-len": "vectors",
    "--checkpoint": "init",
    "--regularize": "l2",
    "--time-field": "time_field",
    "--ki-out-channel": "channels",
    "--bn-ratio": "bottleneck_ratio",
    "--attention-ratio": "attention_ratio",
    "--embedding-len": "embedding_size",
    "--lr": "learning_rate",
}
ORIGINAL_EVAL = {
    "--data-dir": "data_dir",
    "--test-ls": "test_list",
    "--model-file": "model_file",
    "--ki-block-num": "stages",
    "--gpu": "gpu",
    "--feature-len": "vectors",
}


def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(capsys):
    assert run(["tran", "--tag", "x"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("kinet: unknown command 'tran', did you mean 'train'? Known: check,")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["find", "q.npy", "--in", ""],
        ["duplicates", ""],
        ["index", "add", "l", ""],
        ["extract", "", "--out", "data"],
        ["extract", "music", "--out", ""],
        ["split", "list", "--out", ""],
        ["check", "list", "--data-dir", ""],
        ["export", ""],
    ],
)
def test_an_empty_path_is_not_the_folder_one_stands_in(words, capsys, tmp_path, monkeypatch):
    """As of a variable that is not set."""
    monkeypatch.chdir(tmp_path)
    assert run(words) == 2
    assert "an empty path; need the name of a file or a folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "option", "name"),
    [(training.command, *pair) for pair in ORIGINAL_TRAIN.items()]
    + [(evaluating.command, *pair) for pair in ORIGINAL_EVAL.items()],
)
def test_options_of_the_original_give_what_their_new_names_give(command, option, name):
    found = [param for param in command.params if option in param.opts]
    assert [param.name for param in found] == [name]


@pytest.mark.parametrize("command", [training.command, evaluating.command])
def test_the_first_name_of_an_option_is_that_of_its_value(command):
    for param in command.params:
        if param.name not in ("as_json", "stages", "loss_options", "block_options"):
            assert param.opts[0] == f"--{param.name.replace('_', '-')}"


def test_a_place_where_no_file_can_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    (tmp_path / "folder").mkdir()
    for path, message in (
        ("", "'.' is a folder; need the path of a file to write"),
        ("folder", "'folder' is a folder; need the path of a file to write"),
        ("nope/x.npz", "nope/x.npz cannot be written: no folder nope; make it first"),
        ("there", "there is there already; --force replaces it"),
    ):
        with pytest.raises(DataError) as caught:
            require_target(type(tmp_path)(path), force=False)
        assert str(caught.value) == message
    require_target(tmp_path / "there", force=True)
    require_target(tmp_path / "new", force=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_closed_folder_is_refused_before_the_work(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="is closed to you"):
        require_target(tmp_path / "new", force=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["embed", "list", "--out", "nope/x.npz"],
        ["eval", "--per-query", "nope/x.csv"],
        ["pack", "list", "--out", "nope/x"],
        ["show", "x.npy", "--out", "nope/x.png"],
        ["convert", "x.h5", "nope/x.keras"],
    ],
)
def test_commands_look_at_the_place_of_their_output_first(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 1
    assert "cannot be written: no folder nope; make it first" in capsys.readouterr().err


def test_names_cannot_steer_the_terminal(capsys):
    say("caf\u00e9 \x1b[2J \u202e3pm")
    show_table(["song"], [["\x1b]0;title\x07"]], title="\x1b[31mred")
    captured = capsys.readouterr()
    assert captured.err == "caf\u00e9 \\x1b[2J \\u202e3pm\n"
    assert "\\x1b]0;title\\x07" in captured.out
    assert "\\x1b[31mred" in captured.out
    assert run(["\x1b[2J"]) == 2
    assert "\x1b" not in capsys.readouterr().err
