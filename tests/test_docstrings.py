"""The examples in docstrings are true under every backend."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import kinet

WITH_MUSIC21 = {"kinet.versions.chorales", "kinet.versions.scores"}
WITH_STARLETTE = {"kinet.serving.guard", "kinet.serving.server", "kinet.serving.site"}
MODULES = sorted(module.name for module in pkgutil.walk_packages(kinet.__path__, "kinet."))


@pytest.mark.parametrize("name", ["kinet", *MODULES])
def test_examples_in_docstrings_are_true(name, tmp_path, monkeypatch, capsys):
    if name in WITH_MUSIC21:
        pytest.importorskip("music21", exc_type=ImportError)
    if name in WITH_STARLETTE:
        pytest.importorskip("starlette")
    monkeypatch.chdir(tmp_path)
    outcome = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert outcome.failed == 0, capsys.readouterr().out
