"""Notes to sound, and a chorale as a sound file."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import soundfile

from kinet.errors import DataError
from kinet.features.hpcp import hpcp_of_blocks
from kinet.versions.chorales import write_corpus
from kinet.versions.notes import Notes, Timbre, render
from kinet.versions.synthesis import synthesise

RATE = 44100
NO_STROKES = np.zeros(0)


def notes(pitches, start, end, decay=np.inf, strokes=NO_STROKES):
    ones = np.ones(len(pitches))
    return Notes(start * ones, end * ones, np.array(pitches), ones, decay * ones, strokes)


@pytest.mark.parametrize("pitch", [57, 69, 76])
def test_a_note_has_its_frequency(pitch, rng):
    sound = synthesise(notes([pitch], 0.0, 1.0), Timbre(partials=1), rng)
    spectrum = np.abs(np.fft.rfft(sound[:RATE]))
    assert spectrum.argmax() == round(440 * 2 ** ((pitch - 69) / 12))
    assert np.abs(sound).max() == pytest.approx(0.8)


def test_sound_is_where_the_notes_are(rng):
    sound = synthesise(notes([69], 0.5, 1.0), Timbre(), rng)
    assert len(sound) == int(1.05 * RATE)
    assert not sound[: RATE // 2].any()
    assert np.abs(sound[int(0.6 * RATE) : int(0.9 * RATE)]).max() > 0.3
    assert np.abs(sound[-10:]).max() < 0.01


def test_a_plucked_note_dies_away(rng):
    sound = synthesise(notes([69], 0.0, 2.0, decay=0.5), Timbre(partials=1), rng)
    loudness = [np.abs(sound[int(t * RATE) :][: RATE // 10]).max() for t in (0.1, 0.6)]
    assert loudness[1] / loudness[0] == pytest.approx(np.exp(-1), rel=0.02)


def test_partials_above_half_the_rate_are_left_out(rng):
    sound = synthesise(notes([100], 0.0, 0.5), Timbre(partials=12), rng, 8000)
    assert np.isfinite(sound).all()
    # 2637 Hz; the second partial would be mirrored to 2726 Hz.
    spectrum = np.abs(np.fft.rfft(sound[:4000]))
    assert spectrum.argmax() * 2 == pytest.approx(2637, abs=3)
    assert spectrum[1361:1366].max() < spectrum.max() / 20


def test_no_notes_are_silence(rng):
    empty = np.zeros(0)
    sound = synthesise(Notes(*[empty] * 2, empty.astype(int), *[empty] * 3), Timbre(), rng)
    assert not sound.any()


def test_strokes_sound_where_they_are(rng):
    struck = notes([69], 0.0, 2.0, strokes=np.array([1.0]))
    plain = synthesise(notes([69], 0.0, 2.0), Timbre(partials=1), np.random.default_rng(0))
    sound = synthesise(struck, Timbre(partials=1, percussion=1.0), np.random.default_rng(0))
    ratio = np.abs(plain).max() / np.abs(sound[: RATE // 2]).max()
    difference = np.abs(sound * ratio - plain)
    assert difference[: int(0.99 * RATE)].max() < 1e-3
    assert difference[RATE : RATE + 1000].max() > 0.3


def test_features_of_the_sound_are_near_to_those_of_the_notes(rng):
    melody = [notes([p], i * 1.0, i + 1.0) for i, p in enumerate([60, 64, 67, 65, 62])]
    together = Notes(*(np.concatenate([getattr(n, f) for n in melody]) for f in FIELDS))
    timbre = Timbre(partials=6, detuning=0.0)
    heard = hpcp_of_blocks([synthesise(together, timbre, rng)])
    meant = render(together, timbre, rng)
    count = min(len(heard), len(meant))
    norms = np.linalg.norm(heard[:count], axis=1) * np.linalg.norm(meant[:count], axis=1)
    cosines = (heard[:count] * meant[:count]).sum(axis=1) / norms
    assert np.median(cosines) > 0.98


FIELDS = ("start", "end", "pitch", "magnitude", "decay", "strokes")


@pytest.mark.skipif(not importlib.util.find_spec("music21"), reason="needs the extra quickstart")
def test_a_recording_of_a_song_in_a_key_of_its_own(tmp_path):
    from kinet.versions.recordings import write_recording

    corpus = write_corpus(tmp_path / "corpus", songs=6, versions=2, workers=1)
    paths = [tmp_path / f"{name}.flac" for name in "ab"]
    for path in paths:
        write_recording(corpus, "2", path)
    info = soundfile.info(paths[0])
    assert (info.samplerate, info.channels, info.format) == (RATE, 1, "FLAC")
    assert info.duration > 60
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with pytest.raises(DataError, match="has no song '9'; allowed: songs of a complete corpus"):
        write_recording(corpus, "9", tmp_path / "c.flac")
    assert not (tmp_path / "c.flac").exists()
