"""Versions of a piece: the notes of a score, played in another way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kinet.config import PITCH_CLASSES
from kinet.versions.notes import Notes, Timbre
from kinet.versions.scores import Voice

TRANSPOSITIONS = tuple(range(-5, 7))
QUARTERS_PER_MINUTE = 66.0
TEMPO_FACTORS = (0.8, 1.25)
LEAST_SECONDS = 75.0
PHRASE_QUARTERS = 8
MANNERS = ("sustained", "plucked", "repeated", "broken")
DRONE_INTERVALS = (0, 7)
PLUCKED_DECAY = 0.5
NOTES_OF_A_SCALE = 7


@dataclass(frozen=True)
class Rendition:
    """How one version is played.

    Parameters
    ----------
    transposition : int
        Semitones, from -5 to 6.
    tempo : float
        Factor on 66 quarter notes per minute.
    drift : float
        Standard deviation of the slow change of the logarithm of the tempo.
    sections : tuple of (float, float)
        What is played, one after the other, as (start, end) in quarter notes of the score: the
        verses, the first and last of them possibly cut, and a phrase possibly played twice.
    octaves : tuple of int
        Shift of every voice in octaves.
    dropped, doubled : tuple of int
        Voices left out, and voices that also sound an octave higher, counted from the soprano, 0.
    manner : str
        ``sustained``; ``plucked``: every note dies away; ``repeated``: struck again every eighth;
        ``broken``: the voices enter one after the other in every beat.
    decoration : float
        Probability that a note of a quarter or longer gets a passing or neighbouring note.
    dynamics : float
        Standard deviation in dB of the loudness of voices, and again of notes.
    drone : float
        Magnitude of a held note, 0 for none.
    drone_interval : int
        Semitones of the held note above the tonic: 0, or 7 for the dominant.
    timbre : Timbre
    """

    transposition: int
    tempo: float
    drift: float
    sections: tuple[tuple[float, float], ...]
    octaves: tuple[int, ...]
    dropped: tuple[int, ...]
    doubled: tuple[int, ...]
    manner: str
    decoration: float
    dynamics: float
    drone: float
    drone_interval: int
    timbre: Timbre


def draw_rendition(
    rng: Generator, transposition: int, quarters: float, voices: int = 4
) -> Rendition:
    """Draw how a piece is played.

    Parameters
    ----------
    rng : numpy.random.Generator
    transposition : int
        In semitones.
    quarters : float
        Length of the piece in quarter notes, from 24.
    voices : int
        Number of voices, from 3: at most two are left out.

    Returns
    -------
    Rendition

    Notes
    -----
    Uniform unless said otherwise. Tempo factor 0.8 to 1.25 (its logarithm), drift 0 to 0.15. As
    many verses as fill 75 s; in half of the versions a phrase is played twice; in half each, up
    to a third of the first and of the last verse is cut. A voice moves by an octave with a
    probability of 0.3 and is doubled with 0.2; none is left out with 0.6, one with 0.3, two with
    0.1. The four manners are equally likely. Decoration 0 to 0.2, dynamics 0 to 3 dB, a drone of
    magnitude 0.2 to 0.6 on tonic or dominant in half of the versions. 3 to 12 partials, roll-off
    0.6 to 2, weak even partials in half of the versions, detuning up to 0.1 semitones, percussion
    in 0.3 of them, noise up to 0.03.

    Examples
    --------
    >>> rendition = draw_rendition(np.random.default_rng(0), transposition=3, quarters=48.0)
    >>> rendition.transposition, len(rendition.octaves)
    (3, 4)
    """
    tempo = float(np.exp(rng.uniform(*np.log(TEMPO_FACTORS))))
    left_out = rng.permutation(voices)[: rng.choice(3, p=[0.6, 0.3, 0.1])]
    return Rendition(
        transposition=transposition,
        tempo=tempo,
        drift=float(rng.uniform(0.0, 0.15)),
        sections=_draw_sections(rng, quarters, tempo),
        octaves=tuple(int(o) for o in rng.choice([-1, 0, 1], size=voices, p=[0.15, 0.7, 0.15])),
        dropped=tuple(sorted(int(v) for v in left_out)),
        doubled=tuple(v for v in range(voices) if rng.random() < 0.2),
        manner=MANNERS[rng.integers(len(MANNERS))],
        decoration=float(rng.uniform(0.0, 0.2)),
        dynamics=float(rng.uniform(0.0, 3.0)),
        drone=float(rng.uniform(0.2, 0.6)) if rng.random() < 0.5 else 0.0,
        drone_interval=int(rng.choice(DRONE_INTERVALS)),
        timbre=Timbre(
            partials=int(rng.integers(3, 13)),
            roll_off=float(rng.uniform(0.6, 2.0)),
            even_partials=0.2 if rng.random() < 0.5 else 1.0,
            detuning=float(rng.uniform(-0.1, 0.1)),
            percussion=float(rng.uniform(0.5, 2.0)) if rng.random() < 0.3 else 0.0,
            noise=float(rng.uniform(0.0, 0.03)),
        ),
    )


def arrange(voices: Sequence[Voice], rendition: Rendition, rng: Generator) -> Notes:
    """Play the voices of a score in the way of a rendition.

    Parameters
    ----------
    voices : sequence of ndarray, shape (n_notes, 3)
        Soprano first; onset and duration in quarter notes and MIDI pitch, in order of onset.
    rendition : Rendition
    rng : numpy.random.Generator
        For decorations, loudness and tempo.

    Returns
    -------
    Notes

    Examples
    --------
    >>> voice = np.array([[0.0, 12.0, 60.0], [12.0, 12.0, 64.0]])
    >>> rng = np.random.default_rng(0)
    >>> notes = arrange([voice] * 3, draw_rendition(rng, 0, quarters=24.0, voices=3), rng)
    >>> bool((notes.end > notes.start).all())
    True
    """
    scale = _scale(voices)
    loudness = rng.normal(0.0, rendition.dynamics, len(voices))
    parts = []
    at = 0.0
    for start, end in rendition.sections:
        for number, voice in enumerate(voices):
            if number in rendition.dropped:
                continue
            part = _decorate(_section(voice, start, end), scale, rendition.decoration, rng)
            part = _strike(part, rendition.manner, number / len(voices))
            decibels = loudness[number] + rng.normal(0.0, rendition.dynamics, len(part))
            shift = rendition.transposition + 12 * rendition.octaves[number]
            for octave in (0, 12) if number in rendition.doubled else (0,):
                moved = part + np.array([at, 0.0, shift + octave])
                parts.append(np.column_stack([moved, 10 ** (decibels / 20)]))
        at += end - start
    onset, duration, pitch, magnitude = np.concatenate(parts).T
    decay = np.full(len(onset), np.inf if rendition.manner == "sustained" else PLUCKED_DECAY)
    if rendition.drone:
        # The last bass note of a chorale is its tonic.
        held = voices[-1][-1, 2] + rendition.transposition + rendition.drone_interval
        onset, duration = np.append(onset, 0.0), np.append(duration, at)
        pitch, magnitude = np.append(pitch, held), np.append(magnitude, rendition.drone)
        decay = np.append(decay, np.inf)
    seconds = _clock(at, rendition, rng)
    return Notes(
        start=seconds(onset),
        end=seconds(onset + duration),
        pitch=pitch.astype(np.int64),
        magnitude=magnitude,
        decay=decay,
        strokes=seconds(np.arange(at)),
    )


def _draw_sections(
    rng: Generator, quarters: float, tempo: float
) -> tuple[tuple[float, float], ...]:
    """As many verses as fill the least time, cut at both ends, a phrase of one played twice."""
    whole = int(quarters)
    needed = LEAST_SECONDS * QUARTERS_PER_MINUTE / 60 * tempo
    sections = [(0.0, quarters)] * max(1, int(np.ceil(needed / quarters)))
    if rng.random() < 0.5:
        verse = int(rng.integers(len(sections)))
        again = float(PHRASE_QUARTERS) * int(rng.integers(whole // PHRASE_QUARTERS - 1))
        sections[verse : verse + 1] = [(0.0, again + PHRASE_QUARTERS), (again, quarters)]
    start = float(rng.integers(whole // 3)) if rng.random() < 0.5 else 0.0
    end = quarters - (float(rng.integers(whole // 3)) if rng.random() < 0.5 else 0.0)
    if len(sections) == 1:
        return ((start, end),)
    # A section that was cut away altogether would leave a hole.
    first = (min(start, sections[0][1] - 1), sections[0][1])
    last = (sections[-1][0], max(end, sections[-1][0] + 1))
    return (first, *sections[1:-1], last)


def _scale(voices: Sequence[Voice]) -> NDArray[np.int64]:
    """The seven pitch classes that sound longest."""
    notes = np.concatenate(voices)
    classes = notes[:, 2].astype(np.int64) % PITCH_CLASSES
    durations = np.bincount(classes, notes[:, 1], minlength=PITCH_CLASSES)
    return np.argsort(-durations, kind="stable")[:NOTES_OF_A_SCALE]


def _section(voice: Voice, start: float, end: float) -> Voice:
    """The notes of a voice between two times, cut there, with `start` as time 0."""
    onset = np.maximum(voice[:, 0], start)
    duration = np.minimum(voice[:, 0] + voice[:, 1], end) - onset
    return np.column_stack([onset - start, duration, voice[:, 2]])[duration > 0]


def _decorate(voice: Voice, scale: NDArray[np.int64], probability: float, rng: Generator) -> Voice:
    """Fill thirds with passing notes and decorate other notes with their neighbours."""
    chosen = (rng.random(len(voice)) < probability) & (voice[:, 1] >= 1)
    upwards = rng.random(len(voice)) < 0.5
    following = np.append(voice[1:, 2], voice[-1:, 2])
    rows: list[tuple[float, float, float]] = []
    for i, (onset, duration, pitch) in enumerate(voice):
        if not chosen[i]:
            rows.append((onset, duration, pitch))
            continue
        leap = following[i] - pitch
        passing = abs(leap) in (3, 4)
        step = np.sign(leap) if passing else (1 if upwards[i] else -1)
        added = pitch + step
        while int(added) % PITCH_CLASSES not in scale:
            added += step
        rows += [(onset, duration / 2, pitch)]
        if passing:
            rows += [(onset + duration / 2, duration / 2, added)]
        else:
            rows += [(onset + duration / 2, duration / 4, added)]
            rows += [(onset + duration * 3 / 4, duration / 4, pitch)]
    return np.array(rows).reshape(-1, 3)


def _strike(voice: Voice, manner: str, wait: float) -> Voice:
    """Split notes into strokes, which begin after the fraction `wait` of a stroke if broken."""
    if manner not in ("repeated", "broken"):
        return voice
    grid = 0.5 if manner == "repeated" else 1.0
    rows = []
    for onset, duration, pitch in voice:
        end = onset + duration
        inner = np.arange(np.floor(onset / grid) + 1, np.ceil(end / grid)) * grid
        edges = np.concatenate([[onset], inner, [end]])
        rows += [(a, b - a, pitch) for a, b in pairwise(edges)]
    strokes = np.array(rows).reshape(-1, 3)
    if manner == "broken":
        strokes[:, 0] += wait * strokes[:, 1]
        strokes[:, 1] *= 1 - wait
    return strokes


def _clock(
    quarters: float, rendition: Rendition, rng: Generator
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Quarter notes to seconds: a tempo that changes slowly, a new goal in every phrase."""
    goals = np.arange(0.0, quarters + PHRASE_QUARTERS, PHRASE_QUARTERS)
    changes = rng.normal(0.0, rendition.drift, len(goals))
    grid = np.arange(0.0, quarters + 0.25, 0.25)
    tempo = QUARTERS_PER_MINUTE * rendition.tempo * np.exp(np.interp(grid, goals, changes))
    seconds = np.concatenate([[0.0], np.cumsum(60 / tempo[:-1] * 0.25)])
    return lambda at: np.interp(at, grid, seconds)
