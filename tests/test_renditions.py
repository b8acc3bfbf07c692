"""How versions are drawn, arranged and turned into HPCP."""

import dataclasses

import numpy as np
import pytest

from kinet.config import FeatureConfig
from kinet.versions.notes import Notes, Timbre, pitch_profiles, render
from kinet.versions.renditions import MANNERS, Rendition, arrange, draw_rendition

PLAIN = Rendition(
    transposition=0,
    tempo=1.0,
    drift=0.0,
    sections=((0.0, 32.0),),
    octaves=(0, 0, 0, 0),
    dropped=(),
    doubled=(),
    manner="sustained",
    decoration=0.0,
    dynamics=0.0,
    drone=0.0,
    drone_interval=0,
    timbre=Timbre(partials=4),
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def voices():
    onsets = np.arange(32.0)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12] * 4)
    tonics = (67, 60, 55, 48)
    return [np.column_stack([onsets, np.ones(32), tonic + scale]) for tonic in tonics]


def hpcp_of(voices, seed=0, **changes):
    rendition = dataclasses.replace(PLAIN, **changes)
    rng = np.random.default_rng(seed)
    return render(arrange(voices, rendition, rng), rendition.timbre, rng)


def test_transposition_rotates_the_hpcp(voices):
    original = hpcp_of(voices)
    for semitones in (-5, 1, 6):
        moved = hpcp_of(voices, transposition=semitones)
        # Partials near the ends of the band may leave it.
        np.testing.assert_allclose(moved, np.roll(original, semitones, axis=1), atol=1e-5)


def test_tempo_changes_the_length(voices):
    seconds = 32 * 60 / 66
    per_vector = FeatureConfig().seconds_per_vector
    for tempo in (0.8, 1.0, 1.25):
        expected = seconds / tempo / per_vector
        assert abs(len(hpcp_of(voices, tempo=tempo)) - expected) <= 1


def test_sections_are_played_one_after_the_other(voices, rng):
    rendition = dataclasses.replace(PLAIN, sections=((4.0, 6.5), (0.0, 2.0)))
    notes = arrange(voices[:1], rendition, rng)
    assert notes.pitch.tolist() == [74, 76, 78, 67, 69]
    quarter = 60 / 66
    np.testing.assert_allclose(notes.start / quarter, [0, 1, 2, 2.5, 3.5])
    np.testing.assert_allclose(notes.end / quarter, [1, 2, 2.5, 3.5, 4.5])


def test_voices_are_dropped_doubled_and_moved(voices, rng):
    rendition = dataclasses.replace(PLAIN, dropped=(1, 2), doubled=(0,), octaves=(0, 0, 0, -1))
    first = arrange(voices, rendition, rng)
    assert sorted(first.pitch[first.start == 0].tolist()) == [36, 67, 79]


def test_drone_is_held_throughout(voices, rng):
    rendition = dataclasses.replace(PLAIN, drone=0.5, drone_interval=7, transposition=2)
    notes = arrange(voices, rendition, rng)
    assert notes.pitch[-1] == 69
    assert notes.start[-1] == 0
    assert notes.end[-1] == notes.end.max()


@pytest.mark.parametrize("manner", MANNERS)
def test_every_manner_keeps_the_pitches_within_their_notes(voices, rng, manner):
    notes = arrange(voices, dataclasses.replace(PLAIN, manner=manner), rng)
    beats = notes.start * 66 / 60
    expected = np.concatenate(voices)
    for pitch, beat in zip(notes.pitch, beats, strict=True):
        playing = (expected[:, 0] <= beat + 1e-9) & (beat < expected[:, 0] + 1)
        assert pitch in expected[playing, 2]


def test_decorations_stay_in_the_scale(voices, rng):
    scale = {int(pitch) % 12 for pitch in np.concatenate(voices)[:, 2]}
    slow = [voice * np.array([4.0, 4.0, 1.0]) for voice in voices]
    rendition = dataclasses.replace(PLAIN, sections=((0.0, 128.0),), decoration=1.0)
    notes = arrange(slow[:1], rendition, rng)
    assert len(notes.pitch) > 32
    assert {int(pitch) % 12 for pitch in notes.pitch} <= scale


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize("quarters", [24.0, 47.5, 272.0])
def test_drawn_sections_are_never_empty(seed, quarters):
    rendition = draw_rendition(np.random.default_rng(seed), 0, quarters)
    assert all(0 <= start < end <= quarters for start, end in rendition.sections)
    assert len(rendition.dropped) <= 2
    assert sum(end - start for start, end in rendition.sections) >= quarters / 3


def test_drawn_versions_render(voices):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rendition = draw_rendition(rng, 0, 32.0)
        hpcp = render(arrange(voices, rendition, rng), rendition.timbre, rng)
        assert np.isfinite(hpcp).all()
        assert hpcp.min() >= 0
        assert hpcp.max() == 1


def test_no_notes_give_no_vectors(rng):
    nothing = np.zeros(0)
    notes = Notes(nothing, nothing, nothing.astype(int), nothing, nothing, nothing)
    assert render(notes, Timbre(), rng).shape == (0, 12)


def test_rests_stay_silent_without_noise(rng):
    late = np.array([2.0])
    notes = Notes(late, late + 1, np.array([60]), late, np.inf * late, np.zeros(0))
    hpcp = render(notes, Timbre(), rng)
    assert not hpcp[:4].any()
    assert hpcp[-1].argmax() == 3


def test_noise_and_percussion_reach_every_pitch_class(rng):
    late = np.array([0.0])
    notes = Notes(late, late + 5, np.array([60]), late + 1, np.inf + late, np.arange(5.0))
    for timbre in (Timbre(noise=0.1), Timbre(percussion=3.0)):
        assert (render(notes, timbre, rng).mean(axis=0) > 0).all()


def test_pitch_profile_of_a_tone_is_that_of_its_class():
    profiles = pitch_profiles(Timbre(partials=1))
    for pitch in range(30, 100):
        assert profiles[pitch].argmax() == (pitch - 69) % 12


@pytest.fixture(scope="module")
def drawn():
    """Renditions of a piece of 48 quarters: two verses, or three from a tempo of 1.164 on."""
    return [draw_rendition(np.random.default_rng([1, i]), 0, 48.0) for i in range(3000)]


def verses(rendition):
    return int(np.ceil(75 * 66 / 60 * rendition.tempo / 48))


# What stands in the notes of `draw_rendition`. Of 16 places for a cut one is the very end.
SHARES = {
    "a phrase is played twice": (0.5, lambda r: len(r.sections) > verses(r)),
    "the first verse is cut": (0.5 * 15 / 16, lambda r: r.sections[0][0] > 0),
    "the last verse is cut": (0.5 * 15 / 16, lambda r: r.sections[-1][1] < 48),
    "a voice is an octave higher": (0.15, lambda r: r.octaves[0] == 1),
    "a voice is an octave lower": (0.15, lambda r: r.octaves[3] == -1),
    "a voice is doubled": (0.2, lambda r: 2 in r.doubled),
    "no voice is left out": (0.6, lambda r: len(r.dropped) == 0),
    "one voice is left out": (0.3, lambda r: len(r.dropped) == 1),
    "two voices are left out": (0.1, lambda r: len(r.dropped) == 2),
    "it is a certain voice": (0.25 * (0.3 + 2 * 0.1), lambda r: 1 in r.dropped),
    **{manner: (0.25, lambda r, manner=manner: r.manner == manner) for manner in MANNERS},
    "there is a drone": (0.5, lambda r: r.drone > 0),
    "a drone is on the dominant": (0.5, lambda r: r.drone_interval == 7),
    "there are three partials": (0.1, lambda r: r.timbre.partials == 3),
    "there are twelve partials": (0.1, lambda r: r.timbre.partials == 12),
    "even partials are weak": (0.5, lambda r: r.timbre.even_partials == 0.2),
    "there is percussion": (0.3, lambda r: r.timbre.percussion > 0),
}


@pytest.mark.parametrize("what", SHARES)
def test_versions_are_drawn_with_the_probabilities_that_the_notes_say(drawn, what):
    expected, holds = SHARES[what]
    share = np.mean([holds(rendition) for rendition in drawn])
    # Four standard deviations: by chance one in 16,000 is farther off.
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / len(drawn))


RANGES = {
    "tempo": (0.8, 1.25, lambda r: r.tempo),
    "drift": (0.0, 0.15, lambda r: r.drift),
    "decoration": (0.0, 0.2, lambda r: r.decoration),
    "dynamics": (0.0, 3.0, lambda r: r.dynamics),
    "drone": (0.2, 0.6, lambda r: r.drone or None),
    "roll-off": (0.6, 2.0, lambda r: r.timbre.roll_off),
    "detuning": (-0.1, 0.1, lambda r: r.timbre.detuning),
    "percussion": (0.5, 2.0, lambda r: r.timbre.percussion or None),
    "noise": (0.0, 0.03, lambda r: r.timbre.noise),
}


@pytest.mark.parametrize("what", RANGES)
def test_versions_fill_the_ranges_that_the_notes_say_evenly(drawn, what):
    low, high, of = RANGES[what]
    values = np.array([value for value in map(of, drawn) if value is not None])
    if what == "tempo":  # its logarithm is uniform
        low, high, values = np.log(low), np.log(high), np.log(values)
    assert low <= values.min() < low + 0.02 * (high - low)
    assert high - 0.02 * (high - low) < values.max() <= high
    # The standard deviation of the mean of uniform values is their width / sqrt(12 n).
    width = 4 * (high - low) / np.sqrt(12 * len(values))
    assert abs(values.mean() - (low + high) / 2) < width
