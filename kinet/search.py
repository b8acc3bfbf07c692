"""Embeddings to the nearest songs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kinet.errors import DataError

# Rows of 8 and 16 bits are of length 1 within less.
_UNIT = 1e-3


@dataclass(frozen=True)
class Match:
    """A song that was found.

    Attributes
    ----------
    song_id : str
        The song.
    index : int
        Row of its nearest version.
    cosine : float
        Similarity of that version, at most 1.
    """

    song_id: str
    index: int
    cosine: float


def nearest_songs(
    embeddings: ArrayLike, song_ids: Sequence[str], query: ArrayLike, count: int = 5
) -> list[Match]:
    """The songs whose nearest version is nearest to a query.

    Parameters
    ----------
    embeddings : array_like, shape (N, D)
        Unit rows.
    song_ids : sequence of N str
        The song of each row.
    query : array_like, shape (D,)
        A unit row.
    count : int
        Songs at most.

    Returns
    -------
    list of Match
        The nearest first; of equals the one listed first.

    Raises
    ------
    DataError
        If the shapes do not fit each other, or a row is not finite or not of length 1.

    Examples
    --------
    >>> rows = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]
    >>> [(match.song_id, match.index) for match in nearest_songs(rows, ["a", "a", "b"], [0.6, 0.8])]
    [('b', 2), ('a', 1)]
    """
    rows, row = np.asarray(embeddings, np.float32), np.asarray(query, np.float32)
    if rows.ndim != 2 or row.shape != rows.shape[1:] or len(song_ids) != len(rows):
        raise DataError(
            f"embeddings {rows.shape}, {len(song_ids)} songs and a query {row.shape}; "
            "allowed: (N, D), N and (D,)"
        )
    for name, vectors in (("embeddings", rows), ("the query", row[None])):
        _check_unit(name, vectors)
    cosines = rows @ row
    found: dict[str, Match] = {}
    for index in np.argsort(-cosines, kind="stable"):
        song = song_ids[index]
        if song not in found:
            found[song] = Match(song, int(index), float(cosines[index]))
            if len(found) == count:
                break
    return list(found.values())


def _check_unit(name: str, vectors: np.ndarray) -> None:
    """Refuse rows whose products are no cosines; false comparisons are those with NaN."""
    off = np.flatnonzero(~(np.abs(np.linalg.norm(vectors, axis=1) - 1) <= _UNIT))
    if len(off):
        length = np.linalg.norm(vectors[off[0]])
        raise DataError(
            f"{len(off)} of {len(vectors)} rows of {name} are not of length 1, the first, row "
            f"{off[0]}, of length {length:.4g}; allowed: unit rows, as a model gives them"
        )
