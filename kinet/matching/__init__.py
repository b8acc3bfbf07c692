"""Where two recordings match: which passages, how many semitones apart, at which tempi."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from kinet.config import PITCH_CLASSES, FeatureConfig
from kinet.data.feature_files import as_hpcp
from kinet.errors import DataError
from kinet.matching.paths import Path, passages_of
from kinet.matching.recurrence import MOMENT, Hpcp, common_key, cross_recurrence, in_steps

__all__ = ["BY_CHANCE", "Alignment", "Passage", "align", "clock"]

#: Of a hundred pairs of recordings of different songs one has a higher score
#: (ANTHEMS-DEV in docs/benchmarks/alignment.md).
BY_CHANCE = 0.42

_PASSAGES = 8
_SHORTEST = 20


@dataclass(frozen=True)
class Passage:
    """A part of one recording that sounds like a part of the other.

    Attributes
    ----------
    start_a, end_a, start_b, end_b : float
        In seconds from the beginning of each recording.
    length : int
        Vectors of its path that match, less those that do not.
    path : ndarray of int, shape (P, 2)
        Pairs of vectors, one of each recording, which are the same moment of the music; both grow.

    Examples
    --------
    >>> print(Passage(40.2, 95, 72, 3670, 100, np.zeros((0, 2), int)))
    0:40-1:35 ~ 1:12-1:01:10
    """

    start_a: float
    end_a: float
    start_b: float
    end_b: float
    length: int
    path: Path = field(repr=False, compare=False)

    def __str__(self) -> str:
        """Where it is in both, as people write it."""
        return (
            f"{clock(self.start_a)}-{clock(self.end_a)} ~ {clock(self.start_b)}-{clock(self.end_b)}"
        )


@dataclass(frozen=True)
class Alignment:
    """Where and how two recordings match.

    Attributes
    ----------
    score : float
        How much of the shorter recording the longest path through both covers, from 0 to 1: its
        length (Qmax) divided by the moments of the shorter one. It ranks; it is no probability.
    transposition : int
        Semitones by which the second recording is above the first, -5 to 6.
    tempo_ratio : float
        Tempo of the second recording, divided by that of the first; 1 without a passage.
    passages : tuple of Passage
        The longest first: the parts of the longest path between what only one of the recordings
        has, and what matches besides. No moment of either recording is in two of them.
    """

    score: float
    transposition: int
    tempo_ratio: float
    passages: tuple[Passage, ...]


def align(a: ArrayLike, b: ArrayLike, config: FeatureConfig | None = None) -> Alignment:
    """Find the passages of two recordings that match.

    The key of the second is brought to that of the first, moments that are alike are found, and
    through them the longest path with gaps (Qmax: J. Serrà, X. Serra, R. G. Andrzejak, "Cross
    recurrence quantification for cover song identification", New Journal of Physics 11, 2009), cut
    where it leads through what only one of the two has. What is left of both is searched for more.

    Recordings of more than half an hour each are compared in coarser steps, as of
    `kinet.matching.recurrence.in_steps`.

    Parameters
    ----------
    a, b : array_like, shapes (T, 12) and (U, 12)
        Their HPCP; T and U from 6, 2.8 s.
    config : FeatureConfig, optional
        With which settings both were made; by default kinet's.

    Returns
    -------
    Alignment
        Of two recordings that have nothing in common too: then its score is low.

    Raises
    ------
    DataError
        If one is no HPCP or too short.

    Examples
    --------
    >>> hpcp = np.random.default_rng(0).random((300, 12))
    >>> found = align(hpcp[60:210], np.roll(hpcp, 3, axis=1))
    >>> found.score, found.transposition, found.tempo_ratio, len(found.passages)
    (1.0, 3, 1.0, 1)
    >>> passage = found.passages[0]
    >>> [round(s) for s in (passage.start_a, passage.end_a, passage.start_b, passage.end_b)]
    [0, 70, 28, 98]
    """
    hpcp_a, hpcp_b = _checked(a, "the first"), _checked(b, "the second")
    hpcp_a, hpcp_b, step = in_steps(hpcp_a, hpcp_b)
    rotation = common_key(hpcp_a, hpcp_b)
    recurrence = cross_recurrence(hpcp_a, np.roll(hpcp_b, rotation, axis=1))
    seconds = (config or FeatureConfig()).seconds_per_vector
    found, longest = passages_of(recurrence, _PASSAGES, math.ceil(_SHORTEST / step))
    upwards = -rotation % PITCH_CLASSES
    return Alignment(
        score=longest / min(recurrence.shape),
        transposition=upwards - PITCH_CLASSES if upwards > PITCH_CLASSES // 2 else upwards,
        tempo_ratio=_tempo_ratio([path for path, _ in found]),
        passages=tuple(_passage(path, length, seconds, step) for path, length in found),
    )


def clock(seconds: float) -> str:
    """A place in a recording as people write it: minutes and seconds, hours where there are some.

    Examples
    --------
    >>> clock(7.4), clock(59.6), clock(3723)
    ('0:07', '1:00', '1:02:03')
    """
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def _checked(values: ArrayLike, which: str) -> Hpcp:
    hpcp = as_hpcp(values, f"HPCP of {which} recording")
    if len(hpcp) < MOMENT:
        raise DataError(
            f"{which} recording has {len(hpcp)} vectors; need at least {MOMENT} to align it"
        )
    return hpcp


def _passage(path: Path, length: int, seconds: float, step: int) -> Passage:
    seconds *= step
    (start_a, start_b), (end_a, end_b) = path[0] * seconds, (path[-1] + MOMENT) * seconds
    places = (float(start_a), float(end_a), float(start_b), float(end_b))
    return Passage(*places, length * step, path * step)


def _tempo_ratio(paths: list[Path]) -> float:
    """How fast the paths go through the first recording for each vector of the second."""
    spread_a, spread_b = sum((path.var(axis=0) * len(path) for path in paths), np.zeros(2))
    return float(np.sqrt(spread_a / spread_b)) if spread_b else 1.0
