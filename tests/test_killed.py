"""Killed at any moment, a writer leaves the old or the new, whole, and what it reported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from kill_scenarios import SCENARIOS

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="writers are killed in forks"),
    pytest.mark.skipif(not find_spec("jax"), reason="Keras's NumPy backend needs JAX"),
]
SCRIPT = Path(__file__).parent / "kill_scenarios.py"


@pytest.fixture(scope="module")
def outcomes():
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_every_file_event(outcomes, name):
    """The number of kills; else what was there that must not be, or was not that must."""
    assert isinstance(outcomes[name], int), outcomes[name]
    assert outcomes[name] >= 3
