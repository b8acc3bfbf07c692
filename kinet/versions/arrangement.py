"""Which notes of a work a version plays, in which order and by how many parts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kinet.errors import SettingsError
from kinet.versions.accompaniment import Rows, accompany
from kinet.versions.harmony import Chords, chords_of
from kinet.versions.works import BASS, CHORDS, MELODY, Work

JUMP_BEATS = (4, 8, 16, 32)
# Melody and bass are kept a little more often than other tracks.
BONUS = {MELODY: 0.1, BASS: 0.05}

Section = tuple[float, float]


@dataclass(frozen=True)
class Shares:
    """How often what happens; the numbers are probabilities.

    Parameters
    ----------
    new : float
        The melody with an accompaniment made from the chords, in place of the other tracks.
    melody : float
        The melody alone.
    accompaniment : float
        All but the melody, or a new accompaniment alone.
    kept : float
        A track is kept, in a version that keeps the work's own.
    jump : float
        Something is left out or played twice.
    loosened : float
        Notes are left out, early or late.
    detuned : float
        The whole is out of tune, by up to half a semitone.
    repeated : float
        A work that is shorter than the version starts again, in place of silence.
    percussion, reverberation : float
        There are drums; there is an echo.

    Raises
    ------
    SettingsError
        If one is not in [0, 1], or those of the arrangements are more than 1 together.
    """

    new: float = 0.25
    melody: float = 0.08
    accompaniment: float = 0.1
    kept: float = 0.75
    jump: float = 0.35
    loosened: float = 0.3
    detuned: float = 0.4
    repeated: float = 0.85
    percussion: float = 0.35
    reverberation: float = 0.5

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not 0 <= value <= 1:
                raise SettingsError(f"share {name} is {value!r}; allowed: from 0 to 1")
        total = self.new + self.melody + self.accompaniment
        if total > 1:
            raise SettingsError(
                f"shares new, melody and accompaniment are {total:g} together; allowed: at most 1"
            )


# A tune without anything beside it: what others would play with it matters more.
OF_SINGLE_TUNES = {"new": 0.6, "melody": 0.12, "accompaniment": 0.13}


@dataclass(frozen=True)
class Material:
    """A work, ready for many versions.

    Parameters
    ----------
    notes : ndarray, shape (n, 4)
        Onset and duration in seconds, MIDI pitch, velocity; without chord symbols.
    track : ndarray of int64, shape (n,)
        Index into `roles`.
    roles : tuple of int
        As of `Work`.
    on_top : ndarray of bool, shape (n,)
        The melody: notes of its tracks that no higher one covers when they start.
    chords : Chords
    beat, seconds : float
        Of a quarter note, and of the whole.
    """

    notes: Rows
    track: NDArray[np.int64]
    roles: tuple[int, ...]
    on_top: NDArray[np.bool_]
    chords: Chords
    beat: float
    seconds: float

    @property
    def is_single_tune(self) -> bool:
        """Whether there is a melody and next to nothing beside it."""
        return bool(self.on_top.mean() > 0.95)


def material_of(work: Work, chords: Chords | None = None) -> Material:
    """A work, ready for many versions.

    Parameters
    ----------
    work : Work
        With at least one note that is not of a chord symbol.
    chords : Chords, optional
        Where they are known; otherwise they are found.

    Returns
    -------
    Material
    """
    roles = np.array(work.roles)
    played = roles[work.track] != CHORDS
    notes = np.column_stack([work.onset, work.duration, work.pitch, work.velocity])[played]
    track = work.track[played]
    in_melody = roles[track] == MELODY
    if not in_melody.any():
        in_melody[:] = True
    on_top = np.zeros(len(notes), dtype=bool)
    on_top[in_melody] = _uncovered(notes[in_melody])
    return Material(
        notes=notes,
        track=track,
        roles=work.roles,
        on_top=on_top,
        chords=chords or chords_of(work),
        beat=work.beat,
        seconds=float((notes[:, 0] + notes[:, 1]).max()),
    )


def draw_sections(
    material: Material, start: float, seconds: float, shares: Shares, rng: Generator
) -> list[Section]:
    """Draw the form of a version.

    Parameters
    ----------
    material : Material
    start : float
        Second of the work where it begins.
    seconds : float
        How long it is, at the tempo of the work.
    shares : Shares
        Read are `jump` and `repeated`.
    rng : numpy.random.Generator

    Returns
    -------
    list of (float, float)
        What is played, one after the other, as start and end in seconds of the work; shorter
        than `seconds` in all only if the work ends before and is not repeated.
    """
    sections: list[Section] = []
    at = start
    if rng.random() < shares.jump:
        before = float(rng.uniform(0.1, 0.9)) * min(seconds, material.seconds - start)
        leave = at + round(before / material.beat) * material.beat
        by = float(rng.choice(JUMP_BEATS)) * material.beat * (1 if rng.random() < 0.5 else -1)
        if at < leave < material.seconds and 0 <= leave + by < material.seconds:
            sections.append((at, leave))
            at = leave + by
    sections.append((at, material.seconds))
    if rng.random() < shares.repeated:
        while sum(end - begin for begin, end in sections) < seconds:
            sections.append((0.0, material.seconds))
    return _first(sections, seconds)


def draw_layers(
    material: Material, sections: list[Section], shares: Shares, rng: Generator
) -> list[Rows]:
    """Draw an arrangement and play it.

    Parameters
    ----------
    material : Material
    sections : list of (float, float)
        As of `draw_sections`.
    shares : Shares
        Read are those of the arrangements, `kept` and `loosened`.
    rng : numpy.random.Generator

    Returns
    -------
    list of ndarray, shape (n, 4)
        A layer is what one instrument plays: onset and duration in seconds from the start of
        the version at the tempo of the work, MIDI pitch, velocity. Layers can be empty.
    """
    chances = (shares.new, shares.melody, shares.accompaniment)
    drawn = rng.choice(4, p=[*chances, 1 - sum(chances)])
    kept: list[NDArray[np.bool_]] = []
    accompanied = drawn == 0
    if drawn < 2:
        kept = [material.on_top]
    elif drawn == 2:
        below = _below(material)
        accompanied = not any(mask.any() for mask in below) or rng.random() < 0.5
        kept = [] if accompanied else below
    else:
        kept = _kept_tracks(material, shares, rng)
    layers = [_played(material.notes[mask], sections) for mask in kept]
    if accompanied:
        layers += _accompaniment(material, sections, rng)
    if rng.random() < shares.loosened:
        layers = [_loosened(layer, material.beat, rng) for layer in layers]
    return layers


def _first(sections: list[Section], seconds: float) -> list[Section]:
    """As much of the sections as fills the seconds."""
    kept = []
    for begin, end in sections:
        end = min(end, begin + seconds)
        seconds -= end - begin
        if end > begin:
            kept.append((begin, end))
    return kept


def _below(material: Material) -> list[NDArray[np.bool_]]:
    """The tracks that are not the melody's; where all are, what the melody covers."""
    roles = material.roles
    others = [i for i, role in enumerate(roles) if role not in (MELODY, CHORDS)]
    return [material.track == i for i in others] or [~material.on_top]


def _kept_tracks(material: Material, shares: Shares, rng: Generator) -> list[NDArray[np.bool_]]:
    tracks = [i for i, role in enumerate(material.roles) if role != CHORDS]
    drawn = {i: rng.random() for i in tracks}
    kept = [i for i in tracks if drawn[i] < shares.kept + BONUS.get(material.roles[i], 0.0)]
    return [material.track == i for i in kept or tracks]


def _accompaniment(material: Material, sections: list[Section], rng: Generator) -> list[Rows]:
    """Chords and bass between the first and the last second that is played."""
    begin, end = min(b for b, _ in sections), max(e for _, e in sections)
    layers = [
        _played(rows, sections)
        for rows in accompany(material.chords, begin, end, material.beat, rng)
    ]
    for layer in layers:
        layer[:, 3] *= 10 ** (rng.uniform(-8, 2) / 20)
    return layers


def _played(notes: Rows, sections: list[Section]) -> Rows:
    """Notes that start in a section, cut at its end, moved to where it is played."""
    rows = [np.zeros((0, 4))]
    at = 0.0
    for begin, end in sections:
        first, last = np.searchsorted(notes[:, 0], [begin - 1e-6, end - 1e-6])
        part = notes[first:last].copy()
        part[:, 0] += at - begin
        part[:, 1] = np.minimum(part[:, 1], at + end - begin - part[:, 0])
        rows.append(part)
        at += end - begin
    return np.concatenate(rows)


def _loosened(layer: Rows, beat: float, rng: Generator) -> Rows:
    """Up to 15 % of the notes left out, the others moved by up to 0.15 beats (deviation)."""
    layer = layer[rng.random(len(layer)) > rng.uniform(0.0, 0.15)]
    moved = layer[:, 0] + rng.normal(0.0, rng.uniform(0.0, 0.15) * beat, len(layer))
    layer[:, 0] = np.maximum(moved, 0.0)
    return layer


def _uncovered(notes: Rows) -> NDArray[np.bool_]:
    """Notes at whose onset no higher note sounds; notes are in order of onset."""
    onset, end, pitch = notes[:, 0], notes[:, 0] + notes[:, 1], notes[:, 2]
    # So far back a note can have started that still sounds.
    first = np.searchsorted(onset, onset - notes[:, 1].max(initial=0.0), side="left")
    last = np.searchsorted(onset, onset + 1e-3, side="right")
    top = np.ones(len(notes), dtype=bool)
    for i in range(len(notes)):
        others = slice(first[i], last[i])
        top[i] = not ((end[others] > onset[i] + 1e-3) & (pitch[others] > pitch[i])).any()
    return top
