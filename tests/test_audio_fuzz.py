"""Damaged audio files: each decodes to finite chunks or is refused in one line.

The files are decoded in a process of their own, since a codec that crashes takes its process
along. By hand, with other seeds: ``python tests/test_audio_fuzz.py FIRST COUNT``.
"""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from damaged_audio import damaged

from kinet.audio import AudioError, read_chunks

COUNT = 1000 if os.environ.get("KINET_SLOW") else 500
FILE_SECONDS = 20  # one file may take no longer
MOST_SAMPLES = 10_000_000  # a file of half a second cannot have four minutes


def decode(path):
    """Whether a file decodes; anything but finite float32 or a line of AudioError is raised."""
    count = 0
    try:
        for chunk in read_chunks(path):
            assert chunk.dtype == np.float32
            assert chunk.ndim == 1
            assert len(chunk)
            assert np.isfinite(chunk).all()
            count += len(chunk)
            assert count < MOST_SAMPLES, "endless"
    except AudioError as error:
        line = str(error)
    else:
        assert count
        return True
    assert line.startswith(f"{path}: "), line
    assert line.isprintable(), line
    return False


def run(first, count, folder):
    """Decode `count` files; the seed of each is in the file "seed" while it is decoded."""
    decoded = 0
    for seed in range(first, first + count):
        data, suffix = damaged(seed)
        path = Path(folder, f"{seed}.{suffix}")
        path.write_bytes(data)
        Path(folder, "seed").write_text(str(seed))
        faulthandler.dump_traceback_later(FILE_SECONDS, exit=True)
        decoded += decode(path)
        faulthandler.cancel_dump_traceback_later()
        path.unlink()
    return decoded


def test_damaged_files_decode_or_are_refused(tmp_path):
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", __file__, "0", str(COUNT), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    seed = (tmp_path / "seed").read_text()
    assert done.returncode == 0, f"seed {seed}: ended with {done.returncode}\n{done.stderr}"
    assert done.stderr == "", "a codec writes to the standard error"
    decoded = int(done.stdout)
    # Both ends are met often, or the damage is too weak or too strong to find anything.
    assert COUNT // 10 < decoded < COUNT * 9 // 10, decoded


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        place = sys.argv[3] if len(sys.argv) > 3 else made
        sys.stdout.write(str(run(int(sys.argv[1]), int(sys.argv[2]), place)))
