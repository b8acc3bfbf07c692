"""Files of music in notes, MIDI, MusicXML and ABC, to works: who plays what when."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinet.errors import DataError, SettingsError

MELODY, BASS, CHORDS, OTHER = range(4)
ROLES = ("melody", "bass", "chords", "other")

# Used where a score does not say how fast it is.
QUARTERS_PER_MINUTE = 100.0
SLOWEST, FASTEST = 30.0, 300.0

MIDI = (".mid", ".midi")
ABC = (".abc",)
MUSICXML = (".mxl", ".musicxml", ".xml")
KERN = (".krn",)
SUFFIXES = (*MIDI, *ABC, *MUSICXML, *KERN)

LONGEST_SECONDS = 3600.0
SYMBOLS = "chord symbols"

_MELODY_NAMES = re.compile(
    r"melod|vo(ice|cal|x)|sing|sopran|chant|canto|gesang|lead|cantus|solo|violin|flute", re.I
)
_BASS_NAMES = re.compile(r"bass|basso|pedal|violoncello|cello|tuba", re.I)


@dataclass(frozen=True)
class Work:
    """A piece of music as notes.

    Parameters
    ----------
    title : str
        As its file says, or the name of the file.
    file : str
        Name of the file, with the number of the tune in it where it holds several.
    sha256 : str
        Of the bytes of the file, or of the tune in it, hexadecimal.
    beat : float
        Seconds of a quarter note.
    roles : tuple of int
        What every track is: `MELODY`, `BASS`, `CHORDS` (chord symbols; the lowest note of a
        chord is its root) or `OTHER`.
    onset, duration : ndarray of float64
        In seconds, in order of onset; from 0.
    pitch, velocity, track : ndarray of int64
        MIDI numbers, loudness in 1..127, index into `roles`.
    """

    title: str
    file: str
    sha256: str
    beat: float
    roles: tuple[int, ...]
    onset: NDArray[np.float64]
    duration: NDArray[np.float64]
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]
    track: NDArray[np.int64]

    @property
    def seconds(self) -> float:
        """When the last note ends."""
        return float((self.onset + self.duration).max(initial=0.0))


def find_scores(folder: str | os.PathLike[str]) -> list[Path]:
    """Files below a folder whose names say that kinet can read their notes, in order of names.

    Parameters
    ----------
    folder : path

    Returns
    -------
    list of Path

    Raises
    ------
    DataError
        If the folder does not exist or holds no such file.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; allowed: a folder of {', '.join(SUFFIXES)}")
    found = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise DataError(f"{root} holds no scores; allowed: files of {', '.join(SUFFIXES)}")
    return found


def read_works(path: str | os.PathLike[str]) -> list[Work]:
    """Read the works of one file.

    Repeats are played where the file says so. Grace notes and percussion are left out.

    Parameters
    ----------
    path : path
        MIDI, ABC (one tune or many), MusicXML (also compressed) or Humdrum's kern.

    Returns
    -------
    list of Work
        One, but for ABC as many as there are tunes. A tune without notes is left out.

    Raises
    ------
    DataError
        If the file cannot be read, is damaged, or holds no note at all.
    SettingsError
        If the package that reads such files is not installed.
    """
    path = Path(path)
    readers: dict[tuple[str, ...], Callable[[Path, bytes], Iterator[Work | None]]] = {
        MIDI: _read_midi,
        ABC: _read_abc,
        MUSICXML: _read_score,
        KERN: _read_score,
    }
    reader = next((r for suffixes, r in readers.items() if path.suffix.lower() in suffixes), None)
    if reader is None:
        raise DataError(f"{path} is no score; allowed: files of {', '.join(SUFFIXES)}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    works = [work for work in reader(path, content) if work is not None]
    if not works:
        raise DataError(f"{path} holds no notes; allowed: files with at least one")
    return works


def _read_midi(path: Path, content: bytes) -> Iterator[Work | None]:
    score = _parse(path, lambda: _symusic().Score.from_midi(content))
    yield _of_symusic(score, path.stem, path.name, content)


def _read_abc(path: Path, content: bytes) -> Iterator[Work | None]:
    text = _decoded(content)
    starts = [match.start() for match in re.finditer(r"^X:", text, re.M)]
    if not starts:
        raise DataError(f"{path} holds no tune; allowed: ABC with a line X: before every tune")
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(text)], strict=True)):
        tune = text[start:end]
        name = path.name if len(starts) == 1 else f"{path.name}#{number + 1}"
        score = _parse(path, partial(_tune, tune))
        title = re.search(r"^T:\s*(.+?)\s*$", tune, re.M)
        title_text = title.group(1) if title else path.stem
        yield _of_symusic(score, title_text, name, tune.encode())


def _tune(text: str) -> Any:
    """A tune of ABC. The library behind symusic talks on stdout and stderr of the process."""
    abc = _symusic().Score.from_abc
    with open(os.devnull, "wb") as nowhere:
        kept = [os.dup(1), os.dup(2)]
        try:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
            return abc(text)
        finally:
            for descriptor, number in zip(kept, (1, 2), strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)


def _read_score(path: Path, content: bytes) -> Iterator[Work | None]:
    try:
        import music21
    except ImportError as error:
        raise SettingsError(
            f"reading {path} needs music21; allowed: pip install 'mulkinet[scores]'"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score = _parse(path, lambda: music21.converter.parse(path, forceSource=True))
        yield _parse(path, lambda: _of_music21(score, path, content))


def _parse(path: Path, read: Callable[[], Any]) -> Any:
    """What a library reads; whatever it stumbles over is a fault of the file."""
    try:
        return read()
    except (SettingsError, DataError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"cannot read {path}: {reason[:200]}") from error


def _symusic() -> Any:
    try:
        import symusic
    except ImportError as error:
        raise SettingsError(
            "reading MIDI and ABC needs symusic; allowed: pip install 'mulkinet[scores]'"
        ) from error
    return symusic


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _of_symusic(score: Any, title: str, file: str, content: bytes) -> Work | None:
    beat = 60.0 / _sensible_tempo([float(t.qpm) for t in score.tempos])
    names: list[str] = []
    rows: list[NDArray[np.float64]] = []
    for track in score.to("second").tracks:
        if track.is_drum or not len(track.notes):
            continue
        notes = track.notes.numpy()
        columns = [notes[key] for key in ("time", "duration", "pitch", "velocity")]
        rows.append(np.column_stack([*columns, np.full(len(columns[0]), len(names))]))
        names.append(track.name)
    return _work(title, file, content, beat, names, rows)


def _of_music21(score: Any, path: Path, content: bytes) -> Work | None:
    from music21 import tempo

    marks = [
        mark.getQuarterBPM() for mark in score.recurse().getElementsByClass(tempo.MetronomeMark)
    ]
    beat = 60.0 / _sensible_tempo([float(m) for m in marks if m])
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
    return _work(title or path.stem, path.name, content, beat, names, rows)


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


def _sensible_tempo(marks: list[float]) -> float:
    """The first tempo that a person could mean, in quarter notes per minute."""
    return next((mark for mark in marks if SLOWEST <= mark <= FASTEST), QUARTERS_PER_MINUTE)


def _work(
    title: str,
    file: str,
    content: bytes,
    beat: float,
    names: list[str],
    rows: list[NDArray[np.float64]],
) -> Work | None:
    notes = np.concatenate(rows) if rows else np.zeros((0, 5))
    sane = np.isfinite(notes).all(axis=1) & (notes[:, 1] > 0) & (notes[:, 0] >= 0)
    sane &= (notes[:, 2] >= 0) & (notes[:, 2] < 128) & (notes[:, 0] < LONGEST_SECONDS)
    notes = notes[sane]
    if all(names[int(track)] == SYMBOLS for track in notes[:, 4]):  # or there are none
        return None
    notes = notes[np.lexsort((notes[:, 2], notes[:, 0]))]
    notes[:, 0] -= notes[0, 0]
    return Work(
        title=" ".join(title.split()),
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        beat=beat,
        roles=_roles(names, notes),
        onset=notes[:, 0],
        duration=notes[:, 1],
        pitch=notes[:, 2].astype(np.int64),
        velocity=np.clip(notes[:, 3], 1, 127).astype(np.int64),
        track=notes[:, 4].astype(np.int64),
    )


def _roles(names: list[str], notes: NDArray[np.float64]) -> tuple[int, ...]:
    """What every track is, by its name, otherwise by its register."""
    mean = [
        notes[notes[:, 4] == i, 2].mean() if (notes[:, 4] == i).any() else 60.0
        for i in range(len(names))
    ]
    roles = [OTHER] * len(names)
    for i, name in enumerate(names):
        if name == SYMBOLS:
            roles[i] = CHORDS
        elif _BASS_NAMES.search(name):
            roles[i] = BASS
        elif _MELODY_NAMES.search(name):
            roles[i] = MELODY
    played = [i for i in range(len(names)) if roles[i] != CHORDS]
    if played and MELODY not in roles:
        roles[max(played, key=lambda i: mean[i])] = MELODY
    if len(played) > 1 and BASS not in roles:
        lowest = min(played, key=lambda i: mean[i])
        if roles[lowest] == OTHER:
            roles[lowest] = BASS
    return tuple(roles)
