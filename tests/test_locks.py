"""One process at a time works in a folder; the lock goes with its process, however that ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kinet.errors import DataError
from kinet.locks import alone_in
from kinet.training.runs import RunFolders

HOLD = """
import sys, time
from kinet.training.runs import RunFolders
with RunFolders.of("a").alone():
    print("there", flush=True)
    time.sleep(60)
"""
BUSY = "another training is at work in models/a; wait for it, or choose another tag"


@pytest.fixture
def holder(tmp_path, monkeypatch):
    """A process that trains with the tag ``a``."""
    monkeypatch.chdir(tmp_path)
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"there\n"
        yield process
        process.kill()


def test_a_second_training_with_a_tag_is_refused_until_the_first_is_gone(holder):
    with pytest.raises(DataError, match=BUSY), RunFolders.of("a").alone():
        pass
    with RunFolders.of("b").alone():
        pass
    holder.kill()
    holder.wait()
    with RunFolders.of("a").alone():
        assert [path.name for path in RunFolders.of("a").models.iterdir()] == []


def test_the_folder_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), alone_in(tmp_path / "x" / "y", "busy"):
        raise ZeroDivisionError
    with alone_in(tmp_path / "x" / "y", "busy"):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "x").write_text("in the way")
    told = pytest.raises(DataError, match=r"cannot write .*x.*; need a folder")
    with told, alone_in(tmp_path / "x" / "y", "busy"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="there are always locks there")
def test_where_there_are_no_locks_nothing_is_refused(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("kinet.locks.fcntl.flock", fail)
    with alone_in(tmp_path, "busy"), alone_in(tmp_path, "busy"):
        pass
