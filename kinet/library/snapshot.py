"""All embeddings of a library in one matrix, as of one moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Rows that are compared at once, at most, and products that stay in the processor's caches.
_BLOCK, _PRODUCTS = 2**15, 2**21
# For the correction of hubs: nearest recordings that are looked at, and recordings to be nearest.
_NEIGHBOURS = 10
_SAMPLE = 500
# Recordings whose similarities to all of these are held at once.
_AT_ONCE = 2**16


@dataclass(frozen=True)
class Snapshot:
    """What is searched.

    Attributes
    ----------
    key : tuple of (bytes, int)
        Which library, after how many changes.
    vectors : ndarray of float32, shape (N, D)
        The embeddings of all pieces of all recordings.
    starts : ndarray of int64, shape (R + 1,)
        Row of the whole of each recording, which its windows follow; and N.
    numbers : ndarray of int64, shape (R,)
        Numbers of the recordings.
    hashes : ndarray of uint64, shape (R,)
        The first bytes of their SHA-256.
    hubs : ndarray of float32, shape (R,)
        How near each is to its nearest others in the mean: what is near to all says little.
    copies : ndarray of int64, shape (R,)
        How many files each has.
    """

    key: tuple[bytes, int]
    vectors: NDArray[np.float32]
    starts: NDArray[np.int64]
    numbers: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    hubs: NDArray[np.float32]
    copies: NDArray[np.int64]

    def similarities(self, queries: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """How like each recording is to each query.

        For every piece of the query the nearest piece of the recording counts, and the mean of
        these cosines is what is given.

        Parameters
        ----------
        queries : sequence of ndarray, shape (pieces, D)

        Returns
        -------
        ndarray of float32, shape (len(queries), R)
            Exact: everything is compared with everything, block by block.
        """
        found = np.empty((len(queries), len(self.numbers)), np.float32)
        stacked = np.concatenate(queries).T
        counts = np.array([len(rows) for rows in queries])
        firsts = np.cumsum(counts) - counts
        for begin, end in self.blocks(min(_BLOCK, 1 + _PRODUCTS // stacked.shape[1])):
            products = self.vectors[self.starts[begin] : self.starts[end]] @ stacked
            if len(products) > end - begin:
                products = largest(products, self.starts[begin : end + 1])
            if len(firsts) < products.shape[1]:
                products = np.add.reduceat(products, firsts, axis=1) / counts
            found[:, begin:end] = products.T
        return found

    def part(self, begin: int, end: int) -> Snapshot:
        """The recordings from one place to before another."""
        first, last = self.starts[begin], self.starts[end]
        return Snapshot(
            *(self.key, self.vectors[first:last], self.starts[begin : end + 1] - first),
            *(self.numbers[begin:end], self.hashes[begin:end], self.hubs[begin:end]),
            self.copies[begin:end],
        )

    def blocks(self, rows: int, begin: int = 0) -> Iterator[tuple[int, int]]:
        """First recordings and ends of so many rows at a time, or of one recording."""
        while begin < len(self.numbers):
            after = int(np.searchsorted(self.starts, self.starts[begin] + rows, "right")) - 1
            end = max(begin + 1, after)
            yield begin, end
            begin = end


def largest(products: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """For each recording the largest value of each column in its rows, which begin at `starts`."""
    # Not `np.maximum.reduceat`, which takes longer than the products themselves.
    firsts, counts = starts[:-1] - starts[0], np.diff(starts)
    longest = int(counts.max())
    if counts.min() == longest:
        alike: NDArray[np.float32] = products.reshape(len(counts), longest, -1).max(axis=1)
        return alike
    found = products[firsts]
    for step in range(1, longest):
        longer = np.flatnonzero(counts > step)
        found[longer] = np.maximum(found[longer], products[firsts[longer] + step])
    return found


def prefix_of(sha256: bytes) -> np.uint64:
    """What `Snapshot.hashes` holds of a SHA-256."""
    return np.frombuffer(sha256[:8], np.uint64)[0]


def sample_of(count: int) -> NDArray[np.int64]:
    """Places, of so many, of the recordings that others are held against to know hubs."""
    return np.sort(np.random.default_rng(0).permutation(count)[:_SAMPLE])


def hubs_of(
    snapshot: Snapshot, sample: NDArray[np.float32], places: NDArray[np.int64]
) -> NDArray[np.float32]:
    """For each recording the mean similarity of its nearest, of some drawn at random.

    After A. Conneau et al., "Word Translation Without Parallel Data", ICLR 2018 (CSLS).

    Parameters
    ----------
    snapshot : Snapshot
        Its `hubs` are not looked at.
    sample : ndarray, shape (K, D)
        The embeddings of whole recordings.
    places : ndarray of int, shape (K,)
        Where each of them is in the snapshot; -1 for those of other libraries.

    Returns
    -------
    ndarray of float32, shape (R,)
        0 if there is nothing but the recording itself.
    """
    found = np.zeros(len(snapshot.numbers), np.float32)
    kept = min(_NEIGHBOURS, len(sample) - 1)
    for begin in range(0, len(found) if kept > 0 else 0, _AT_ONCE):
        end = min(begin + _AT_ONCE, len(found))
        near = snapshot.part(begin, end).similarities([row[None] for row in sample])
        own = np.flatnonzero((places >= begin) & (places < end))
        near[own, places[own] - begin] = -np.inf  # none is its own neighbour
        found[begin:end] = np.partition(near, -kept, axis=0)[-kept:].mean(axis=0)
    return found
