"""Calls that make no sense end in one line, in time, and change nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = 2000 if os.environ.get("KINET_SLOW") else 25
pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="one of the files is a pipe")


def found_by(script, folder):
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(script)), "0", str(COUNT)],
        capture_output=True,
        text=True,
        check=False,
        # Where nothing else is: some calls take in the folder above.
        env={**os.environ, "TMPDIR": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_commands_that_make_no_sense_end_in_one_line(tmp_path):
    found = found_by("bad_calls.py", tmp_path)
    assert found["faults"] == []
    # All ends are met, or the calls are too wild to find anything.
    assert set(found["codes"]) == {"0", "1", "2"}
    assert sum(found["codes"].values()) == COUNT
    assert list(tmp_path.iterdir()) == []


def test_calls_in_python_that_make_no_sense_are_refused_in_one_line(tmp_path):
    found = found_by("bad_python_calls.py", tmp_path)
    assert found["faults"] == []
    assert min(found["ends"]["done"], found["ends"]["refused"]) > COUNT // 10
