"""Chords that notes imply, and accompaniments made from them."""

from __future__ import annotations

import numpy as np
import pytest
from works import cadence, work

from kinet.versions.accompaniment import accompany
from kinet.versions.harmony import KINDS, Chords, chords_of
from kinet.versions.works import CHORDS, MELODY

MAJOR, MINOR, SEVENTH = 0, 1, 2
C, D, F, G, A = 0, 2, 5, 7, 9


def test_a_cadence_is_heard_as_its_chords():
    chords = chords_of(cadence())
    assert chords.root.tolist() == [C, F, G, C]
    assert chords.kind.tolist() == [MAJOR] * 4
    np.testing.assert_allclose(chords.start, [0, 2, 4, 6])


def test_a_passing_note_does_not_change_the_chord():
    notes = [(0, 4, pitch, 0) for pitch in (48, 52, 55)]
    notes += [(1.0, 0.25, 65, 0)]
    assert chords_of(work(notes)).root.tolist() == [C]


def test_minor_is_told_from_major():
    chords = chords_of(work([(0, 2, pitch, 0) for pitch in (57, 60, 64)]))
    assert (chords.root.tolist(), chords.kind.tolist()) == ([A], [MINOR])


def test_written_chord_symbols_are_taken_as_they_are():
    melody = [(0, 4, 61, 0)]
    symbols = [(0, 2, pitch, 1) for pitch in (50, 53, 57)]
    symbols += [(2, 2, pitch, 1) for pitch in (43, 47, 50, 53)]
    chords = chords_of(work(melody + symbols, (MELODY, CHORDS)))
    assert chords.root.tolist() == [D, G]
    assert chords.kind.tolist() == [MINOR, SEVENTH]
    assert chords.start.tolist() == [0, 2]


def test_silence_between_notes_has_the_chord_before_it():
    notes = [(0, 1, pitch, 0) for pitch in (48, 52, 55)] + [(8, 1, 52, 0)]
    assert chords_of(work(notes)).root.tolist() == [C]


PROGRESSION = Chords(np.array([0.0, 2.0]), np.array([C, A]), np.array([MAJOR, MINOR]))


@pytest.mark.parametrize("seed", range(40))
def test_an_accompaniment_plays_notes_of_the_chord_that_sounds(seed):
    chord_notes, bass = accompany(PROGRESSION, 0.0, 4.0, 0.5, np.random.default_rng(seed))
    tones = {0: {0, 4, 7}, 1: {9, 0, 4}}
    for rows in (chord_notes, bass):
        for onset, duration, pitch, velocity in rows:
            # A stroke after the beat belongs to the beat before it.
            sounding = tones[int(onset >= 2.0)] | tones[int(max(onset - 1.0, 0) >= 2.0)]
            # A major chord may have become its relative minor.
            assert int(pitch) % 12 in sounding | {9}
            assert duration > 0
            assert velocity == 80


def test_an_accompaniment_lies_between_its_ends():
    for seed in range(40):
        for rows in accompany(PROGRESSION, 1.0, 3.0, 0.5, np.random.default_rng(seed)):
            if len(rows):
                assert rows[:, 0].min() >= 1.0 - 1e-6
                # After the beat may be up to two beats late.
                assert rows[:, 0].max() < 3.0 + 2.0


def test_accompaniments_differ_and_the_same_generator_gives_the_same():
    def drawn(seed):
        return accompany(PROGRESSION, 0.0, 4.0, 0.5, np.random.default_rng(seed))[0]

    assert len({drawn(seed).tobytes() for seed in range(20)}) > 10
    assert drawn(3).tobytes() == drawn(3).tobytes()


def test_every_kind_of_chord_has_root_third_and_fifth():
    assert all(kind[0] == 0 and len(kind) in (3, 4) for kind in KINDS)
