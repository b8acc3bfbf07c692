"""Damaged audio files, each of a seed: faults of a disk, of a download, of a hand."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import audio_files
import numpy as np

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
def sample(suffix, seconds=0.5):
    """A sound file, whole."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"sound.{suffix}")
        channels = 8 if suffix == "m4a" else 2
        return audio_files.make(path, seconds, channels=channels).read_bytes()


def damaged(seed, seconds=0.5):
    """A damaged file, of so many seconds before, and the suffix it had."""
    rng = np.random.default_rng(seed)
    suffix = SUFFIXES[seed % len(SUFFIXES)]
    data = bytearray(sample(suffix, seconds))
    for damage in rng.choice(DAMAGES, size=rng.integers(1, 4)):
        if len(data) > 8:
            damage(data, rng)
    return bytes(data), suffix
