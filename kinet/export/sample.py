"""HPCP like those of music, to compare a file with its model on.

Not noise: on random vectors a deep model with attention is ill-conditioned. S = 12 rounds there
ten times as much as on recordings, whichever library computes it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.random import Generator, default_rng

from kinet.config import FeatureConfig
from kinet.versions.notes import Notes, Timbre, render

# Semitones above the tonic: the triads of I, IV, V and vi, by which much music gets along.
_CHORDS = ((0, 4, 7), (5, 9, 12), (7, 11, 14), (9, 12, 16))
_SCALE = (0, 2, 4, 5, 7, 9, 11)
_MIDDLE_C = 60


def compose(shapes: Iterable[tuple[int, int]]) -> list[np.ndarray]:
    """Batches ``(B, T, 12)`` of made-up pieces, the same in every process.

    Parameters
    ----------
    shapes : iterable of (int, int)
        B and T of each batch.

    Examples
    --------
    >>> (batch,) = compose([(3, 110)])
    >>> batch.shape, batch.dtype, bool((batch.max(axis=2) > 0.99).mean() > 0.9)
    ((3, 110, 12), dtype('float32'), True)
    """
    rng = default_rng(0)
    return [np.stack([_piece(rng, vectors) for _ in range(count)]) for count, vectors in shapes]


def _piece(rng: Generator, vectors: int) -> np.ndarray:
    """Chords, and a melody of twice as many notes, in a key, tempo and timbre of its own."""
    seconds = float(rng.uniform(0.4, 1.2))  # of a note of the melody
    count = int(np.ceil((vectors + 1) * FeatureConfig().seconds_per_vector / seconds))
    tonic = _MIDDLE_C + int(rng.integers(12))
    chords = rng.integers(len(_CHORDS), size=count // 2 + 1)
    melody = [(at, 1, 12 + _SCALE[rng.integers(len(_SCALE))]) for at in range(count)]
    held = [(2 * at, 2, note - 12) for at, chord in enumerate(chords) for note in _CHORDS[chord]]
    onset, length, pitch = np.array(melody + held).T
    notes = Notes(
        start=onset * seconds,
        end=(onset + length) * seconds,
        pitch=tonic + pitch,
        magnitude=10 ** (rng.normal(0.0, 3.0, len(onset)) / 20),
        decay=np.full(len(onset), rng.choice([0.5, np.inf])),
        strokes=np.arange(float(count)) * seconds,
    )
    timbre = Timbre(
        partials=int(rng.integers(3, 13)),
        roll_off=float(rng.uniform(0.6, 2.0)),
        detuning=float(rng.uniform(-0.1, 0.1)),
        percussion=float(rng.uniform(0.0, 1.0)),
        noise=float(rng.uniform(0.0, 0.03)),
    )
    return render(notes, timbre, rng)[:vectors]
