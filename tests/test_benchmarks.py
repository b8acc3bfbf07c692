"""A small run of the benchmarks, so that none rots."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_mean_chroma_finds_a_transposed_copy(tmp_path, rng):
    lines = []
    for song in range(3):
        hpcp = rng.random((50, 12)) * rng.random(12)
        for version in range(2):
            np.save(tmp_path / f"{song}_{version}.npy", np.roll(hpcp, 5 * version, axis=1))
            lines.append(f"{song} {version}\n")
    (tmp_path / "list").write_text("".join(lines))
    done = subprocess.run(
        [
            *(sys.executable, str(BENCHMARKS / "baselines.py"), str(tmp_path / "list")),
            *("--data-dir", str(tmp_path)),
        ],
        capture_output=True,
        check=True,
    )
    report = json.loads(done.stdout)
    for name in ("mean chroma", "mean chroma, centred"):
        # Every query has one version, and it is first: AP = 1, P@10 = 1/10.
        assert report[name]["map"] == 1
        assert report[name]["p10"] == pytest.approx(1 / 10)
