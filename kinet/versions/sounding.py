"""Notes to HPCP in about a millisecond: for versions that are made while a model trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import lfilter

from kinet.config import PITCH_CLASSES, FeatureConfig
from kinet.features.hpcp import fold_peaks, pool_frames, unit_maximum

CONCERT_A = 69
CENTS = 1200

# Of the 20 frames of a vector, which overlap by three quarters, these are computed.
STEPS_PER_VECTOR = 5


@dataclass(frozen=True)
class Tone:
    """How the notes of a part sound.

    Parameters
    ----------
    partials : int
        From 1.
    roll_off : float
        Partial r has the magnitude ``r ** -roll_off``.
    even_partials : float
        Factor on the magnitude of the even partials.
    decay : float
        Seconds in which the magnitude of a note falls to 1/e; infinite for a held one.
    vibrato : float
        Semitones by which a note moves up and down.
    slope : float
        Decibels that a note is louder than one an octave below.
    """

    partials: int = 8
    roll_off: float = 1.0
    even_partials: float = 1.0
    decay: float = np.inf
    vibrato: float = 0.0
    slope: float = 0.0


@dataclass(frozen=True)
class Part:
    """Notes of one timbre; arrays of one length.

    Parameters
    ----------
    start, end : ndarray of float64
        Seconds.
    pitch : ndarray of float64
        MIDI numbers, fractions allowed.
    magnitude : ndarray of float64
        Linear, of the first partial at the start.
    tone : Tone
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    pitch: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    tone: Tone


@dataclass(frozen=True)
class Room:
    """What sounds beside the notes.

    Parameters
    ----------
    noise : float
        Energy of a steady background, drawn anew in every step, in units of the mean over the
        steps of the largest bin.
    strokes : ndarray of float64
        Times of drum strokes in seconds.
    percussion : float
        Energy of a stroke in the same unit, spread at random over the pitch classes.
    reverberation : float
        Seconds in which an echo falls by 60 dB.
    wet : float
        Energy of the echoes in units of that of the notes.
    """

    noise: float = 0.0
    strokes: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    percussion: float = 0.0
    reverberation: float = 0.0
    wet: float = 0.0


def sound(
    parts: list[Part],
    vectors: int,
    room: Room,
    rng: Generator,
    config: FeatureConfig | None = None,
) -> NDArray[np.float32]:
    """HPCP of parts that sound together.

    As `kinet.versions.notes.render`, but one frame in four is computed, and the fold of a partial
    is looked up to the cent.

    Parameters
    ----------
    parts : list of Part
    vectors : int
        T; what sounds later is not heard.
    room : Room
    rng : numpy.random.Generator
        For noise and strokes.
    config : FeatureConfig, optional

    Returns
    -------
    ndarray of float32, shape (T, 12)
        In [0, 1].
    """
    config = config or FeatureConfig()
    steps = vectors * STEPS_PER_VECTOR
    step = config.seconds_per_vector / STEPS_PER_VECTOR
    energy = np.zeros((steps, PITCH_CLASSES))
    for part in parts:
        if len(part.start):
            energy += _part_energy(part, steps, step, config)
    if room.wet > 0 and room.reverberation > 0:
        # Energy falls by 60 dB, a factor of a million, in the time of the reverberation.
        kept = 10 ** (-6 * step / room.reverberation)
        energy += room.wet * (1 - kept) * lfilter([0.0, 1.0], [1.0, -kept], energy, axis=0)
    unit = energy.max(axis=1, initial=0.0).mean() if steps else 0.0
    if room.noise > 0:
        energy += unit * room.noise * rng.standard_exponential(energy.shape)
    if room.percussion > 0:
        struck = np.unique((room.strokes / step).astype(np.int64))
        struck = struck[(struck >= 0) & (struck < steps)]
        spread = rng.standard_exponential((len(struck), PITCH_CLASSES))
        energy[struck] += unit * room.percussion * spread
    return pool_frames(unit_maximum(energy), STEPS_PER_VECTOR)


def _part_energy(part: Part, steps: int, step: float, config: FeatureConfig) -> NDArray[np.float64]:
    """Energy by step and pitch class, shape (steps, 12)."""
    first = np.maximum(np.ceil(part.start / step - 0.5), 0).astype(np.int64)
    # A note shorter than a step is heard in the step that it starts in.
    last = np.maximum(np.ceil(part.end / step - 0.5).astype(np.int64), first + 1)
    last = np.minimum(last, steps)
    heard = last > first
    first, count = first[heard], (last - first)[heard]
    pitches, column = np.unique(part.pitch[heard], return_inverse=True)
    if not len(pitches):
        return np.zeros((steps, PITCH_CLASSES))
    note = np.repeat(np.arange(len(first)), count)
    within = np.arange(len(note)) - np.repeat(np.cumsum(count) - count, count)
    loud = part.magnitude[heard] ** 2
    sounding = loud[note]
    if np.isfinite(part.tone.decay):
        sounding = sounding * np.exp(-2 * step / part.tone.decay * within)
    cell = (first[note] + within) * len(pitches) + column[note]
    by_pitch = np.bincount(cell, sounding, minlength=steps * len(pitches))
    profile = pitch_profile(pitches, part.tone, config)
    # Not a matrix product: for one of this size the threads of BLAS cost more than they save.
    return np.einsum("fp,pb->fb", by_pitch.reshape(steps, -1), profile)


def pitch_profile(
    pitches: NDArray[np.float64], tone: Tone, config: FeatureConfig | None = None
) -> NDArray[np.float64]:
    """Energy by pitch class of notes of magnitude 1 at a pitch, shape (n, 12)."""
    config = config or FeatureConfig()
    partial = np.arange(1, tone.partials + 1)
    magnitude = partial**-tone.roll_off * np.where(partial % 2 == 0, tone.even_partials, 1.0)
    semitones = (pitches - CONCERT_A)[:, None] + 12 * np.log2(partial)
    hertz = config.reference_frequency * 2 ** (semitones / 12)
    energy = np.where(
        (hertz >= config.minimum_frequency) & (hertz <= config.maximum_frequency), magnitude**2, 0.0
    )
    # As loud as a tone of one partial, whatever the timbre is, but for its slope.
    energy *= 10 ** (tone.slope * (pitches - 60) / 120)[:, None] / (magnitude**2).sum()
    table = _fold_by_cent(config)
    moves = (-tone.vibrato, 0.0, tone.vibrato) if tone.vibrato else (0.0,)
    profile = np.zeros((len(pitches), PITCH_CLASSES))
    for move in moves:
        cents = np.round((semitones + move) * 100).astype(np.int64) % CENTS
        profile += np.einsum("pr,prb->pb", energy, table[cents])
    return profile / len(moves)


@lru_cache(maxsize=4)
def _fold_by_cent(config: FeatureConfig) -> NDArray[np.float64]:
    """Fold of a tone so many cents above the reference, shape (1200, 12)."""
    hertz = config.reference_frequency * 2 ** (np.arange(CENTS) / CENTS)
    return fold_peaks(hertz[:, None], np.ones((CENTS, 1)), config)
