"""Versions of works, made directly as HPCP."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from works import cadence, tune, work

from kinet.config import FeatureConfig
from kinet.errors import SettingsError
from kinet.versions.arrangement import Shares, draw_layers, draw_sections, material_of
from kinet.versions.generator import make_version
from kinet.versions.notes import Notes, render
from kinet.versions.notes import Timbre as WholeTimbre
from kinet.versions.sounding import Part, Room, Tone, sound
from kinet.versions.works import MELODY, OTHER

A, B, E = 0, 2, 7
SECONDS_PER_VECTOR = FeatureConfig().seconds_per_vector
PLAIN = Shares(
    new=0, melody=0, accompaniment=0, kept=1, jump=0, loosened=0, detuned=0, repeated=1,
    percussion=0, reverberation=0,
)  # fmt: skip


def note(start, end, pitch, tone=None, magnitude=1.0):
    one = np.ones(1)
    return Part(start * one, end * one, pitch * one, magnitude * one, tone or Tone(partials=1))


def quiet(parts, vectors):
    return sound(parts, vectors, Room(), np.random.default_rng(0))


def test_a_tone_sounds_in_its_pitch_class_and_only_while_it_lasts():
    hpcp = quiet([note(0.0, 2 * SECONDS_PER_VECTOR, 69)], 4)
    assert hpcp[:2].argmax(axis=1).tolist() == [A, A]
    assert not hpcp[2:].any()


def test_a_note_shorter_than_a_step_is_heard():
    assert quiet([note(0.5, 0.51, 69)], 4).any()


def test_what_sounds_later_than_the_last_vector_is_not_heard():
    assert not quiet([note(50.0, 51.0, 69)], 4).any()


def test_a_note_that_dies_away_gives_way_to_one_that_is_held():
    fading = note(0.0, 10.0, 69, Tone(partials=1, decay=0.5), magnitude=4.0)
    hpcp = quiet([fading, note(0.0, 10.0, 71)], 20)
    assert hpcp[0].argmax() == A
    assert hpcp[-1].argmax() == B


def test_the_third_partial_is_heard_as_the_fifth():
    bare, rich = Tone(partials=1), Tone(partials=3, roll_off=0.0)
    assert quiet([note(0, 1, 69, rich)], 2)[0, E] > quiet([note(0, 1, 69, bare)], 2)[0, E] + 0.1


def test_vibrato_spreads_a_note_over_its_neighbours():
    still, moving = (
        quiet([note(0, 1, 69, Tone(partials=1, vibrato=v))], 2)[0] for v in (0.0, 0.45)
    )
    assert moving[1] > still[1]
    assert moving[11] > still[11]


def test_an_echo_is_heard_after_the_note():
    room = Room(reverberation=2.0, wet=1.0)
    hpcp = sound([note(0.0, 1.0, 69)], 6, room, np.random.default_rng(0))
    assert hpcp[4].argmax() == A
    assert hpcp[4].max() == 1.0


def test_noise_and_strokes_are_heard_in_all_pitch_classes():
    for room in (Room(noise=0.1), Room(percussion=1.0, strokes=np.arange(0, 2, 0.1))):
        hpcp = sound([note(0.0, 2.0, 69)], 4, room, np.random.default_rng(0))
        assert (hpcp > 0).all()


def test_hpcp_agree_with_those_that_are_computed_at_every_frame(rng):
    """The whole way, `render`, has four times the frames and no table of cents."""
    count = 60
    start = np.sort(rng.uniform(0, 40, count))
    end, pitch = start + rng.uniform(0.3, 3, count), rng.integers(45, 80, count)
    one = np.ones(count)
    held = np.full(count, np.inf)
    whole = render(Notes(start, end, pitch, one, held, np.zeros(0)), WholeTimbre(partials=6), rng)
    part = Part(start, end, pitch.astype(float), one, Tone(partials=6))
    quick = quiet([part], len(whole))
    assert np.abs(quick - whole).mean() < 0.03


def test_the_same_generator_gives_the_same_version_and_another_another():
    material = material_of(cadence(repeats=8))
    first, again, other = (
        make_version(material, 100, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.tobytes() == again.tobytes()
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("seed", range(30))
def test_every_version_is_hpcp(seed, rng):
    works = (cadence(repeats=8), tune(rng), work([(0, 0.1, 60, 0)]), work([(0, 0.1, 127, 0)]))
    for made in works:
        hpcp = make_version(material_of(made), 30, np.random.default_rng(seed))
        assert hpcp.shape == (30, 12)
        assert hpcp.dtype == np.float32
        assert np.isfinite(hpcp).all()
        assert hpcp.min() >= 0
        assert hpcp.max() <= 1


def test_versions_of_a_work_are_more_like_each_other_than_like_those_of_others(rng):
    def profile(material, seed):
        """Mean chroma, the same in all keys: magnitudes of its Fourier transform."""
        hpcp = make_version(material, 150, np.random.default_rng(seed), replace(PLAIN, kept=0.9))
        return np.abs(np.fft.fft2(hpcp[:75]))[:38].ravel()

    materials = [material_of(tune(rng, 120)) for _ in range(6)]
    made = np.array([[profile(m, [i, k]) for k in range(2)] for i, m in enumerate(materials)])
    first, second = (made[:, k] / np.linalg.norm(made[:, k], axis=1)[:, None] for k in range(2))
    cosines = first @ second.T
    assert np.diag(cosines).mean() > (cosines.sum() - np.trace(cosines)) / 30


def test_a_work_that_ends_early_starts_again_or_falls_silent():
    material = material_of(cadence())
    rng = np.random.default_rng(0)
    assert draw_sections(material, 0.0, 20.0, PLAIN, rng) == [(0, 8), (0, 8), (0, 4)]
    assert draw_sections(material, 6.0, 20.0, replace(PLAIN, repeated=0), rng) == [(6, 8)]


def test_a_jump_leaves_something_out_or_plays_it_twice():
    material = material_of(cadence(repeats=20))
    jumps = [
        draw_sections(material, 0.0, 100.0, replace(PLAIN, jump=1), np.random.default_rng(seed))
        for seed in range(30)
    ]
    moves = {round((s[1][0] - s[0][1]) / material.beat) for s in jumps if len(s) > 1}
    assert len(moves) > 4
    assert {abs(move) for move in moves} <= {4, 8, 16, 32}
    assert all(sum(end - begin for begin, end in s) == pytest.approx(100) for s in jumps)


def layers_of(made, **shares):
    return draw_layers(
        material_of(made), [(0.0, 8.0)], replace(PLAIN, **shares), np.random.default_rng(0)
    )


def test_all_tracks_are_kept_where_none_may_be_left_out():
    assert [len(layer) for layer in layers_of(cadence())] == [12, 4]


def test_the_melody_alone_is_its_highest_notes():
    [melody] = layers_of(cadence(), melody=1)
    assert melody[:, 2].tolist() == [72, 72, 71, 72]


def test_an_accompaniment_is_what_the_melody_leaves():
    rows = np.array([(0, 1, 72, 0), (0, 1, 60, 1)], dtype=float)
    drawn = [
        draw_layers(
            material_of(work(rows, (MELODY, OTHER))), [(0.0, 1.0)],
            replace(PLAIN, accompaniment=1), np.random.default_rng(seed),
        )
        for seed in range(20)
    ]  # fmt: skip
    own = [layers for layers in drawn if len(layers) == 1]
    assert own
    assert all(layers[0][:, 2].tolist() == [60] for layers in own)


def test_a_new_accompaniment_goes_with_the_melody():
    melody, chords, bass = layers_of(cadence(), new=1)
    assert melody[:, 2].tolist() == [72, 72, 71, 72]
    assert len(chords) + len(bass) > 0


def test_a_note_that_goes_on_after_its_section_is_cut():
    material = material_of(work([(0, 10, 60, 0)], beat=1.0))
    [layer] = draw_layers(material, [(0.0, 4.0), (0.0, 2.0)], PLAIN, np.random.default_rng(0))
    assert layer[:, :2].tolist() == [[0, 4], [4, 2]]


@pytest.mark.parametrize("shares", [{"jump": 1.5}, {"new": -0.1}, {"new": 0.6, "melody": 0.5}])
def test_impossible_shares_are_told(shares):
    with pytest.raises(SettingsError, match="allowed"):
        Shares(**shares)


def test_impossible_versions_are_told(rng):
    material = material_of(cadence())
    with pytest.raises(SettingsError, match="vectors is 0"):
        make_version(material, 0, rng)
    with pytest.raises(SettingsError, match="starts at 9 s"):
        make_version(material, 10, rng, start=9.0)
