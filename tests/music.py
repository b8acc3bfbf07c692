"""Made-up songs as recordings in folders: ``python tests/music.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile

# So many that every list of kinet split gets some.
SONGS = (
    *("Yesterday", "Summertime", "Hallelujah", "Feeling Good", "Fever", "Imagine"),
    *("Nature Boy", "My Funny Valentine"),
)
RATE = 22050


def write_music(folder: Path) -> None:
    """A folder for each song with two versions of twelve seconds, in two keys and formats."""
    rng = np.random.default_rng(0)
    time = np.arange(RATE // 2) / RATE
    for song in SONGS:
        tune = rng.integers(-12, 12, 24)
        (folder / song).mkdir(parents=True)
        for version, suffix, key in (("studio", "flac", 0), ("live", "mp3", 3)):
            notes = [np.sin(2 * np.pi * 440 * 2 ** ((n + key) / 12) * time) for n in tune]
            soundfile.write(folder / song / f"{version}.{suffix}", 0.3 * np.hstack(notes), RATE)


if __name__ == "__main__":
    write_music(Path(sys.argv[1]))
