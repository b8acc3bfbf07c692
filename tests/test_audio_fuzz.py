"""Damaged audio files: each decodes to finite chunks or is refused in one line.

The files are decoded in a process of their own, since a codec that crashes takes its process
along. By hand, with other seeds: ``python tests/test_audio_fuzz.py FIRST COUNT``.
"""

from __future__ import annotations

import faulthandler
import functools
import subprocess
import sys
import tempfile
from pathlib import Path

import audio_files
import numpy as np

from kinet.audio import AudioError, read_chunks

COUNT = 1000
FILE_SECONDS = 20  # one file may take no longer
MOST_SAMPLES = 10_000_000  # a file of half a second cannot have four minutes
SUFFIXES = ("wav", "flac", "ogg", "opus", "mp3", "m4a", "mp4", "mkv", "aac", "aiff", "ac3", "webm")


def flip(data, rng):
    """Some bytes take other values."""
    for _ in range(rng.integers(1, 30)):
        data[rng.integers(len(data))] = rng.integers(256)


def flip_head(data, rng):
    """The same where the settings are."""
    for _ in range(rng.integers(1, 6)):
        data[rng.integers(min(200, len(data)))] = rng.choice([0, 1, 127, 128, 255])


def flip_tail(data, rng):
    """The same where mp4 has its index."""
    for _ in range(rng.integers(1, 6)):
        data[-rng.integers(1, min(700, len(data)))] = rng.integers(256)


def cut(data, rng):
    """The end is missing."""
    del data[rng.integers(len(data)) :]


def cut_start(data, rng):
    """The start is missing."""
    del data[: rng.integers(len(data))]


def cut_out(data, rng):
    """A part of the middle is missing."""
    start = rng.integers(len(data))
    del data[start : start + rng.integers(1, 3000)]


def insert(data, rng):
    """Something is there that does not belong there."""
    start = rng.integers(len(data))
    data[start:start] = rng.bytes(rng.integers(1, 3000))


def blank(data, rng):
    """A part is zeros, as after a crash of a file system."""
    start, count = rng.integers(len(data)), rng.integers(1, 3000)
    data[start : start + count] = bytes(min(count, len(data) - start))


def swap(data, rng):
    """Two parts have changed places."""
    first, second, third = sorted(int(place) for place in rng.integers(len(data), size=3))
    data[first:third] = data[second:third] + data[first:second]


def behead(data, rng):
    """The head of another format is on it."""
    count = rng.integers(4, 400)
    data[:count] = sample(rng.choice(SUFFIXES))[:count]


DAMAGES = (flip, flip_head, flip_tail, cut, cut_start, cut_out, insert, blank, swap, behead)


@functools.cache
def sample(suffix):
    """A sound file of half a second, whole."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"sound.{suffix}")
        channels = 8 if suffix == "m4a" else 2
        return audio_files.make(path, 0.5, channels=channels).read_bytes()


def damaged(seed):
    """A damaged file and the suffix it had."""
    rng = np.random.default_rng(seed)
    suffix = SUFFIXES[seed % len(SUFFIXES)]
    data = bytearray(sample(suffix))
    for damage in rng.choice(DAMAGES, size=rng.integers(1, 4)):
        if len(data) > 8:
            damage(data, rng)
    return bytes(data), suffix


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


def test_a_thousand_damaged_files_decode_or_are_refused(tmp_path):
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
