"""A work: who plays what when."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MELODY, BASS, CHORDS, OTHER = range(4)
ROLES = ("melody", "bass", "chords", "other")

# Used where a score does not say how fast it is.
QUARTERS_PER_MINUTE = 100.0
SLOWEST, FASTEST = 30.0, 300.0

LONGEST_SECONDS = 3600.0
SYMBOLS = "chord symbols"

_MELODY_NAMES = re.compile(
    r"melod|vo(ice|cal|x)|sing|sopran|chant|canto|gesang|lead|cantus|solo|violin|flute", re.I
)
_BASS_NAMES = re.compile(r"bass|basso|pedal|violoncello|cello|tuba", re.I)


@dataclass(frozen=True)
class Work:
    """A piece of music as notes.

    Parameters
    ----------
    title : str
        As its file says, or the name of the file.
    file : str
        Name of the file, with the number of the tune in it where it holds several.
    sha256 : str
        Of the bytes of the file, or of the tune in it, hexadecimal.
    beat : float
        Seconds of a quarter note.
    roles : tuple of int
        What every track is: `MELODY`, `BASS`, `CHORDS` (chord symbols; the lowest note of a
        chord is its root) or `OTHER`.
    onset, duration : ndarray of float64
        In seconds, in order of onset; from 0.
    pitch, velocity, track : ndarray of int64
        MIDI numbers, loudness in 1..127, index into `roles`.
    """

    title: str
    file: str
    sha256: str
    beat: float
    roles: tuple[int, ...]
    onset: NDArray[np.float64]
    duration: NDArray[np.float64]
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]
    track: NDArray[np.int64]

    @property
    def seconds(self) -> float:
        """When the last note ends."""
        return float((self.onset + self.duration).max(initial=0.0))


def sensible_tempo(marks: list[float]) -> float:
    """The first tempo that a person could mean, in quarter notes per minute.

    Examples
    --------
    >>> sensible_tempo([0.0, 90.0, 120.0]), sensible_tempo([])
    (90.0, 100.0)
    """
    return next((mark for mark in marks if SLOWEST <= mark <= FASTEST), QUARTERS_PER_MINUTE)


def work_of(
    title: str,
    file: str,
    content: bytes,
    beat: float,
    names: list[str],
    rows: list[NDArray[np.float64]],
) -> Work | None:
    """A work from the notes of its tracks; None where nothing is left of them.

    Parameters
    ----------
    title, file, beat
        As in `Work`.
    content : bytes
        Those of the file, or of the tune in it.
    names : list of str
        Of the tracks; `SYMBOLS` for chord symbols.
    rows : list of ndarray
        ``(N, 5)`` for every track: onset and duration in seconds, pitch, velocity, index into
        `names`. Notes that last no time, lie outside MIDI's pitches, or begin after an hour are
        left out.
    """
    notes = np.concatenate(rows) if rows else np.zeros((0, 5))
    sane = np.isfinite(notes).all(axis=1) & (notes[:, 1] > 0) & (notes[:, 0] >= 0)
    sane &= (notes[:, 2] >= 0) & (notes[:, 2] < 128) & (notes[:, 0] < LONGEST_SECONDS)
    notes = notes[sane]
    if all(names[int(track)] == SYMBOLS for track in notes[:, 4]):  # or there are none
        return None
    notes = notes[np.lexsort((notes[:, 2], notes[:, 0]))]
    notes[:, 0] -= notes[0, 0]
    return Work(
        title=" ".join(title.split()),
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        beat=beat,
        roles=_roles(names, notes),
        onset=notes[:, 0],
        duration=notes[:, 1],
        pitch=notes[:, 2].astype(np.int64),
        velocity=np.clip(notes[:, 3], 1, 127).astype(np.int64),
        track=notes[:, 4].astype(np.int64),
    )


def _roles(names: list[str], notes: NDArray[np.float64]) -> tuple[int, ...]:
    """What every track is, by its name, otherwise by its register."""
    mean = [
        notes[notes[:, 4] == i, 2].mean() if (notes[:, 4] == i).any() else 60.0
        for i in range(len(names))
    ]
    roles = [OTHER] * len(names)
    for i, name in enumerate(names):
        if name == SYMBOLS:
            roles[i] = CHORDS
        elif _BASS_NAMES.search(name):
            roles[i] = BASS
        elif _MELODY_NAMES.search(name):
            roles[i] = MELODY
    played = [i for i in range(len(names)) if roles[i] != CHORDS]
    if played and MELODY not in roles:
        roles[max(played, key=lambda i: mean[i])] = MELODY
    if len(played) > 1 and BASS not in roles:
        lowest = min(played, key=lambda i: mean[i])
        if roles[lowest] == OTHER:
            roles[lowest] = BASS
    return tuple(roles)
