"""Which recordings are most like a query by their embeddings, and how many of them are aligned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kinet.library.pieces import PIECE
from kinet.library.snapshot import Snapshot, prefix_of

Counts = TypeVar("Counts", float, NDArray[np.float32])
Numbers = TypeVar("Numbers", NDArray[np.float32], np.float32)

#: Recordings that are aligned with a query, at least.
ALIGNED = 20
# Short queries say less, and are aligned sooner: so many of their vectors, with all that are.
_ALIGNED_VECTORS = 4000


@dataclass(frozen=True)
class Query:
    """What is looked for.

    Attributes
    ----------
    hpcp : ndarray of float32, shape (T, 12)
    embeddings : ndarray of float32, shape (pieces, D)
    sha256 : bytes
        Of the file; recordings of the same content are not looked at.
    piece : int
        Vectors of a window of the library, as of `kinet.library.pieces.pieces_of`.
    """

    hpcp: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    sha256: bytes
    piece: int = PIECE

    def behind(self, similarities: Numbers, hubs: Numbers) -> Numbers:
        """What orders recordings, the least first: `Snapshot.hubs`, less twice the similarity.

        What is near to everything is taken for less near, after A. Conneau et al., "Word
        Translation Without Parallel Data", ICLR 2018 (CSLS). How near that is, is known of whole
        recordings. To a part of a window it is less near than to these, and so it counts by the
        share of a window that the query fills.

        Parameters
        ----------
        similarities, hubs : ndarray of float32, shape (R,)
            Of some recordings; or the numbers of one.

        Examples
        --------
        >>> similar, hubs = np.float32([0.5, 0.75]), np.float32([0.0, 1.0])
        >>> half, whole = (Query(np.zeros((n, 12)), np.zeros((1, 2)), b"", 200) for n in (100, 300))
        >>> half.behind(similar, hubs).tolist(), whole.behind(similar, hubs).tolist()
        ([-1.0, -1.0], [-1.0, -0.5])
        """
        # A number of Python's: one of NumPy's would make float64 of all.
        share = float(share_of_window(len(self.hpcp), self.piece))
        return share * hubs - 2 * similarities


def share_of_window(vectors: Counts, piece: int) -> Counts:
    """Which part of a window of `piece` vectors recordings of so many fill, at most all of it.

    Examples
    --------
    >>> share_of_window(np.float32([50, 100, 300]), 200).tolist()
    [0.25, 0.5, 1.0]
    """
    return np.minimum(vectors / piece, 1)


def length_of_shortlist(vectors: int) -> int:
    """Recordings that are aligned with a query of so many vectors.

    Examples
    --------
    >>> [length_of_shortlist(vectors) for vectors in (400, 200, 65, 22)]
    [20, 20, 61, 181]
    """
    return max(ALIGNED, _ALIGNED_VECTORS // vectors)


def recordings_aligned(query: Query, top: int, aligned: int | None) -> int:
    """How many recordings `kinet.library.finding.search` aligns with a query."""
    return max(top, aligned or length_of_shortlist(len(query.hpcp)))


def shortlist(snapshot: Snapshot, query: Query, count: int) -> list[tuple[int, float]]:
    """Places of the recordings that are most like a query, with their similarity."""
    if not len(snapshot.numbers):
        return []
    similarities = snapshot.similarities([query.embeddings])[0]
    behind = query.behind(similarities, snapshot.hubs)
    behind[snapshot.hashes == prefix_of(query.sha256)] = np.inf
    # To sort them all takes longer than to compare them.
    count = min(count, len(behind))
    near = np.flatnonzero(behind <= np.partition(behind, count - 1)[count - 1])
    best = near[np.argsort(behind[near], kind="stable")][:count]
    return [(int(i), float(similarities[i])) for i in best if behind[i] < np.inf]
