"""Queries to the songs of a library: a shortlist by embeddings, the best of which are aligned."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinet.address import Address
from kinet.config import FeatureConfig
from kinet.errors import SettingsError
from kinet.library.calibration import Calibration
from kinet.library.rows import File
from kinet.library.shortlisting import Query, recordings_aligned, shortlist
from kinet.library.snapshot import Snapshot
from kinet.matching import Alignment, Passage, align
from kinet.matching.recurrence import MOMENT
from kinet.remote import AnyPath

# Of a recording that is too short to be aligned, such as a jingle.
_NOTHING = Alignment(score=0.0, transposition=0, tempo_ratio=1.0, passages=())
#: Songs that are given.
TOP = 10
#: Seconds that a query must have: less says nothing.
SHORTEST = 10.0


@dataclass(frozen=True)
class Match:
    """A song that was found.

    Attributes
    ----------
    title, artist : str
        Of the recording of the song that matches best.
    song : str
        The id of the work where it was stated, else empty.
    path : pathlib.Path or Url
        Of the recording.
    score : float
        How much of the shorter recording its longest passage covers, from 0 to 1. It ranks.
    probability : float or None
        That this is a version of the query; None where the library is not calibrated.
    similarity : float
        Of their embeddings, as of `kinet.library.snapshot.Snapshot.similarities`.
    length : int
        Moments of the shorter of the two, of which the score is a share; 0 if it has none.
    transposition : int
        Semitones by which the recording is above the query, -5 to 6.
    tempo_ratio : float
        Tempo of the recording, divided by that of the query.
    passages : tuple of kinet.matching.Passage
        Where: seconds of the query (a) and of the recording (b), the longest first.
    others : tuple of pathlib.Path or Url
        Further files of the song that match, exact copies too.
    hpcp : ndarray of float32, shape (T, 12), or None
        Of the recording, where it is an answer to a query.
    """

    title: str
    artist: str
    song: str
    path: AnyPath
    score: float
    probability: float | None
    similarity: float
    length: int
    transposition: int
    tempo_ratio: float
    passages: tuple[Passage, ...]
    others: tuple[AnyPath, ...]
    hpcp: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)

    @property
    def confidence(self) -> float:
        """The probability, or where there is none the score."""
        return self.score if self.probability is None else self.probability


@dataclass(frozen=True)
class Missing:
    """A library of several that are searched together that could not be asked.

    Attributes
    ----------
    path : pathlib.Path or Address
        Its file, or its database.
    message : str
        Why, in one line.
    """

    path: Path | Address
    message: str


@dataclass(frozen=True)
class Shelf:
    """What a search takes of a library, all of one moment.

    Attributes
    ----------
    snapshot : Snapshot
    files : mapping of int to sequence of File
        By recording.
    hpcp : callable
        From the number of a recording to its HPCP.
    features : FeatureConfig
        Of the HPCP.
    calibration : Calibration or None
    missing : tuple of Missing
        Of several libraries those that nothing is of.
    """

    snapshot: Snapshot
    files: Mapping[int, Sequence[File]]
    hpcp: Callable[[int], NDArray[np.float32]]
    features: FeatureConfig
    calibration: Calibration | None
    missing: tuple[Missing, ...] = ()


def search(
    shelf: Shelf, query: Query, top: int = TOP, threshold: float = 0.0, aligned: int | None = None
) -> tuple[Match, ...]:
    """The songs that match a query, the best first.

    Parameters
    ----------
    shelf : Shelf
    query : Query
    top : int
        Songs at most, from 1.
    threshold : float
        In [0, 1]: the least probability, or of a library without calibration the least score.
    aligned : int, optional
        Recordings that are aligned; at least `top` are. By default as of `length_of_shortlist`.

    Raises
    ------
    SettingsError
        If a number is out of range.
    """
    require_range(top, threshold)
    listed = shortlist(shelf.snapshot, query, recordings_aligned(query, top, aligned))
    with one_thread():
        found = [compared(shelf, query.hpcp, place, similarity) for place, similarity in listed]
    songs: dict[object, list[Match]] = {}
    for match in sorted(found, key=lambda match: -match.score):
        songs.setdefault(match.song or match.path, []).append(match)
    best = [_of_song(matches) for matches in songs.values()]
    shown = [match for match in best if match.confidence >= threshold][:top]
    looked_at = [int(shelf.snapshot.numbers[place]) for place, _ in listed]
    numbers = {shelf.files[number][0].path: number for number in looked_at}
    return tuple(replace(match, hpcp=shelf.hpcp(numbers[match.path])) for match in shown)


def require_range(top: int, threshold: float) -> None:
    """Refuse numbers that no search can have.

    Raises
    ------
    SettingsError
        If one is out of range.
    """
    if top < 1:
        raise SettingsError(f"top is {top}; allowed: an integer from 1")
    if not 0 <= threshold <= 1:
        raise SettingsError(f"threshold is {threshold}; allowed: from 0 to 1")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """For alignment: its matrices are so small that threads of BLAS wait for each other."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield


def compare_pairs(
    shelf: Shelf,
    pairs: Mapping[tuple[int, int], float],
    progress: Callable[[int, int], object] | None = None,
) -> Iterator[tuple[tuple[int, int], Match]]:
    """Recordings of a library with each other: the second of each pair as seen from the first.

    Parameters
    ----------
    shelf : Shelf
    pairs : mapping of (int, int) to float
        Two places, and the similarity of what is there.
    progress : callable, optional
        Called with the number of pairs that are aligned, and of all.
    """
    with one_thread():
        for done, ((one, other), similarity) in enumerate(pairs.items(), start=1):
            hpcp = shelf.hpcp(int(shelf.snapshot.numbers[one]))
            yield (one, other), compared(shelf, hpcp, other, similarity)
            if progress:
                progress(done, len(pairs))


def compared(shelf: Shelf, hpcp: NDArray[np.float32], place: int, similarity: float) -> Match:
    """HPCP ``(T, 12)`` and one recording of a library, aligned."""
    number = int(shelf.snapshot.numbers[place])
    files = shelf.files[number]
    own = shelf.hpcp(number)
    long_enough = min(len(hpcp), len(own)) >= MOMENT
    found = align(hpcp, own, shelf.features) if long_enough else _NOTHING
    length = max(0, min(len(hpcp), len(own)) - MOMENT + 1)
    calibration, sure = shelf.calibration, None
    if calibration:
        sure = calibration.probability(found.score, similarity, length) if length else 0.0
    return Match(
        title=files[0].title,
        artist=files[0].artist,
        song=next((file.song for file in files if file.song), ""),
        path=files[0].path,
        score=found.score,
        probability=sure,
        similarity=similarity,
        length=length,
        transposition=found.transposition,
        tempo_ratio=found.tempo_ratio,
        passages=found.passages,
        others=tuple(file.path for file in files[1:]),
    )


def _of_song(matches: list[Match]) -> Match:
    best = matches[0]
    others = [path for match in matches[1:] for path in (match.path, *match.others)]
    return Match(**{**vars(best), "others": (*best.others, *others)})
