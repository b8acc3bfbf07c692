"""Waveform to frames to spectral peaks.

The definitions are those of Essentia's ``FrameCutter``, ``Windowing``, ``Spectrum`` and
``SpectralPeaks`` (Bogdanov et al., "Essentia: an audio analysis library for music information
retrieval", ISMIR 2013) with the settings of `kinet.config.FeatureConfig`, so that features agree
with those on which the published models were trained.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from kinet.config import FeatureConfig
from kinet.errors import DataError, SettingsError

# Four-term Blackman-Harris window with side lobes of -92 dB (Harris, "On the use of windows for
# harmonic analysis with the discrete Fourier transform", Proceedings of the IEEE 66, 1978).
# Essentia's name, and SciPy's.
WINDOWS = {"blackmanharris92": "blackmanharris"}

# A frame of less power than this gets noise of that amplitude, -100 dB.
SILENT_POWER = 1e-10
NOISE_AMPLITUDE = 1e-5

FRAMES_AT_ONCE = 64
# Small enough that the system does not take the memory back after each lot: it would be given
# out again page by page.
SPECTRA_AT_ONCE = 8


def frames_of(
    chunks: Iterable[NDArray[np.float32]], config: FeatureConfig | None = None
) -> Iterator[NDArray[np.float32]]:
    """Cut a waveform that comes in pieces into overlapping frames.

    The first frame is centred on the first sample, each next one a hop later, until the centre
    reaches the end; zeros stand for what lies outside the signal.

    Parameters
    ----------
    chunks : iterable of ndarray, shape (n,), float32
        Pieces of the waveform, of any lengths; the frames do not depend on where it is cut.
    config : FeatureConfig, optional
        Read are frame and hop size.

    Yields
    ------
    ndarray of float32, shape (k, frame_size)
        Successive frames, k at most `FRAMES_AT_ONCE`. They share memory; do not write to them.
        Of n samples come ceil(n / hop_size) + 1 frames in all, and none if n is 0.

    Raises
    ------
    DataError
        If a piece does not have one axis.

    Examples
    --------
    >>> signal = np.ones(44100, dtype=np.float32)
    >>> [frames.shape for frames in frames_of([signal[:1000], signal[1000:]])]
    [(45, 4096)]
    """
    config = config or FeatureConfig()
    size, hop = config.frame_size, config.hop_size
    held = np.zeros(size // 2, dtype=np.float32)
    samples, start = 0, 0  # start: where in `held` the next frame begins
    for chunk in chunks:
        if chunk.ndim != 1:
            raise DataError(f"a piece of signal has the shape {chunk.shape}; allowed: (n,)")
        samples += len(chunk)
        held = np.concatenate([held[start:], chunk])
        start = 0
        count = (len(held) - size) // hop + 1
        # Whole lots only, so that frames are grouped alike however the signal was cut.
        while count >= FRAMES_AT_ONCE:
            yield _cut(held[start:], FRAMES_AT_ONCE, size, hop)
            start += FRAMES_AT_ONCE * hop
            count -= FRAMES_AT_ONCE
    if not samples:
        return
    total = -(-samples // hop) + 1
    # `held[start:]` begins a whole number of hops after the first frame.
    begun = size // 2 + samples - len(held) + start
    rest = total - begun // hop
    padded = np.zeros((rest - 1) * hop + size, dtype=np.float32)
    padded[: len(held) - start] = held[start:]
    for first in range(0, rest, FRAMES_AT_ONCE):
        yield _cut(padded[first * hop :], min(FRAMES_AT_ONCE, rest - first), size, hop)


def spectral_peaks(
    frames: ArrayLike, config: FeatureConfig | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The strongest local maxima of the magnitude spectrum of every frame.

    A maximum's frequency and magnitude come from the parabola through it and its neighbours. The
    lowest bin of the band counts as a maximum if it is larger than the next one.

    Parameters
    ----------
    frames : array_like, shape (n, frame_size)
        Frames of a waveform.
    config : FeatureConfig, optional
        Read are sample rate, window, band, number of peaks and threshold.

    Returns
    -------
    frequencies, magnitudes : ndarray of float64, shape (n, maximum_peaks)
        In Hz and linear, a sine of amplitude a having the magnitude a; in no order. A magnitude
        of 0 says that there is no such peak.

    Raises
    ------
    DataError
        If `frames` has another shape or values that are not finite.
    SettingsError
        If the window is unknown or the band reaches half the sample rate.

    Examples
    --------
    >>> time = np.arange(4096) / 44100
    >>> hertz, linear = spectral_peaks([0.5 * np.sin(2 * np.pi * 440 * time)])
    >>> float(hertz[0, 0].round()), float(linear[0, 0].round(2)), linear[0, 1:].any().item()
    (440.0, 0.5, False)
    """
    config = config or FeatureConfig()
    return peaks_of_spectra(_spectra(_checked_frames(frames, config), config), config)


def peaks_of_spectra(
    spectra: NDArray[np.float32], config: FeatureConfig | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The strongest local maxima of magnitude spectra, as `spectral_peaks` has them.

    Parameters
    ----------
    spectra : ndarray of float32, shape (n, m)
        Linear magnitudes of the bins from 0; m at most frame_size // 2 + 1, and enough for the
        band and two bins more.
    config : FeatureConfig, optional
        Read are sample rate, frame size, band, number of peaks and threshold.

    Returns
    -------
    frequencies, magnitudes : ndarray of float64, shape (n, maximum_peaks)
        As `spectral_peaks`.

    Raises
    ------
    SettingsError
        If the band reaches half the sample rate.

    Examples
    --------
    >>> spectrum = np.zeros((1, 2049), dtype=np.float32)
    >>> spectrum[0, 40:43] = 0.1, 0.2, 0.1
    >>> hertz, linear = peaks_of_spectra(spectrum)
    >>> float(hertz[0, 0] * 4096 / 44100), float(linear[0, 0].round(3))
    (41.0, 0.2)
    """
    config = config or FeatureConfig()
    first, last = _band(config)
    band = spectra[:, first : last + 3]
    left, middle, right = (band[:, i : i + last - first] for i in range(3))
    is_peak = (middle > left) & (middle >= right) & (middle > config.magnitude_threshold)
    # Flat positions: several times as fast as pairs of indices.
    flat, found = np.ascontiguousarray(band).ravel(), np.flatnonzero(is_peak)
    frame, column = np.divmod(found, is_peak.shape[1])
    at = found + frame * (band.shape[1] - is_peak.shape[1]) + 1
    before, top, after = flat[at - 1], flat[at], flat[at + 1]
    # Two equal bins are a maximum if both sides fall.
    falls = (top > after) | (top > flat[at + 2])
    slope = before - after
    offset = 0.5 * slope / (before - 2 * top + after)
    bins = offset.astype(np.float64) + (column + first + 1)
    magnitude = np.where(falls, top - 0.25 * slope * offset, np.float32(0))

    has_edge = (band[:, 0] > band[:, 1]) & (band[:, 0] > config.magnitude_threshold)
    at_edge = np.flatnonzero(has_edge)
    if len(at_edge):
        order = np.argsort(np.concatenate([at_edge, frame]), kind="stable")
        frame = np.concatenate([at_edge, frame])[order]
        bins = np.concatenate([np.full(len(at_edge), float(first)), bins])[order]
        magnitude = np.concatenate([band[at_edge, 0], magnitude])[order]
    hertz = bins * (config.sample_rate / config.frame_size)
    magnitude[hertz > config.maximum_frequency] = 0
    return _strongest(frame, hertz, magnitude, len(band), config.maximum_peaks)


def _cut(signal: NDArray[np.float32], count: int, size: int, hop: int) -> NDArray[np.float32]:
    windows = np.lib.stride_tricks.sliding_window_view(signal, size)
    return windows[: (count - 1) * hop + 1 : hop]


def _checked_frames(frames: ArrayLike, config: FeatureConfig) -> NDArray[np.float32]:
    values = np.asarray(frames, dtype=np.float32)
    if values.ndim != 2 or values.shape[1] != config.frame_size:
        raise DataError(
            f"frames have the shape {values.shape}; allowed: (n, {config.frame_size}) as the "
            "frame size says"
        )
    return values


def _band(config: FeatureConfig) -> tuple[int, int]:
    """The lowest bin in the band, and the highest that can hold a peak in it."""
    hertz_per_bin = config.sample_rate / config.frame_size
    first = int(np.ceil(config.minimum_frequency / hertz_per_bin))
    last = int(config.maximum_frequency / hertz_per_bin) + 1
    if last + 2 > config.frame_size // 2:
        raise SettingsError(
            f"maximum frequency is {config.maximum_frequency:g} Hz; allowed: less than half the "
            f"sample rate, {config.sample_rate / 2:g} Hz"
        )
    return first, last


@functools.lru_cache(maxsize=8)
def _window(name: str, size: int) -> NDArray[np.float32]:
    """Symmetric, scaled so that a sine of amplitude a has a peak of magnitude a."""
    if name not in WINDOWS:
        raise SettingsError(f"window is {name!r}; allowed: {', '.join(WINDOWS)}")
    # Not at the top: it takes longer to load than all else here.
    from scipy.signal.windows import get_window

    window = get_window(WINDOWS[name], size, fftbins=False)
    return np.asarray(2 * window / np.sum(window), dtype=np.float32)


@functools.lru_cache(maxsize=8)
def _noise(size: int) -> NDArray[np.float32]:
    """The same for all silent frames, so that silence gives the same features everywhere."""
    noise = np.random.default_rng(0).uniform(-NOISE_AMPLITUDE, NOISE_AMPLITUDE, size)
    return noise.astype(np.float32)


def _spectra(frames: NDArray[np.float32], config: FeatureConfig) -> NDArray[np.float32]:
    """Magnitude spectra (n, bins) up to what `_band` reads, a few frames at a time."""
    window = _window(config.window, config.frame_size)
    used = _band(config)[1] + 3
    spectra = np.empty((len(frames), used), dtype=np.float32)
    for start in range(0, len(frames), SPECTRA_AT_ONCE):
        lot = frames[start : start + SPECTRA_AT_ONCE]
        power = np.einsum("ij,ij->i", lot, lot) / config.frame_size
        if not np.isfinite(power).all():
            raise DataError("frames hold values that are not finite; allowed: finite samples")
        windowed = lot * window
        silent = power < SILENT_POWER
        if silent.any():
            windowed[silent] += _noise(config.frame_size) * window
        # The window is not rotated to zero phase: magnitudes do not depend on it.
        transformed = scipy.fft.rfft(windowed, axis=1, overwrite_x=True)
        np.abs(transformed[:, :used], out=spectra[start : start + SPECTRA_AT_ONCE])
    return spectra


def _strongest(
    frame: NDArray[np.intp],
    hertz: NDArray[np.float64],
    magnitude: NDArray[np.float32],
    frames: int,
    count: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Peaks in the order of their frames to the `count` largest of each, (frames, count)."""
    found = np.bincount(frame, minlength=frames)
    width = max(count, found.max(initial=0))
    taken = np.arange(width) < found[:, None]
    frequencies = np.zeros((frames, width))
    magnitudes = np.zeros((frames, width), dtype=np.float32)
    frequencies[taken] = hertz
    magnitudes[taken] = magnitude
    if width > count:
        largest = np.argpartition(magnitudes, width - count, axis=1)[:, width - count :]
        largest += np.arange(frames)[:, None] * width
        frequencies, magnitudes = frequencies.ravel()[largest], magnitudes.ravel()[largest]
    return frequencies, magnitudes.astype(np.float64)
