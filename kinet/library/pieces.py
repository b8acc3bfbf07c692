"""A recording to pieces, and pieces to embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinet.embeddings import Embedder, embed_arrays

#: Vectors of a window, 63 s: the least that a network with the usual time field takes.
PIECE = 135
#: Windows begin at every so many vectors, 21 s.
HOP = 45
# Tracks have few and many windows, and some backends compile for every size of a batch.
_BATCH = 8


def pieces_of(vectors: int, piece: int, hop: int) -> list[tuple[int, int]]:
    """First vectors and ends of what is embedded of a track: the whole of it, then its windows.

    Parameters
    ----------
    vectors : int
        T of the track.
    piece, hop : int
        Length of a window, and from one to the next. The last window ends with the track. A track
        that is no longer than a window has none.

    Examples
    --------
    >>> pieces_of(300, 135, 90)
    [(0, 300), (0, 135), (90, 225), (165, 300)]
    >>> pieces_of(135, 135, 90)
    [(0, 135)]
    """
    if vectors <= piece:
        return [(0, vectors)]
    starts = [*range(0, vectors - piece, hop), vectors - piece]
    return [(0, vectors), *((start, start + piece) for start in starts)]


def embed_pieces(
    embedder: Embedder, hpcp: NDArray[np.float32], piece: int, hop: int
) -> NDArray[np.float32]:
    """Embeddings of the pieces of a track.

    Parameters
    ----------
    embedder : Embedder
    hpcp : ndarray, shape (T, 12)
        The whole track. Of a long one, the whole piece is what the model was built for, its
        beginning; what is shorter than a window is padded to one.
    piece, hop : int
        As of `pieces_of`.

    Returns
    -------
    ndarray of float32, shape (pieces, D)
        Unit rows.

    Raises
    ------
    DataError
        If the model gives what is not finite.
    """
    least = embedder.fixed_vectors or max(piece, embedder.minimum_vectors)
    if len(hpcp) <= piece:
        return embed_arrays(embedder, [hpcp], least, _BATCH)
    windows = [hpcp[start:end] for start, end in pieces_of(len(hpcp), piece, hop)[1:]]
    # Filled up to whole batches.
    filled = windows + windows[:1] * (-len(windows) % _BATCH)
    rows = embed_arrays(embedder, filled, least, _BATCH)[: len(windows)]
    return np.concatenate([embed_arrays(embedder, [hpcp], None, _BATCH), rows])
