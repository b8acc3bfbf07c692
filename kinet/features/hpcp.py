"""Harmonic pitch class profiles (HPCP) of a waveform.

The definition is that of Gómez, "Tonal Description of Music Audio Signals", PhD thesis,
Universitat Pompeu Fabra, 2006, section 3.2, with the harmonic strengths that Essentia uses, so
that features agree with those on which the published models were trained.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinet.config import PITCH_CLASSES, FeatureConfig
from kinet.errors import DataError, SettingsError
from kinet.features.spectrum import frames_of, spectral_peaks

# The exponent of the cosine with which a peak counts for the bins around it.
WEIGHTINGS = {"cosine": 1, "squaredCosine": 2}

# Harmonics up to this one count in full; later ones less and less.
LAST_FULL_HARMONIC = 4


def hpcp_of_blocks(
    chunks: Iterable[NDArray[np.float32]], config: FeatureConfig | None = None
) -> NDArray[np.float32]:
    """HPCP vectors of a waveform that comes in pieces, as the models take them.

    Frames, their spectral peaks, HPCP of each frame, groups of frames to vectors.

    Parameters
    ----------
    chunks : iterable of ndarray, shape (n,), float32
        Pieces of the mono waveform at the sample rate of `config`, of any lengths. The result
        depends on their concatenation only. One piece at a time is held, beside the HPCP.
    config : FeatureConfig, optional
        All of it is read.

    Returns
    -------
    ndarray of float32, shape (T, bins)
        In [0, 1]. Silence gives zeros. T is 0 if the waveform is shorter than one vector,
        0.46 s by default.

    Raises
    ------
    DataError
        If a sample is not finite or a piece does not have one axis.
    SettingsError
        If a setting is unknown, the band reaches half the sample rate, or there is other
        processing.

    Examples
    --------
    >>> time = np.arange(44100, dtype=np.float32) / 44100
    >>> hpcp_of_blocks([0.1 * np.sin(2 * np.pi * 440 * time)])[1].astype(float).round(1).tolist()
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    config = config or FeatureConfig()
    if config.other_processing:
        raise SettingsError(
            f"other processing is {config.other_processing!r}; allowed: none, for no such step can "
            "be made here"
        )
    by_frame = [np.zeros((0, config.bins), dtype=np.float32)]
    for frames in frames_of(chunks, config):
        by_frame.append(hpcp_from_peaks(*spectral_peaks(frames, config), config))
    return pool_frames(np.concatenate(by_frame), config.frames_per_vector)


def harmonic_strengths(harmonics: int) -> list[tuple[float, float]]:
    """How strongly a peak speaks for the pitch classes below it.

    A peak at frequency f may be the harmonic i of a note at f / i. Besides f itself, `harmonics`
    such notes are considered, i = 2 .. harmonics + 1. Harmonics that are octaves of each other
    lead to one pitch class, and their strengths add up. The strength of harmonic i is
    2 / log2(i), and 1 up to the fourth (Essentia's choice; Gómez proposes a geometric decrease).

    Parameters
    ----------
    harmonics : int
        Number of harmonics beside the peak's own frequency, from 0.

    Returns
    -------
    list of (float, float)
        Interval below the peak in semitones, in [0, 12), and the strength.

    Examples
    --------
    >>> [(round(interval, 2), round(strength, 3)) for interval, strength in harmonic_strengths(4)]
    [(0.0, 3.0), (7.02, 1.0), (3.86, 0.861)]
    """
    strengths: dict[int, float] = {}
    for harmonic in range(1, harmonics + 2):
        odd_part = harmonic // (harmonic & -harmonic)
        strength = 2 / np.log2(harmonic) if harmonic > LAST_FULL_HARMONIC else 1.0
        strengths[odd_part] = strengths.get(odd_part, 0.0) + float(strength)
    return [(float(12 * np.log2(i) % 12), strength) for i, strength in strengths.items()]


def fold_peaks(
    frequencies: ArrayLike, magnitudes: ArrayLike, config: FeatureConfig | None = None
) -> NDArray[np.float64]:
    """Energy of spectral peaks by pitch class, not normalised.

    Additive: the fold of two sets of peaks together is the sum of their folds.

    Parameters
    ----------
    frequencies, magnitudes : array_like, shape (n_frames, n_peaks)
        Peaks of every frame in Hz and in linear magnitude, in any order. A magnitude of 0 says
        that there is no such peak. Peaks outside the band of `config` do not count.
    config : FeatureConfig, optional
        Read are the number of bins, the reference frequency, the band, the harmonics and the
        weighting.

    Returns
    -------
    ndarray of float64, shape (n_frames, bins)
        Bin 0 is the reference frequency's pitch class, A by default.

    Raises
    ------
    DataError
        If the two arrays are not of one shape with two axes, or hold negative magnitudes or
        values that are not finite.
    SettingsError
        If the weighting is unknown or its window wider than an octave.

    Examples
    --------
    >>> fold_peaks([[440.0, 660.0]], [[1.0, 0.5]]).round(2)[0].tolist()
    [14.23, 0.0, 0.28, 0.16, 0.0, 3.14, 0.0, 3.35, 0.67, 0.06, 0.0, 0.0]
    """
    config = config or FeatureConfig()
    hertz, linear = _checked_peaks(frequencies, magnitudes)
    if config.weighting not in WEIGHTINGS:
        allowed = ", ".join(WEIGHTINGS)
        raise SettingsError(f"weighting is {config.weighting!r}; allowed: {allowed}")
    if not 0 < config.weighting_window <= PITCH_CLASSES:
        raise SettingsError(
            f"weighting window is {config.weighting_window} semitones; allowed: above 0 to "
            f"{PITCH_CLASSES}"
        )

    in_band = (hertz >= config.minimum_frequency) & (hertz <= config.maximum_frequency)
    heard = np.flatnonzero(in_band & (linear > 0))
    frame = heard // hertz.shape[1] if len(heard) else heard
    bins_per_semitone = config.bins / PITCH_CLASSES
    position = config.bins * np.log2(hertz.ravel()[heard] / config.reference_frequency)
    position -= config.bins * np.floor(position / config.bins)
    energy = linear.ravel()[heard] ** 2
    window = config.weighting_window * bins_per_semitone
    intervals, strengths = np.transpose(harmonic_strengths(config.harmonics))[:, :, np.newaxis]
    shifted = position - intervals * bins_per_semitone
    # The strength scales the magnitude, so it is squared with it.
    amount = strengths**2 * energy
    lowest = np.ceil(shifted - window / 2)
    distance = shifted - lowest
    # Less than an octave below and above, and half a window: four octaves, folded at the end.
    octaves = 4
    start = (frame * octaves + octaves // 2) * config.bins
    cell = lowest.astype(np.int64) + start

    spread = np.zeros(len(hertz) * octaves * config.bins)
    for _ in range(int(np.ceil(window))):
        # The last bins may lie beyond the window, where the cosine would rise again.
        within = np.maximum(distance, -window / 2)
        weight = np.cos(np.pi / window * within) ** WEIGHTINGS[config.weighting]
        spread += np.bincount(cell.ravel(), (weight * amount).ravel(), minlength=len(spread))
        cell += 1
        distance -= 1
    return spread.reshape(len(hertz), octaves, config.bins).sum(axis=1)


def unit_maximum(profiles: ArrayLike) -> NDArray[np.float32]:
    """Every row divided by its maximum; a row of zeros stays as it is.

    Parameters
    ----------
    profiles : array_like, shape (n, bins)
        Not negative.

    Returns
    -------
    ndarray of float32, shape (n, bins)
        In [0, 1].

    Examples
    --------
    >>> unit_maximum([[1.0, 2.0], [0.0, 0.0]]).tolist()
    [[0.5, 1.0], [0.0, 0.0]]
    """
    rows = np.asarray(profiles, dtype=np.float64)
    largest = rows.max(axis=1, keepdims=True, initial=0.0)
    return np.divide(rows, largest, out=np.zeros_like(rows), where=largest > 0).astype(np.float32)


def hpcp_from_peaks(
    frequencies: ArrayLike, magnitudes: ArrayLike, config: FeatureConfig | None = None
) -> NDArray[np.float32]:
    """HPCP of every frame from its spectral peaks.

    Parameters
    ----------
    frequencies, magnitudes : array_like, shape (n_frames, n_peaks)
        As for `fold_peaks`.
    config : FeatureConfig, optional
        As for `fold_peaks`; the normalisation of a frame must be ``unitMax``.

    Returns
    -------
    ndarray of float32, shape (n_frames, bins)
        In [0, 1]; the largest bin of a frame is 1, and a frame without peaks is all zero.

    Raises
    ------
    DataError, SettingsError
        As `fold_peaks`, and if the normalisation is another.

    Examples
    --------
    >>> hpcp_from_peaks([[440.0]], [[0.1]])[0].astype(float).round(2).tolist()
    [1.0, 0.0, 0.02, 0.0, 0.0, 0.23, 0.0, 0.0, 0.05, 0.0, 0.0, 0.0]
    """
    config = config or FeatureConfig()
    if config.frame_normalisation != "unitMax":
        raise SettingsError(
            f"frame normalisation is {config.frame_normalisation!r}; allowed: unitMax"
        )
    return unit_maximum(fold_peaks(frequencies, magnitudes, config))


def pool_frames(hpcp: ArrayLike, frames_per_vector: int) -> NDArray[np.float32]:
    """Sum groups of frames and divide every sum by its maximum.

    Parameters
    ----------
    hpcp : array_like, shape (n_frames, bins)
        HPCP by frame, in [0, 1].
    frames_per_vector : int
        Frames in a group, from 1; 20 in the features of MulKINet.

    Returns
    -------
    ndarray of float32, shape (n_frames // frames_per_vector, bins)
        In [0, 1]. A group of zeros stays zero; a shorter group at the end is dropped.

    Raises
    ------
    DataError
        If `hpcp` does not have two axes.
    SettingsError
        If `frames_per_vector` is below 1.

    Examples
    --------
    >>> pool_frames([[1.0, 0.5], [1.0, 0.5], [0.0, 1.0]], 2).tolist()
    [[1.0, 0.5]]
    """
    frames = np.asarray(hpcp, dtype=np.float64)
    if frames.ndim != 2:
        raise DataError(f"HPCP have the shape {frames.shape}; allowed: (n_frames, bins)")
    if frames_per_vector < 1:
        raise SettingsError(f"frames per vector is {frames_per_vector}; allowed: an integer from 1")
    count = len(frames) // frames_per_vector
    groups = frames[: count * frames_per_vector].reshape(count, frames_per_vector, frames.shape[1])
    return unit_maximum(groups.sum(axis=1))


def _checked_peaks(
    frequencies: ArrayLike, magnitudes: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    hertz = np.asarray(frequencies, dtype=np.float64)
    linear = np.asarray(magnitudes, dtype=np.float64)
    if hertz.ndim != 2 or hertz.shape != linear.shape:
        raise DataError(
            f"peaks have the shapes {hertz.shape} and {linear.shape}; "
            "allowed: (n_frames, n_peaks) for both"
        )
    if not (np.isfinite(hertz).all() and np.isfinite(linear).all() and (linear >= 0).all()):
        raise DataError(
            "peaks hold a value that is not finite or a negative magnitude; "
            "allowed: finite frequencies in Hz and magnitudes from 0"
        )
    return hertz, linear
