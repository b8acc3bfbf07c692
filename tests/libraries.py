"""Made-up feature files, and libraries of them; nothing here loads a backend."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinet.extraction.sources import Source
from kinet.library import Library

#: The descriptor: no weights, no backend.
MODEL = "fourier"


def tune(seed: int, vectors: int = 90) -> np.ndarray:
    """HPCP ``(vectors, 12)`` like those of music: a few strong pitch classes, which last."""
    rng = np.random.default_rng(seed)
    held = np.repeat(rng.random((-(-vectors // 3), 12)) ** 4, 3, axis=0)[:vectors]
    return (held + 0.02 * rng.random((vectors, 12))).astype(np.float32)


def version(seed: int, key: int = 0, start: int = 0, vectors: int = 90) -> np.ndarray:
    """A part of a tune in another key, played a little differently."""
    rng = np.random.default_rng([seed, key, start])
    played = np.roll(tune(seed, 120), key, axis=1)[start : start + vectors]
    return (played + 0.05 * rng.random(played.shape)).astype(np.float32)


def write(path: Path, hpcp: np.ndarray) -> Path:
    """A feature file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, hpcp.astype(np.float32))
    return path


def source(folder: Path, song: int, number: int, hpcp: np.ndarray) -> Source:
    """A feature file whose song is stated."""
    return Source(write(folder / f"s{song}_{number}.npy", hpcp), f"s{song}", str(number))


def library_of(
    folder: Path, songs: int = 4, versions: int = 2, where: Path | str | None = None
) -> Library:
    """A library of some songs in some versions, ``s0_0.npy`` to ``s<songs-1>_<versions-1>.npy``."""
    library = Library.create(where or folder / "library.sqlite", MODEL)
    library.add(
        [
            source(folder, song, number, version(song, 2 * number, 5 * number))
            for song in range(songs)
            for number in range(versions)
        ],
        workers=1,
    )
    return library
