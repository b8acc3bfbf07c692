"""The chords that notes imply."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinet.config import PITCH_CLASSES
from kinet.versions.works import CHORDS, Work

# Semitones above the root; the first three are what a simpler player leaves of the chord.
KINDS: tuple[tuple[int, ...], ...] = (
    (0, 4, 7),
    (0, 3, 7),
    (0, 4, 7, 10),
    (0, 3, 7, 10),
    (0, 4, 7, 11),
    (0, 3, 6),
)

# A chord with more notes than three must explain that much more, and a new chord that much.
SEVENTH_PENALTY = 0.06
CHANGE_PENALTY = 0.35
BASS_BONUS = 0.15


@dataclass(frozen=True)
class Chords:
    """Chords one after the other, each until the next one starts.

    Parameters
    ----------
    start : ndarray of float64
        Seconds, in order, the first 0.
    root : ndarray of int64
        Pitch classes, 0 is C.
    kind : ndarray of int64
        Indices into `KINDS`.
    """

    start: NDArray[np.float64]
    root: NDArray[np.int64]
    kind: NDArray[np.int64]


def chords_of(work: Work) -> Chords:
    """The chord symbols of a work, or where it has none the chords that its notes imply.

    Parameters
    ----------
    work : Work

    Returns
    -------
    Chords
        At least one.
    """
    symbols = [i for i, role in enumerate(work.roles) if role == CHORDS]
    written = np.isin(work.track, symbols)
    if written.any():
        return _written(work.onset[written], work.pitch[written])
    return _implied(work)


def _written(onset: NDArray[np.float64], pitch: NDArray[np.int64]) -> Chords:
    starts, which = np.unique(onset, return_inverse=True)
    roots = np.zeros(len(starts), dtype=np.int64)
    kinds = np.zeros(len(starts), dtype=np.int64)
    for i in range(len(starts)):
        pitches = pitch[which == i]
        roots[i] = pitches.min() % PITCH_CLASSES
        above = set(((pitches - roots[i]) % PITCH_CLASSES).tolist())
        # The kind that shares most notes; where two share as many, the one with fewer others.
        kinds[i] = max(
            range(len(KINDS)),
            key=lambda k: len(above & set(KINDS[k])) - 0.5 * len(set(KINDS[k]) - above),
        )
    starts[0] = 0.0
    return _merged(starts, roots, kinds)


def _implied(work: Work) -> Chords:
    """The likeliest sequence of chords, one a beat, that changes no more than it must (Viterbi)."""
    beats = max(1, int(np.ceil(work.seconds / work.beat)))
    profile, bass = _by_beat(work, beats)
    score = _fit(profile, bass)
    total = score[0]
    came_from = np.zeros(score.shape, dtype=np.int64)
    for i in range(1, beats):
        best = int(total.argmax())
        change = total[best] - CHANGE_PENALTY
        stay = total >= change
        came_from[i] = np.where(stay, np.arange(len(total)), best)
        total = np.where(stay, total, change) + score[i]
    states = np.zeros(beats, dtype=np.int64)
    states[-1] = total.argmax()
    for i in range(beats - 1, 0, -1):
        states[i - 1] = came_from[i, states[i]]
    kind, root = np.divmod(states, PITCH_CLASSES)
    return _merged(work.beat * np.arange(beats, dtype=np.float64), root, kind)


def _by_beat(work: Work, beats: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds of sound by beat and pitch class, and of the lowest notes, unit rows."""
    profile = np.zeros((beats, PITCH_CLASSES))
    lowest = np.full(beats, 999)
    first = np.minimum((work.onset / work.beat + 1e-6).astype(np.int64), beats - 1)
    end = work.onset + work.duration
    last = np.minimum(
        np.maximum(first, np.ceil(end / work.beat - 1e-6).astype(np.int64) - 1), beats - 1
    )
    for i in range(len(work.onset)):
        for beat in range(first[i], last[i] + 1):
            sounding = min(end[i], (beat + 1) * work.beat) - max(work.onset[i], beat * work.beat)
            profile[beat, work.pitch[i] % PITCH_CLASSES] += max(sounding, 0.0)
            lowest[beat] = min(lowest[beat], work.pitch[i])
    bass = np.zeros((beats, PITCH_CLASSES))
    heard = lowest < 999
    bass[np.flatnonzero(heard), lowest[heard] % PITCH_CLASSES] = 1.0
    length = np.linalg.norm(profile, axis=1, keepdims=True)
    return np.divide(profile, length, out=profile, where=length > 0), bass


def _fit(profile: NDArray[np.float64], bass: NDArray[np.float64]) -> NDArray[np.float64]:
    """How well every chord fits every beat, shape (n_beats, n_kinds * 12)."""
    columns = []
    for notes in KINDS:
        template = np.zeros(PITCH_CLASSES)
        template[list(notes)] = 1 / np.sqrt(len(notes))
        for root in range(PITCH_CLASSES):
            fit = profile @ np.roll(template, root) + BASS_BONUS * bass[:, root]
            columns.append(fit - SEVENTH_PENALTY * (len(notes) > 3))
    return np.column_stack(columns)


def _merged(start: NDArray[np.float64], root: NDArray[np.int64], kind: NDArray[np.int64]) -> Chords:
    """Equal chords that follow each other as one."""
    new = np.ones(len(start), dtype=bool)
    new[1:] = (root[1:] != root[:-1]) | (kind[1:] != kind[:-1])
    return Chords(start[new], root[new], kind[new])
