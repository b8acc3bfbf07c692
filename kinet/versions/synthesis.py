"""Notes to sound: a plain additive synthesiser, for a recording that anyone may have."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kinet.versions.notes import CONCERT_A, STROKE_SECONDS, Notes, Timbre

ATTACK_SECONDS = 0.01
RELEASE_SECONDS = 0.05
CONCERT_A_HERTZ = 440.0
PEAK = 0.8


def synthesise(
    notes: Notes, timbre: Timbre, rng: Generator, sample_rate: int = 44100
) -> NDArray[np.float32]:
    """The sound of notes.

    Parameters
    ----------
    notes : Notes
    timbre : Timbre
        Partials above half the sample rate are left out. Percussion is bursts of noise; its
        energy and that of the background are relative to the mean energy of the notes.
    rng : numpy.random.Generator
        For the phases of the partials, percussion and noise.
    sample_rate : int
        In Hz.

    Returns
    -------
    ndarray of float32, shape (n,)
        Mono, in [-0.8, 0.8], until the last note has died away.

    Examples
    --------
    A second of the A above middle C:

    >>> one = np.ones(1)
    >>> notes = Notes(0 * one, one, np.array([69]), one, np.inf * one, np.zeros(0))
    >>> sound = synthesise(notes, Timbre(partials=1), np.random.default_rng(0), 8000)
    >>> sound.shape, int(np.abs(np.fft.rfft(sound)).argmax() * 8000 / len(sound) + 0.5)
    ((8400,), 440)
    """
    seconds = float(notes.end.max(initial=0.0)) + RELEASE_SECONDS
    sound = np.zeros(int(seconds * sample_rate))
    for i in range(len(notes.pitch)):
        first = int(notes.start[i] * sample_rate)
        length = int((notes.end[i] + RELEASE_SECONDS) * sample_rate) - first
        time = np.arange(min(length, len(sound) - first)) / sample_rate
        duration = notes.end[i] - notes.start[i]
        loudness = notes.magnitude[i] * _envelope(time, duration, float(notes.decay[i]))
        hertz = CONCERT_A_HERTZ * 2 ** ((notes.pitch[i] - CONCERT_A + timbre.detuning) / 12)
        sound[first : first + len(time)] += loudness * _tone(time, hertz, timbre, rng, sample_rate)
    level = np.sqrt(np.mean(sound**2)) if len(sound) else 0.0
    strokes = _strokes(notes.strokes, len(sound), sample_rate, rng)
    sound += level * np.sqrt(timbre.percussion) * strokes
    sound += level * np.sqrt(timbre.noise) * rng.standard_normal(len(sound))
    loudest = np.abs(sound).max(initial=0.0)
    return (sound * (PEAK / loudest if loudest else 0.0)).astype(np.float32)


def _envelope(time: NDArray[np.float64], duration: float, decay: float) -> NDArray[np.float64]:
    """Rises in 10 ms, dies away as the note says, and is let go in 50 ms at its end."""
    rise = np.minimum(time / ATTACK_SECONDS, 1.0)
    fall = np.clip((duration + RELEASE_SECONDS - time) / RELEASE_SECONDS, 0.0, 1.0)
    return rise * fall * np.exp(-time / decay)


def _tone(
    time: NDArray[np.float64], hertz: float, timbre: Timbre, rng: Generator, sample_rate: int
) -> NDArray[np.float64]:
    tone = np.zeros(len(time))
    for partial in range(1, timbre.partials + 1):
        if partial * hertz >= sample_rate / 2:
            break
        magnitude = partial**-timbre.roll_off * (timbre.even_partials if partial % 2 == 0 else 1.0)
        tone += magnitude * np.sin(2 * np.pi * (hertz * partial * time + rng.random()))
    return tone


def _strokes(
    times: NDArray[np.float64], samples: int, sample_rate: int, rng: Generator
) -> NDArray[np.float64]:
    """Bursts of noise that fall to 1/e of their energy in the time of a stroke."""
    sound = np.zeros(samples)
    length = int(8 * STROKE_SECONDS * sample_rate)
    fading = np.exp(-np.arange(length) / sample_rate / (2 * STROKE_SECONDS))
    for start in (times * sample_rate).astype(int):
        burst = rng.standard_normal(length) * fading
        sound[start : start + length] += burst[: max(0, samples - start)]
    return sound
