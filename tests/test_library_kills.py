"""Killed at any moment, a library is what was reported, and can be gone on with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = 3000 if os.environ.get("KINET_SLOW") else 30
SCRIPT = Path(__file__).parent / "library_kills.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="writers are killed in forks")
def test_a_writer_is_killed_at_random():
    # A process without threads, which can be forked.
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(KILLS), "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == KILLS
