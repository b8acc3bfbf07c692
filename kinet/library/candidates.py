"""Which recordings of a library are worth aligning: all are compared with all, each pair once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinet.library.snapshot import Snapshot, largest

# Recordings that each is aligned with.
_CANDIDATES = 10
# Recordings that are compared with all at once, and products that stay in the processor's caches.
_AT_ONCE, _PRODUCTS = 256, 2**18


def candidates(
    snapshot: Snapshot,
    shares: NDArray[np.float32],
    progress: Callable[[int, int], object] | None = None,
) -> dict[tuple[int, int], float]:
    """Pairs of places that are worth aligning, with their similarities; the lesser place first.

    Of each recording those that it is most like, once hubs are corrected, as if it were a query: to
    a short one hubs count less, see `kinet.library.shortlisting.Query.behind`. So each side of a
    pair has its own view of it, and one that takes the other for near is enough. One product of two
    pieces serves both, each of which is differently like the other: see `Snapshot.similarities`.

    Parameters
    ----------
    snapshot : Snapshot
    shares : ndarray of float32, shape (R,)
        By how much hubs count to each recording: `kinet.library.shortlisting.share_of_window`.
    progress : callable, optional
        Called with the number of pairs that are compared, and of all.
    """
    count = len(snapshot.numbers)
    if count < 2:
        return {}
    nearest = _Nearest(snapshot.hubs, shares, min(_CANDIDATES, count - 1))
    for begin, end in _lots(snapshot.starts):
        lot, these = _Lot.of(snapshot, begin, end), np.arange(begin, end)
        for first, last in snapshot.blocks(1 + _PRODUCTS // (end - begin), begin):
            those = np.arange(first, last)
            forth, back = lot.compared(snapshot, first, last)
            forth[these[:, None] == those] = -np.inf  # none is its own neighbour
            nearest.add(these, forth, those)
            if last > end:  # within the lot each is already compared with each
                outside = np.arange(max(first, end), last)
                nearest.add(outside, back[outside - first], these)
        if progress:
            progress(_pairs(count) - _pairs(count - end), _pairs(count))
    return nearest.pairs()


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def _lots(starts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """First recordings and ends of those that are compared at once, as long as each other."""
    counts = np.diff(starts)
    begin = 0
    while begin < len(counts):
        part = counts[begin : begin + _AT_ONCE]
        # Each takes as much room as the longest: not more than twice what all of them need.
        padded = np.maximum.accumulate(part) * np.arange(1, len(part) + 1)
        end = begin + 1 + int(np.flatnonzero(padded <= 2 * np.cumsum(part))[-1])
        yield begin, end
        begin = end


@dataclass(frozen=True)
class _Lot:
    """Recordings that are compared with others, their first pieces side by side, their second...

    Attributes
    ----------
    pieces : ndarray of float32, shape (P, D, Q)
        Of each of Q recordings as many as the longest has: the first one again where one has less.
    shares : ndarray of float32, shape (P, Q)
        Of each piece in the mean of its recording.
    """

    pieces: NDArray[np.float32]
    shares: NDArray[np.float32]

    @classmethod
    def of(cls, snapshot: Snapshot, begin: int, end: int) -> _Lot:
        firsts, counts = snapshot.starts[begin:end], np.diff(snapshot.starts[begin : end + 1])
        steps = np.arange(counts.max())[:, None]
        is_there = steps < counts
        pieces = snapshot.vectors[np.where(is_there, firsts + steps, firsts)]
        shares = np.where(is_there, 1 / counts, 0).astype(np.float32)
        return cls(np.ascontiguousarray(pieces.transpose(0, 2, 1)), shares)

    def compared(
        self, snapshot: Snapshot, first: int, last: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """How like each recording from one place to before another is to each of these, and back.

        Returns
        -------
        forth : ndarray, shape (Q, last - first)
            As `Snapshot.similarities` of these as queries.
        back : ndarray, shape (last - first, Q)
            The other way round.
        """
        starts = snapshot.starts[first : last + 1]
        rows = snapshot.vectors[starts[0] : starts[-1]]
        forth = np.zeros((last - first, len(self.shares[0])), np.float32)
        best = np.full((len(rows), len(self.shares[0])), -np.inf, np.float32)
        for pieces, shares in zip(self.pieces, self.shares, strict=True):
            products = rows @ pieces
            np.maximum(best, products, out=best)
            forth += shares * largest(products, starts)
        back: NDArray[np.float32] = np.add.reduceat(best, starts[:-1] - starts[0], axis=0)
        back /= np.diff(starts)[:, None]
        return forth.T, back


class _Nearest:
    """Of each recording those that it is most like of all it was compared with so far."""

    def __init__(self, hubs: NDArray[np.float32], shares: NDArray[np.float32], kept: int) -> None:
        self._hubs, self._shares = hubs, shares
        self._scores = np.full((len(hubs), kept), -np.inf, np.float32)
        self._similarities = np.zeros_like(self._scores)
        self._places = np.zeros(self._scores.shape, np.int64)

    def add(
        self,
        recordings: NDArray[np.int64],
        similarities: NDArray[np.float32],
        places: NDArray[np.int64],
    ) -> None:
        """Some recordings ``(A,)`` were compared with those of some places ``(B,)``: ``(A, B)``."""
        kept = self._scores.shape[1]
        scores = 2 * similarities - self._shares[recordings, None] * self._hubs[places]
        nearer = np.flatnonzero(scores.max(axis=1) > self._scores[recordings].min(axis=1))
        if not len(nearer):
            return
        scores, chosen = scores[nearer], recordings[nearer]
        some = np.argpartition(-scores, min(kept, scores.shape[1]) - 1, axis=1)[:, :kept]
        new: tuple[NDArray[Any], ...] = (
            np.take_along_axis(scores, some, axis=1),
            np.take_along_axis(similarities[nearer], some, axis=1),
            places[some],
        )
        kinds: tuple[NDArray[Any], ...] = (self._scores, self._similarities, self._places)
        both = [
            np.concatenate([old[chosen], more], axis=1)
            for old, more in zip(kinds, new, strict=True)
        ]
        best = np.argpartition(-both[0], kept - 1, axis=1)[:, :kept]
        for old, found in zip(kinds, both, strict=True):
            old[chosen] = np.take_along_axis(found, best, axis=1)

    def pairs(self) -> dict[tuple[int, int], float]:
        """As `candidates`; of two that are near to each other as the later one is to the other."""
        found = {
            (min(place, other), max(place, other)): similarity
            for place, (others, similarities) in enumerate(
                zip(self._places.tolist(), self._similarities.tolist(), strict=True)
            )
            for other, similarity in zip(others, similarities, strict=True)
        }
        return dict(sorted(found.items()))
