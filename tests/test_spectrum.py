"""Frames and spectral peaks."""

from __future__ import annotations

import numpy as np
import pytest

from kinet.config import FeatureConfig
from kinet.errors import DataError, SettingsError
from kinet.features.spectrum import FRAMES_AT_ONCE, frames_of, peaks_of_spectra, spectral_peaks

RATE = 44100
SMALL = FeatureConfig(frame_size=8, hop_size=2)


def sine(hertz, amplitude=1.0, samples=4096):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE)


def all_frames(chunks, config=SMALL):
    lots = list(frames_of(chunks, config))
    return np.concatenate(lots) if lots else np.zeros((0, config.frame_size))


def test_frames_begin_half_a_frame_before_the_signal_and_end_at_its_last_hop():
    frames = all_frames([np.arange(1, 6, dtype=np.float32)])
    assert frames.tolist() == [
        [0, 0, 0, 0, 1, 2, 3, 4],
        [0, 0, 1, 2, 3, 4, 5, 0],
        [1, 2, 3, 4, 5, 0, 0, 0],
        [3, 4, 5, 0, 0, 0, 0, 0],
    ]


# Counted by running Essentia's streaming FrameCutter, frames of 4096 and hops of 1024.
@pytest.mark.parametrize(
    ("samples", "count"),
    sorted(
        {1: 2, 1023: 2, 1024: 2, 1025: 3, 2048: 3, 2049: 4, 3072: 4, 4097: 6, 5121: 7}.items()
        | {10240: 11, 10241: 12, 44100: 45}.items()
    ),
)
def test_as_many_frames_as_essentia(samples, count):
    assert len(all_frames([np.ones(samples, dtype=np.float32)], FeatureConfig())) == count


def test_frames_do_not_depend_on_the_pieces(rng):
    signal = rng.standard_normal(1000).astype(np.float32)
    whole = list(frames_of([signal], SMALL))
    assert [len(lot) for lot in whole] == [64] * 7 + [501 - 7 * 64]
    for cuts in ([1], [999], [3, 4, 5, 500], sorted(rng.integers(0, 1000, 40))):
        pieces = list(frames_of(np.split(signal, cuts), SMALL))
        assert [len(lot) for lot in pieces] == [len(lot) for lot in whole]
        for one, other in zip(pieces, whole, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("samples", [1, 2, 7, 8, 9, 119, 120, 121, 126, 127, 128, 129, 256])
def test_every_frame_is_where_it_should_be(samples):
    signal = np.arange(1, samples + 1, dtype=np.float32)
    padded = np.concatenate([np.zeros(4), signal, np.zeros(16)])
    frames = all_frames(np.array_split(signal, 3))
    assert len(frames) == -(-samples // 2) + 1
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame, padded[2 * index : 2 * index + 8])


def test_an_empty_signal_has_no_frames():
    assert len(all_frames([])) == 0
    assert len(all_frames([np.zeros(0, dtype=np.float32)])) == 0


def test_a_lot_has_a_limited_number_of_frames():
    lots = frames_of([np.zeros(100_000, dtype=np.float32)], SMALL)
    assert max(len(lot) for lot in lots) == FRAMES_AT_ONCE


def test_a_piece_with_two_axes_is_refused():
    with pytest.raises(DataError, match=r"piece of signal has the shape \(2, 5\); allowed: \(n,\)"):
        list(frames_of([np.zeros((2, 5), dtype=np.float32)], SMALL))


@pytest.mark.parametrize("hertz", [60.0, 440.0, 441.5, 1000.3, 4990.0])
@pytest.mark.parametrize("amplitude", [1.0, 1e-3])
def test_a_sine_is_one_peak_of_its_frequency_and_amplitude(hertz, amplitude):
    frequencies, magnitudes = spectral_peaks([sine(hertz, amplitude)])
    strongest = magnitudes[0].argmax()
    # What a parabola through the main lobe of this window reaches: bins are 10.8 Hz wide.
    assert frequencies[0, strongest] == pytest.approx(hertz, abs=0.3)
    assert magnitudes[0, strongest] == pytest.approx(amplitude, rel=0.03)


@pytest.mark.parametrize("hertz", [20.0, 5050.0, 12000.0])
def test_peaks_outside_the_band_are_not_there(hertz):
    frequencies, magnitudes = spectral_peaks([sine(hertz)])
    heard = frequencies[0, magnitudes[0] > 1e-3]
    # What is left of 20 Hz in the lowest bin of the band.
    assert set(heard.round(2)) <= {43.07}


def test_the_lowest_bin_of_the_band_counts_if_it_is_larger_than_the_next():
    frequencies, magnitudes = spectral_peaks([sine(30.0)])
    assert magnitudes[0].max() > 0.1
    assert frequencies[0, magnitudes[0].argmax()] == 4 * RATE / 4096


def test_a_peak_at_the_very_end_of_the_band_counts():
    spectrum = np.zeros((1, 2049), dtype=np.float32)
    spectrum[0, 49:52] = 0.1, 0.2, 0.1
    end = 50 * (RATE / 4096)
    for maximum, heard in ((end, 1), (np.nextafter(end, 0), 0)):
        magnitudes = peaks_of_spectra(spectrum, FeatureConfig(maximum_frequency=float(maximum)))[1]
        assert np.count_nonzero(magnitudes) == heard


@pytest.mark.parametrize("place", [4, 50])  # 4 is the lowest bin of the band
def test_a_peak_must_be_larger_than_the_threshold(place):
    spectrum = np.zeros((1, 2049), dtype=np.float32)
    spectrum[0, place] = 0.25
    for threshold, heard in ((0.25, 0), (0.2499, 1)):
        config = FeatureConfig(magnitude_threshold=threshold)
        assert np.count_nonzero(peaks_of_spectra(spectrum, config)[1]) == heard


def test_the_largest_peaks_are_kept():
    loud = {300.0 * k: 1.0 / k for k in range(1, 9)}
    frame = sum(sine(hertz, amplitude) for hertz, amplitude in loud.items())
    frequencies, magnitudes = spectral_peaks([frame], FeatureConfig(maximum_peaks=5))
    order = np.argsort(-magnitudes[0])
    np.testing.assert_allclose(frequencies[0, order], [300, 600, 900, 1200, 1500], atol=0.5)


def test_two_equal_bins_are_a_maximum_in_their_middle_if_both_sides_fall():
    spectra = np.zeros((3, 2049), dtype=np.float32)
    spectra[0, 99:103] = 0.1, 0.3, 0.3, 0.1
    spectra[1, 99:103] = 0.1, 0.3, 0.3, 0.4
    spectra[2, 99:103] = 0.4, 0.3, 0.3, 0.1
    frequencies, magnitudes = peaks_of_spectra(spectra)
    bins = frequencies * 4096 / RATE
    found = [bins[i, magnitudes[i] > 0].round(1).tolist() for i in range(3)]
    # At 102: 0.5 (0.3 - 0) / (0.3 - 0.8 + 0) = -0.3; at 99: 0.5 (0 - 0.3) / (0 - 0.8 + 0.3) = 0.3.
    assert found == [[100.5], [101.7], [99.3]]


def test_a_silent_frame_gets_the_same_noise_every_time():
    faint = sine(440.0, 1.3e-5)[np.newaxis]
    magnitude = spectral_peaks(faint)[1].max()
    assert magnitude == spectral_peaks(faint)[1].max()
    assert magnitude / 1.3e-5 != pytest.approx(spectral_peaks([sine(440.0)])[1].max(), rel=1e-3)
    assert magnitude / 1.3e-5 == pytest.approx(spectral_peaks([sine(440.0)])[1].max(), rel=0.05)


def test_frames_do_not_influence_each_other(rng):
    frames = rng.standard_normal((7, 4096)) * 10.0 ** np.arange(0, -7, -1)[:, None]
    together = spectral_peaks(frames)
    for index in range(7):
        alone = spectral_peaks(frames[index : index + 1])
        for one, other in zip(together, alone, strict=True):
            assert sorted(one[index]) == sorted(other[0])


@pytest.mark.parametrize("level", [0.0, 1e-7, 9e-6])
def test_silence_has_no_peaks(level):
    frames = np.full((2, 4096), level)
    assert not spectral_peaks(frames)[1].any()


def test_what_is_too_faint_is_no_peak():
    assert not spectral_peaks([sine(440.0, 0.9e-5)])[1].any()
    assert np.count_nonzero(spectral_peaks([sine(440.0, 2e-5)])[1]) == 1


def test_frames_of_another_size_or_with_nan_are_refused():
    with pytest.raises(DataError, match=r"frames have the shape \(1, 100\); allowed: \(n, 4096\)"):
        spectral_peaks(np.zeros((1, 100)))
    with pytest.raises(DataError, match="frames hold values that are not finite"):
        spectral_peaks([np.where(np.arange(4096) == 5, np.nan, 0.0)])


def test_unknown_settings_are_refused():
    frames = np.zeros((1, 4096))
    with pytest.raises(SettingsError, match="window is 'hann'; allowed: blackmanharris92"):
        spectral_peaks(frames, FeatureConfig(window="hann"))
    with pytest.raises(SettingsError, match="maximum frequency is 5000 Hz; allowed: less than"):
        spectral_peaks(frames, FeatureConfig(sample_rate=8000))
