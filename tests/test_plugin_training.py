"""A block that a third-party package registers goes through train and eval."""

from __future__ import annotations

import pytest
from test_training import SMALL, write_layout

from kinet.blocks import registry
from kinet.checkpoint import read_metadata
from kinet.cli import run

BLOCK = "dilated"


@pytest.mark.skipif(
    BLOCK not in registry.names(),
    reason="the example plug-in is not installed; the session 'plugin' of nox installs it",
)
def test_a_third_party_block_trains_and_is_evaluated(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(write_layout(tmp_path))
    assert run(["train", *SMALL, "--block", BLOCK, "--tag", "plugin"]) == 0
    assert run(["eval"]) == 0
    assert "mAP" in capsys.readouterr().out
    used = read_metadata("models/plugin/best.keras").plugins[0]
    assert (used.name, used.distribution) == (BLOCK, "kinet-plugin-dilated")
