"""`kinet plugins` from the command line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from kinet.cli import run


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")


def test_the_table_names_every_built_in_with_its_distribution(capsys):
    assert run(["plugins"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = [line for line in captured.out.splitlines() if "mulkinet" in line]
    for name in ("simple", "wider", "channel", "temporal", "softmax", "triplet", "shs100k"):
        assert any(f" {name} " in line for line in lines)


def test_json(capsys):
    assert run(["plugins", "--json"]) == 0
    rows = {(row["kind"], row["name"]): row for row in json.loads(capsys.readouterr().out)}
    row = rows["block", "simple"]
    assert row["distribution"] == "mulkinet"
    assert row["version"]
    assert row["description"] == "one convolution of the stage's kernel at full width"
    assert row["problem"] == ""
    assert {("attention", "local"), ("loss", "supcon"), ("data set", "covers80")} <= rows.keys()


def test_a_broken_plugin_is_listed_with_its_cause_and_the_exit_code_is_0(install, capsys):
    install("bad-plugin", "0.9", {"kinet.losses": {"bad": "bad_loss:loss"}},
            {"bad_loss": "raise RuntimeError('no such device')"})  # fmt: skip
    assert run(["plugins"]) == 0
    out = capsys.readouterr().out
    assert "loss 'bad' of bad-plugin 0.9 cannot be loaded: RuntimeError: no such device" in out
    assert " simple " in out
    assert run(["plugins", "--json"]) == 0
    bad = next(r for r in json.loads(capsys.readouterr().out) if r["name"] == "bad")
    assert bad["description"] == ""
    assert bad["problem"].endswith("no such device")


@pytest.mark.parametrize("source", ["import sys; sys.exit(0)", "raise SystemExit"])
def test_a_plugin_that_exits_is_listed_like_any_that_is_broken(install, capsys, source):
    install("bad-plugin", "0.9", {"kinet.losses": {"bad": "bad_loss:loss"}}, {"bad_loss": source})
    assert run(["plugins", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    bad = next(row for row in rows if row["name"] == "bad")
    assert "loss 'bad' of bad-plugin 0.9 cannot be loaded: SystemExit: " in bad["problem"]
    assert any(row["name"] == "wider" for row in rows)


def test_what_a_plugin_prints_does_not_get_into_the_json(install, capsys):
    install("loud", "0.9", {"kinet.losses": {"loud": "loud_loss:loss"}},
            {"loud_loss": "print('{')\nloss = 1"})  # fmt: skip
    assert run(["plugins", "--json"]) == 0
    captured = capsys.readouterr()
    assert any(row["name"] == "loud" for row in json.loads(captured.out))
    assert captured.err == "{\n"


def test_it_loads_neither_keras_nor_a_backend():
    code = (
        "import sys; from kinet.commands.plugins import command; "
        "from kinet.plugins import REGISTRIES\n"
        "for known in REGISTRIES.values():\n"
        "    for name in {r.name for r in known.listing() if r.distribution == 'mulkinet'}:"
        " known.get(name)\n"
        "print(sorted({'keras', 'tensorflow', 'jax', 'torch'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_file_that_is_a_link_to_itself_is_no_plugin(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop.py").symlink_to("loop.py")
    assert run(["plugins", "--plugin", "loop.py"]) == 1
    assert capsys.readouterr().err == (
        "kinet: no plug-in file loop.py; need a Python file, NAME.py\n"
    )
