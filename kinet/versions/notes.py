"""HPCP of notes, without making the sound.

The spectrum is idealised: the peaks of a frame are the partials of the notes that sound at its
centre. There is no limit on the number of peaks, no reverberation, and partials of two notes
that coincide do not interfere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kinet.config import PITCH_CLASSES, FeatureConfig
from kinet.features.hpcp import fold_peaks, pool_frames, unit_maximum

MIDI_PITCHES = 128
CONCERT_A = 69
STROKE_SECONDS = 0.06


@dataclass(frozen=True)
class Notes:
    """Notes that sound; all arrays but `strokes` are of one length.

    Parameters
    ----------
    start, end : ndarray of float64
        In seconds, from 0.
    pitch : ndarray of int64
        MIDI numbers.
    magnitude : ndarray of float64
        Linear magnitude of the first partial at the start.
    decay : ndarray of float64
        Seconds in which the magnitude falls to 1/e; infinite for a held note.
    strokes : ndarray of float64
        Times of percussion strokes in seconds, in order.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    pitch: NDArray[np.int64]
    magnitude: NDArray[np.float64]
    decay: NDArray[np.float64]
    strokes: NDArray[np.float64]


@dataclass(frozen=True)
class Timbre:
    """How notes sound.

    Parameters
    ----------
    partials : int
        Number of partials, from 1.
    roll_off : float
        Partial r has the magnitude ``r ** -roll_off``.
    even_partials : float
        Factor on the magnitude of the even partials.
    detuning : float
        Of the whole, in semitones.
    percussion : float
        Energy of a stroke, which is spread at random over the pitch classes and falls to 1/e in
        0.06 s, in units of the mean over the frames of the largest bin.
    noise : float
        Energy of the steady background in the same unit, drawn anew for every frame.
    """

    partials: int = 8
    roll_off: float = 1.0
    even_partials: float = 1.0
    detuning: float = 0.0
    percussion: float = 0.0
    noise: float = 0.0


def render(
    notes: Notes, timbre: Timbre, rng: Generator, config: FeatureConfig | None = None
) -> NDArray[np.float32]:
    """HPCP of notes.

    Parameters
    ----------
    notes : Notes
    timbre : Timbre
    rng : numpy.random.Generator
        For percussion and noise.
    config : FeatureConfig, optional
        The sizes of `kinet.features.hpcp`; the window of the analysis plays no part.

    Returns
    -------
    ndarray of float32, shape (T, 12)
        In [0, 1], one vector in `config.seconds_per_vector`.

    Examples
    --------
    A second of the A above middle C:

    >>> one = np.ones(1)
    >>> notes = Notes(0 * one, one, np.array([69]), one, np.inf * one, np.zeros(0))
    >>> hpcp = render(notes, Timbre(partials=1), np.random.default_rng(0))
    >>> hpcp.shape, int(hpcp[0].argmax())
    ((2, 12), 0)
    """
    config = config or FeatureConfig()
    seconds_per_frame = config.hop_size / config.sample_rate
    times = np.arange(int(notes.end.max(initial=0.0) / seconds_per_frame)) * seconds_per_frame
    used, column = np.unique(notes.pitch, return_inverse=True)
    magnitudes = np.zeros((len(times), len(used)))
    first, last = np.searchsorted(times, notes.start), np.searchsorted(times, notes.end)
    for i in range(len(notes.pitch)):
        sounding = slice(first[i], last[i])
        fading = np.exp((notes.start[i] - times[sounding]) / notes.decay[i])
        magnitudes[sounding, column[i]] += notes.magnitude[i] * fading
    # The fold is additive, so one profile of a pitch stands for the peaks of all its notes.
    # Not a matrix product: for one of this size the threads of BLAS cost more than they save.
    energy = np.einsum("fp,pb->fb", magnitudes**2, pitch_profiles(timbre, config)[used])
    unit = energy.max(axis=1, initial=0.0).mean() if len(energy) else 0.0
    energy += unit * timbre.noise * _spread(rng, len(times))
    energy += unit * timbre.percussion * _strokes(rng, times, notes.strokes)
    return pool_frames(unit_maximum(energy), config.frames_per_vector)


def pitch_profiles(timbre: Timbre, config: FeatureConfig | None = None) -> NDArray[np.float64]:
    """Energy by pitch class of a note of magnitude 1, for every MIDI pitch.

    Parameters
    ----------
    timbre : Timbre
    config : FeatureConfig, optional

    Returns
    -------
    ndarray of float64, shape (128, 12)

    Examples
    --------
    >>> pitch_profiles(Timbre())[[60, 69, 81]].argmax(axis=1).tolist()
    [3, 0, 0]
    """
    config = config or FeatureConfig()
    semitones = np.arange(MIDI_PITCHES) - CONCERT_A + timbre.detuning
    fundamental = config.reference_frequency * 2 ** (semitones / 12)
    partial = np.arange(1, timbre.partials + 1)
    magnitude = partial**-timbre.roll_off * np.where(partial % 2 == 0, timbre.even_partials, 1.0)
    frequencies = fundamental[:, None] * partial
    return fold_peaks(frequencies, np.broadcast_to(magnitude, frequencies.shape), config)


def _spread(rng: Generator, count: int) -> NDArray[np.float64]:
    """Energies of noise in the pitch classes: exponentially distributed, mean 1."""
    return rng.standard_exponential((count, PITCH_CLASSES))


def _strokes(
    rng: Generator, times: NDArray[np.floating], strokes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Energy of the latest stroke at every time, shape (n_times, 12)."""
    energy = np.zeros((len(times), PITCH_CLASSES))
    latest = np.searchsorted(strokes, times, side="right") - 1
    struck = latest >= 0
    since = times[struck] - strokes[latest[struck]]
    spread = _spread(rng, len(strokes))
    energy[struck] = spread[latest[struck]] * np.exp(-since / STROKE_SECONDS)[:, None]
    return energy
