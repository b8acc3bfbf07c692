"""Bach's four-part chorales, read with music21, every tune once.

The scores are in the corpus of music21 (PyPI ``music21``, extra ``quickstart``), with the titles
of the Riemenschneider edition. Of the chorales with one title only the first is a candidate. Many
texts are sung to one tune, so of the candidates whose sopranos share much of their melody only
one is taken, whatever their titles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinet.errors import DataError, SettingsError

# Onset and duration in quarter notes, MIDI pitch; one row per note, in order of onset.
Voice = NDArray[np.float64]
Fragments = frozenset[tuple[int, ...]]

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
LEAST_QUARTERS = 24.0

# Two sopranos are one tune if at least this part of the fragments of one of them, of four
# intervals each, occurs in the other. Of 196 pairs of chorales with one title, 92 % reach it (the
# others are mostly two tunes for one text); of 60,530 pairs with two titles, 0.9 %.
SAME_TUNE = 0.4
INTERVALS = 4


@dataclass(frozen=True)
class Chorale:
    """A score: title, number in the catalogue of Bach's works, path of the file."""

    title: str
    bwv: str
    path: str


@dataclass(frozen=True, eq=False)
class Piece:
    """The notes of a chorale, from the soprano down; ties are joined, repeats are not played."""

    chorale: Chorale
    voices: tuple[Voice, ...]

    @property
    def quarters(self) -> float:
        """Length in quarter notes."""
        return float(max(voice[-1, 0] + voice[-1, 1] for voice in self.voices))


def music21_version() -> str:
    """Version of music21.

    Raises
    ------
    DataError
        If it is not installed.

    Examples
    --------
    >>> music21_version().split(".")[0].isdigit()
    True
    """
    try:
        import music21
    except ImportError as error:
        raise DataError(
            f"the chorales need music21, which cannot be imported ({error}); "
            'install it with: pip install "mulkinet[quickstart]"'
        ) from error
    return str(music21.__version__)


def chorales() -> list[Chorale]:
    """The chorales of the Riemenschneider edition, one for every title, in its order.

    Raises
    ------
    DataError
        If music21 is not installed.

    Examples
    --------
    >>> chorales()[0].title, chorales()[0].bwv
    ('Aus meines Herzens Grunde', '269')
    """
    music21_version()
    from music21 import corpus
    from music21.corpus.chorales import ChoraleListRKBWV

    files = {path.stem: str(path) for path in corpus.getComposer("bach", fileExtensions=("mxl",))}
    found: dict[str, Chorale] = {}
    for entry in ChoraleListRKBWV().byRiemenschneider.values():
        title, bwv = str(entry["title"]), str(entry["bwv"])
        letters = "".join(filter(str.isalpha, title.partition("(")[0].casefold()))
        if f"bwv{bwv}" in files:
            found.setdefault(letters, Chorale(title, bwv, files[f"bwv{bwv}"]))
    return list(found.values())


def read_piece(chorale: Chorale) -> Piece | None:
    """Read a score; None if it is not for four voices or has less than 24 quarter notes.

    Examples
    --------
    >>> piece = read_piece(chorales()[0])
    >>> len(piece.voices), piece.quarters
    (4, 63.0)
    """
    from music21 import converter

    # music21 would otherwise leave a pickle of every score in the folder for temporary files.
    score = converter.parse(chorale.path, forceSource=True, storePickle=False)
    parts = {part.partName: part for part in score.parts}
    if not set(VOICES) <= set(parts):
        return None
    voices = tuple(_voice(parts[name]) for name in VOICES)
    if not all(map(len, voices)):
        return None
    piece = Piece(chorale, voices)
    return piece if piece.quarters >= LEAST_QUARTERS else None


class DistinctPieces:
    """Pieces of which no two have the same tune, as they come.

    Parameters
    ----------
    count : int
        Number of pieces that are wanted.

    Attributes
    ----------
    pieces : list of Piece
        Those that were taken.
    """

    def __init__(self, count: int) -> None:
        self.pieces: list[Piece] = []
        self._count = count
        self._tunes: list[Fragments] = []

    def add(self, piece: Piece | None) -> bool:
        """Take a piece if its tune is another; None is passed over. Returns whether some lack."""
        if piece is not None and len(self.pieces) < self._count:
            tune = melody_fragments(piece.voices[0])
            if all(similarity(tune, other) < SAME_TUNE for other in self._tunes):
                self._tunes.append(tune)
                self.pieces.append(piece)
        return len(self.pieces) < self._count

    def require_all(self) -> None:
        """Raise a SettingsError if there are fewer than wanted."""
        most = len(self.pieces)
        if most < self._count:
            raise SettingsError(f"number of songs is {self._count}; allowed: at most {most} tunes")


def melody_fragments(voice: Voice) -> Fragments:
    """All sequences of four intervals between different pitches on the beats of a melody.

    Transposition does not matter, nor do repeated notes, rhythm and notes between the beats.

    Parameters
    ----------
    voice : ndarray, shape (n_notes, 3)
        Onset and duration in quarter notes and MIDI pitch, in order of onset.

    Returns
    -------
    frozenset of tuple of int
        In semitones.

    Examples
    --------
    >>> scale = np.array([[0, 1, 60], [1, 1, 62], [2, 1, 64], [3, 1, 65], [4, 2, 67]])
    >>> melody_fragments(scale)
    frozenset({(2, 2, 1, 2)})
    """
    beats = np.arange(voice[-1, 0] + voice[-1, 1])
    latest = np.searchsorted(voice[:, 0], beats, side="right") - 1
    sounding = (latest >= 0) & (beats < voice[latest, 0] + voice[latest, 1])
    intervals = np.diff(voice[latest[sounding], 2])
    steps = [int(interval) for interval in intervals if interval]
    return frozenset(tuple(steps[i : i + INTERVALS]) for i in range(len(steps) - INTERVALS + 1))


def similarity(one: Fragments, other: Fragments) -> float:
    """Part of the smaller set of fragments that is also in the other; 1 if one of them is empty.

    Examples
    --------
    >>> similarity(frozenset({(1, 2), (3, 4)}), frozenset({(1, 2), (5, 6), (7, 8)}))
    0.5
    """
    smaller = min(len(one), len(other))
    return len(one & other) / smaller if smaller else 1.0


def _voice(part: object) -> Voice:
    rows: list[list[float]] = []
    for note in part.flatten().notes:  # type: ignore[attr-defined]
        onset, duration = float(note.offset), float(note.quarterLength)
        # The highest of a divided voice; a grace note has no duration.
        pitch = float(note.pitches[-1].midi)
        tied = note.tie is not None and note.tie.type in ("stop", "continue")
        if tied and rows and rows[-1][2] == pitch:
            rows[-1][1] = onset + duration - rows[-1][0]
        elif duration > 0:
            rows.append([onset, duration, pitch])
    return np.array(rows).reshape(-1, 3)
