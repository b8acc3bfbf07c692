"""MusicXML and kern to works, with music21 (PyPI ``music21``, extra ``scores``)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinet.errors import SettingsError
from kinet.versions.works import SYMBOLS, Work, sensible_tempo, work_of


def read_score(path: Path, content: bytes) -> Iterator[Work | None]:
    """The work of a file of MusicXML or kern, None if it has no notes.

    Parameters
    ----------
    path : Path
        The file.
    content : bytes
        What is in it.

    Raises
    ------
    SettingsError
        If music21 is not installed.
    Exception
        What music21 raises for a damaged file.
    """
    try:
        import music21
    except ImportError as error:
        raise SettingsError(
            f"reading {path} needs music21; allowed: pip install 'mulkinet[scores]'"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score = music21.converter.parse(path, forceSource=True)
        yield _of_music21(score, path, content)


def _of_music21(score: Any, path: Path, content: bytes) -> Work | None:
    from music21 import tempo

    marks = [
        mark.getQuarterBPM() for mark in score.recurse().getElementsByClass(tempo.MetronomeMark)
    ]
    beat = 60.0 / sensible_tempo([float(m) for m in marks if m])
    names: list[str] = []
    rows: list[NDArray[np.float64]] = []
    for part in score.parts or [score]:
        part = _with_repeats(part)
        notes, symbols = _rows_of_part(part)
        for found, name in ((notes, part.partName or ""), (symbols, SYMBOLS)):
            if len(found):
                found[:, :2] *= beat
                rows.append(np.column_stack([found, np.full(len(found), len(names))]))
                names.append(name)
    title = score.metadata.bestTitle if score.metadata else None
    return work_of(title or path.stem, path.name, content, beat, names, rows)


def _with_repeats(part: Any) -> Any:
    """The part as it is played; one whose repeats make no sense is taken as it is written."""
    from music21.repeat import ExpanderException, RepeatMark

    # Without any, music21 would copy the part all the same, which takes a third of the time.
    if not any(isinstance(element, RepeatMark) for element in part.recurse()):
        return part
    try:
        return part.expandRepeats()
    except (ExpanderException, AttributeError, IndexError, ValueError):
        return part


def _rows_of_part(part: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Onset and duration in quarters, pitch and velocity of notes, and of chord symbols."""
    from music21.harmony import ChordSymbol, Harmony

    flat = part.stripTies().flatten()
    end = float(flat.highestTime)
    notes: list[tuple[float, float, int, int]] = []
    symbols = []
    for element in flat.notes:
        onset = float(element.offset)
        if isinstance(element, Harmony):
            if isinstance(element, ChordSymbol) and element.pitches:
                symbols.append((onset, [pitch.midi for pitch in element.pitches]))
            continue
        duration = float(element.quarterLength)
        velocity = int(element.volume.velocity or 80)
        notes += [
            (onset, duration, pitch.midi, velocity) for pitch in element.pitches if duration > 0
        ]
    chords: list[tuple[float, float, int, int]] = []
    for i, (onset, pitches) in enumerate(symbols):
        until = symbols[i + 1][0] if i + 1 < len(symbols) else end
        chords += [(onset, until - onset, pitch, 80) for pitch in pitches if until > onset]
    return (
        np.array(notes, dtype=np.float64).reshape(-1, 4),
        np.array(chords, dtype=np.float64).reshape(-1, 4),
    )
