"""Chords to accompaniments in several styles."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kinet.versions.harmony import KINDS, Chords

STYLES = ("struck", "held", "broken", "after-beat", "fifths")
BASS_STYLES = ("root", "alternating", "walking", "held", "none")

Rows = NDArray[np.float64]

_TRIADS = np.array([kind[:3] for kind in KINDS])
_FOURTH = np.array([kind[3] if len(kind) > 3 else 12 for kind in KINDS])
# A seventh chord without its seventh.
_RELATIVE_MINOR = {0: 1, 2: 1, 4: 1}


def accompany(
    chords: Chords, start: float, end: float, beat: float, rng: Generator
) -> tuple[Rows, Rows]:
    """Draw an accompaniment and play it between two times.

    Parameters
    ----------
    chords : Chords
    start, end : float
        Seconds, what is played of the work.
    beat : float
        Seconds of a quarter note.
    rng : numpy.random.Generator

    Returns
    -------
    chord_notes, bass_notes : ndarray, shape (n, 4)
        Onset and duration in seconds, MIDI pitch, velocity.

    Notes
    -----
    The styles, equally likely: chords struck every half to four beats; held; broken into single
    notes; after the beat; fifths alone. Below them nothing, or a bass: the root; root and fifth
    in turn; the notes of the chord in turn; the root, held.
    """
    chords = _reharmonised(chords, rng)
    style = STYLES[rng.integers(len(STYLES))]
    bass_style = BASS_STYLES[rng.integers(len(BASS_STYLES))]
    register = int(rng.integers(46, 61))
    low = int(rng.integers(30, 42))
    sevenths = bool(rng.random() < 0.5)
    return (
        _chord_notes(style, chords, start, end, beat, register, sevenths, rng),
        _bass_notes(bass_style, chords, start, end, beat, low, rng),
    )


def _reharmonised(chords: Chords, rng: Generator) -> Chords:
    """In a fifth of the accompaniments some major chords become their relative minor."""
    if rng.random() > 0.2:
        return chords
    chosen = (rng.random(len(chords.root)) < 0.15) & np.isin(chords.kind, list(_RELATIVE_MINOR))
    return Chords(
        chords.start,
        np.where(chosen, (chords.root - 3) % 12, chords.root),
        np.where(chosen, 1, chords.kind),
    )


def _grid(chords: Chords, start: float, end: float, step: float) -> tuple[Rows, NDArray[np.int64]]:
    """Times of strokes, and the chord that sounds at each."""
    # Counted from the start of the work, so that strokes fall on beats.
    first, last = np.ceil(np.array([start, end]) / step - 1e-6)
    times = step * np.arange(first, last, dtype=np.float64)
    which = np.searchsorted(chords.start, times + 1e-6, side="right") - 1
    return times, np.maximum(which, 0).astype(np.int64)


def _changes(chords: Chords, start: float, end: float) -> tuple[Rows, Rows, NDArray[np.int64]]:
    """Start, duration and number of every chord between two times."""
    until = np.append(chords.start[1:], np.inf)
    which = np.flatnonzero((until > start) & (chords.start < end))
    begin = np.maximum(chords.start[which], start)
    return begin, np.minimum(until[which], end) - begin, which


def _voiced(chords: Chords, which: NDArray[np.int64], register: int) -> NDArray[np.int64]:
    """The four nearest notes of the chords above a pitch, in order, shape (n, 4)."""
    intervals = np.column_stack([_TRIADS, _FOURTH])[chords.kind[which]]
    pitches = chords.root[which][:, None] + intervals
    return np.sort(register + (pitches - register) % 12, axis=1)


def _chord_notes(
    style: str,
    chords: Chords,
    start: float,
    end: float,
    beat: float,
    register: int,
    sevenths: bool,
    rng: Generator,
) -> Rows:
    if style == "held":
        times, durations, which = _changes(chords, start, end)
    else:
        step = beat * (0.5 if style == "broken" else float(rng.choice([0.5, 1, 2, 4])))
        times, which = _grid(chords, start, end, step)
        durations = np.full(len(times), step * float(rng.uniform(0.4, 1.0)))
        if style == "after-beat":
            times = times + step / 2
            durations /= 2
    if not len(times):
        return np.zeros((0, 4))
    voiced = _voiced(chords, which, register)
    if style == "fifths":
        root = register - 12 + (chords.root[which] - register) % 12
        voiced = np.column_stack([root, root + 7, root + 12])
    elif style == "broken":
        pattern = np.array([[0, 1, 2, 3], [0, 2, 1, 2], [3, 2, 1, 0]][rng.integers(3)])
        turn = pattern[np.arange(len(times)) % 4]
        voiced = voiced[np.arange(len(times)), turn][:, None]
        durations = durations * float(rng.choice([1, 2, 4]))
    elif not sevenths:
        triad = chords.root[which][:, None] + _TRIADS[chords.kind[which]]
        voiced = register + (triad - register) % 12
    return _rows(times, durations, voiced)


def _bass_notes(
    style: str,
    chords: Chords,
    start: float,
    end: float,
    beat: float,
    low: int,
    rng: Generator,
) -> Rows:
    if style == "none":
        return np.zeros((0, 4))
    if style == "held":
        times, durations, which = _changes(chords, start, end)
    else:
        step = beat * float(rng.choice([0.5, 1, 2]) if style == "root" else rng.choice([1, 2]))
        times, which = _grid(chords, start, end, step)
        durations = np.full(len(times), step * 0.9)
    if not len(times):
        return np.zeros((0, 4))
    turn = np.arange(len(times))
    triad = _TRIADS[chords.kind[which]]
    interval = {
        "alternating": np.where(turn % 2, triad[:, 2], 0),
        "walking": triad[turn, np.array([0, 1, 2, 1])[turn % 4]],
    }.get(style, np.zeros(len(times), dtype=np.int64))
    pitch = low + (chords.root[which] - low) % 12 + interval
    return _rows(times, durations, pitch[:, None])


def _rows(times: Rows, durations: Rows, pitches: NDArray[np.int64]) -> Rows:
    """One row per note of every stroke."""
    notes = pitches.shape[1]
    return np.column_stack(
        [
            np.repeat(times, notes),
            np.repeat(durations, notes),
            pitches.ravel().astype(np.float64),
            np.full(pitches.size, 80.0),
        ]
    )
