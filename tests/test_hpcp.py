"""HPCP: golden values of Essentia, rotation, silence, pooling."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import signals

from kinet.config import FeatureConfig
from kinet.errors import DataError, SettingsError
from kinet.features.hpcp import (
    fold_peaks,
    harmonic_strengths,
    hpcp_from_peaks,
    hpcp_of_blocks,
    pool_frames,
    unit_maximum,
)

DATA = Path(__file__).parent / "data"
GOLDEN = DATA / "hpcp_peaks.json"


def random_peaks(seed, frames=20, peaks=10, low=200.0, high=900.0):
    rng = np.random.default_rng(seed)
    frequencies = np.exp(rng.uniform(np.log(low), np.log(high), (frames, peaks)))
    return frequencies, rng.uniform(0.01, 1.0, (frames, peaks))


def test_agrees_with_essentia():
    golden = json.loads(GOLDEN.read_text())
    hpcp = hpcp_from_peaks(golden["frequencies"], golden["magnitudes"])
    # Essentia works in float32: 4e-5 was the largest difference on 2,000 random frames.
    np.testing.assert_allclose(hpcp, golden["hpcp"], atol=1e-4)


def test_harmonics_that_are_octaves_add_up():
    assert harmonic_strengths(0) == [(0.0, 1.0)]
    strengths = {round(i): s for i, s in harmonic_strengths(7)}
    # 1, 2, 4 and 8; 3 and 6; 5; 7.
    assert strengths[0] == pytest.approx(3 + 2 / 3)
    assert strengths[7] == pytest.approx(1 + 2 / np.log2(6))
    assert strengths[4] == pytest.approx(2 / np.log2(5))
    assert strengths[10] == pytest.approx(2 / np.log2(7))


@pytest.mark.parametrize(("hertz", "bin_"), [(440.0, 0), (220.0, 0), (880.0, 0), (261.626, 3)])
def test_pure_tone_peaks_in_its_bin(hertz, bin_):
    hpcp = hpcp_from_peaks([[hertz]], [[0.3]])
    assert hpcp.argmax() == bin_
    assert hpcp.max() == 1.0


@given(semitones=st.integers(-12, 12), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_transposition_rotates_the_bins(semitones, seed):
    frequencies, magnitudes = random_peaks(seed)
    transposed = hpcp_from_peaks(frequencies * 2 ** (semitones / 12), magnitudes)
    rotated = np.roll(hpcp_from_peaks(frequencies, magnitudes), semitones, axis=1)
    np.testing.assert_allclose(transposed, rotated, atol=1e-6)


def test_values_lie_between_zero_and_one():
    hpcp = hpcp_from_peaks(*random_peaks(1, low=20.0, high=8000.0))
    assert hpcp.dtype == np.float32
    assert hpcp.shape == (20, 12)
    assert hpcp.min() >= 0
    np.testing.assert_array_equal(hpcp.max(axis=1), 1)


def test_fold_is_additive():
    frequencies, magnitudes = random_peaks(2)
    parts = [fold_peaks(frequencies[:, half], magnitudes[:, half]) for half in np.s_[:5, 5:]]
    np.testing.assert_allclose(sum(parts), fold_peaks(frequencies, magnitudes))


def test_silent_frames_stay_zero():
    hpcp = hpcp_from_peaks([[0.0, 0.0], [440.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]])
    assert not hpcp[0].any()
    assert hpcp[1].any()


def test_peaks_outside_the_band_do_not_count():
    hpcp = hpcp_from_peaks([[39.9, 440.0, 5001.0], [40.0, 0.0, 0.0]], [[9.0, 0.1, 9.0], [1, 0, 0]])
    np.testing.assert_array_equal(hpcp[0], hpcp_from_peaks([[440.0]], [[0.1]])[0])
    assert hpcp[1].any()


@pytest.mark.parametrize("end", [40.0, 5000.0])
def test_peaks_at_the_very_ends_of_the_band_count(end):
    assert hpcp_from_peaks([[end]], [[1.0]]).any()


def test_no_frames():
    assert hpcp_from_peaks(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0, 12)
    assert hpcp_from_peaks(np.zeros((4, 0)), np.zeros((4, 0))).tolist() == [[0.0] * 12] * 4


def test_more_bins():
    hpcp = hpcp_from_peaks([[440 * 2 ** (1 / 36)]], [[1.0]], FeatureConfig(bins=36))
    assert hpcp.shape == (1, 36)
    assert hpcp.argmax() == 1


@pytest.mark.parametrize(
    ("frequencies", "magnitudes"),
    [
        ([440.0], [1.0]),
        ([[440.0]], [[1.0, 2.0]]),
        ([[440.0]], [[-1.0]]),
        ([[np.nan]], [[1.0]]),
        ([[440.0]], [[np.inf]]),
    ],
)
def test_peaks_that_cannot_be_are_refused(frequencies, magnitudes):
    with pytest.raises(DataError, match="allowed"):
        hpcp_from_peaks(frequencies, magnitudes)


def test_settings_that_are_not_supported_are_refused():
    with pytest.raises(SettingsError, match="squaredCosine"):
        hpcp_from_peaks([[440.0]], [[1.0]], FeatureConfig(weighting="none"))
    with pytest.raises(SettingsError, match="unitMax"):
        hpcp_from_peaks([[440.0]], [[1.0]], FeatureConfig(frame_normalisation="unitSum"))


def test_pooling_sums_and_divides_by_the_maximum():
    hpcp = np.zeros((7, 12))
    hpcp[0, :2] = 1.0, 0.5
    hpcp[1, :2] = 1.0, 1.0
    pooled = pool_frames(hpcp, 2)
    # The second and third chunks are silent, the seventh frame is a tail.
    assert pooled.shape == (3, 12)
    assert pooled[0, :2].tolist() == [1.0, 0.75]
    assert not pooled[1:].any()
    assert pooled.dtype == np.float32


def test_pooling_less_than_a_block_gives_nothing():
    assert pool_frames(np.ones((19, 12)), 20).shape == (0, 12)


def test_pooling_refuses_what_it_cannot_pool():
    with pytest.raises(DataError, match="n_frames"):
        pool_frames(np.ones(12), 20)
    with pytest.raises(SettingsError, match="from 1"):
        pool_frames(np.ones((3, 12)), 0)


def test_unit_maximum_of_no_rows():
    assert unit_maximum(np.zeros((0, 12))).shape == (0, 12)


@pytest.fixture(scope="module")
def essentia():
    return json.loads((DATA / "essentia_hpcp.json").read_text())


def test_the_settings_are_those_of_essentias_values(essentia):
    assert essentia["features"] == FeatureConfig().fingerprint()
    assert set(essentia["hpcp"]) == set(signals())


@pytest.mark.parametrize("name", signals())
def test_a_waveform_gives_the_vectors_of_essentia(name, essentia):
    expected = np.array(essentia["hpcp"][name])
    vectors = hpcp_of_blocks([signals()[name]])
    assert vectors.dtype == np.float32
    assert vectors.shape == expected.shape == (10, 12)
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=2e-4)


def test_vectors_do_not_depend_on_the_pieces(rng):
    wave = signals()["chords in noise"]
    cuts = sorted(rng.integers(0, len(wave), 30))
    np.testing.assert_array_equal(
        hpcp_of_blocks(np.split(wave, cuts)), hpcp_of_blocks(iter([wave]))
    )


def test_silence_is_deterministic_and_gives_zeros():
    silence = np.zeros(44100 * 3, dtype=np.float32)
    vectors = hpcp_of_blocks([silence])
    assert vectors.shape == (6, 12)
    assert not vectors.any()
    faint = np.random.default_rng(0).uniform(-1e-6, 1e-6, 44100).astype(np.float32)
    np.testing.assert_array_equal(hpcp_of_blocks([faint]), hpcp_of_blocks([faint.copy()]))


# A vector needs 20 frames: 19 hops and one sample.
@pytest.mark.parametrize(
    ("samples", "vectors"), [(0, 0), (1, 0), (18 * 1024, 0), (18 * 1024 + 1, 1)]
)
def test_a_waveform_shorter_than_a_vector_gives_none(samples, vectors):
    assert hpcp_of_blocks([np.ones(samples, dtype=np.float32)]).shape == (vectors, 12)


def test_a_semitone_up_rotates_the_vectors():
    time = np.arange(44100) / 44100
    chord = [220.0, 277.18, 329.63]
    low, high = (
        hpcp_of_blocks([sum(np.sin(2 * np.pi * f * up * time) for f in chord).astype(np.float32)])
        for up in (1, 2 ** (1 / 12))
    )
    np.testing.assert_allclose(np.roll(low, 1, axis=1), high, atol=0.02)


def test_loudness_does_not_matter():
    wave = signals()["chords"]
    np.testing.assert_allclose(
        hpcp_of_blocks([wave]), hpcp_of_blocks([wave / 8]), rtol=0, atol=2e-3
    )


@pytest.mark.parametrize("window", [0.0, 12.5])
def test_a_weighting_window_wider_than_an_octave_is_refused(window):
    with pytest.raises(SettingsError, match=r"weighting window is .* allowed: above 0 to 12"):
        fold_peaks([[440.0]], [[1.0]], FeatureConfig(weighting_window=window))


@pytest.mark.parametrize("window", [0.5, 1.0, 2.0, 5.5, 12.0])
@pytest.mark.parametrize("weighting", ["cosine", "squaredCosine"])
def test_a_peak_counts_by_the_cosine_of_its_distance(window, weighting):
    config = FeatureConfig(harmonics=0, weighting_window=window, weighting=weighting)
    semitones = 3.3
    folded = fold_peaks([[440 * 2 ** (semitones / 12)]], [[0.5]], config)[0]
    expected = np.zeros(12)
    for bin_ in range(-24, 36):
        distance = abs(bin_ - semitones)
        if distance < window / 2:
            cosine = np.cos(np.pi * distance / window)
            expected[bin_ % 12] += 0.25 * cosine ** (1 if weighting == "cosine" else 2)
    np.testing.assert_allclose(folded, expected, atol=1e-12)
