"""Rank every track of a list against all others, chunk by chunk, and measure the ranking.

Nothing of size N x N is ever held: a chunk of queries meets all tracks, each query's relevant
items are ranked by counting what comes before them, and the chunk is forgotten.

The result is exact and the same whatever the chunk size, the number of threads or the machine's
matrix multiplication. For this the coordinates of the unit vectors are rounded to multiples of
2^-25 (less than float32 itself rounds a coordinate above one half): every product is then a
multiple of 2^-50 and every sum at most about 1, so that no addition in float64 rounds and their
order does not matter. The cosine is rounded to float32 before it is compared: what differs by
less is a tie, and a tie is ranked in the order of the list.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinet.errors import DataError, SettingsError, unknown_name
from kinet.metrics import Metrics, from_ranks

_GRID = 2.0**25
# Similarities of a chunk: 64 MiB in float64.
_CHUNK_VALUES = 2**23
# One stable sort costs as much as counting for about 140 items among 10,000 tracks and for about
# 790 among 100,000 (measured); this lies between.
_COUNTED_ITEMS = 500
# Sorting the values alone costs as much as counting for one item among 1,000 tracks, for 5 among
# 7,000 and for 30 among 60,000 (measured).
_TRACKS_PER_ITEM = 1500

Row = NDArray[np.float32]
Indices = NDArray[np.int64]
Progress = Callable[[int, int], object]


def evaluate(
    embeddings: ArrayLike,
    labels: Iterable[Hashable],
    *,
    protocol: str = "standard",
    chunk: int | None = None,
    progress: Progress | None = None,
) -> Metrics:
    """Metrics of a list of tracks, each in turn the query.

    Parameters
    ----------
    embeddings : (N, D) array of float
        One finite row per track, of any length: rows are normalised. A row of zeros has cosine 0
        with everything.
    labels : N values
        The song of each track: strings, integers or anything hashable.
    protocol : {"standard", "original"}
        "standard" removes the query from its ranked list (see `kinet.metrics`). "original" gives
        the numbers of the original code of MulKINet, which keeps the query, irrelevant and with
        cosine 0 to itself, so that items with a negative cosine rank one place lower.
    chunk : int, optional
        Queries compared at a time; by default as many as fit 64 MiB. It changes memory and
        speed, never the result.
    progress : callable, optional
        Called after every chunk with the number of queries ranked so far and the number of all.

    Returns
    -------
    Metrics

    Raises
    ------
    DataError
        If the array is not (N, D) with N >= 2, has values that are not finite real numbers, does
        not fit the labels, or no song has two versions.
    SettingsError
        If the protocol is unknown or the chunk is below 1.

    Examples
    --------
    >>> embeddings = [[1, 0], [0.9, 0.1], [0, 1], [0.8, 0.6]]
    >>> metrics = evaluate(embeddings, ["a", "a", "b", "b"])
    >>> metrics.mr1, metrics.first_rank
    (1.5, array([1, 1, 1, 3]))
    """
    if protocol not in _RANKINGS:
        raise SettingsError(unknown_name("protocol", protocol, _RANKINGS))
    if chunk is not None and chunk < 1:
        raise SettingsError(f"chunk is {chunk}; allowed: an integer from 1")
    vectors = _checked(embeddings)
    songs = _numbered(labels)
    if len(songs) != len(vectors):
        raise DataError(f"{len(vectors)} embeddings with {len(songs)} labels; need one label each")
    queries = np.flatnonzero(np.bincount(songs)[songs] > 1)
    if len(queries) == 0:
        raise DataError(
            f"none of {len(songs)} tracks shares its song with another; need two of one song"
        )
    rows = _similarities(_on_the_grid(vectors), queries, chunk, progress)
    ranks = _ranked(rows, _versions(songs), songs, _RANKINGS[protocol])
    return from_ranks(ranks, queries, tracks=len(songs), songs=int(songs.max()) + 1)


def ranks_without_query(row: Row, query: int, items: Indices) -> Indices:
    """Ranks of `items` in the list from which the query is removed by its index.

    Parameters
    ----------
    row : (N,) array of float
        Similarity of the query to every track, itself included (that value is ignored).
    query : int
        Its position.
    items : (k,) array of int
        Positions of tracks other than the query, ascending.

    Returns
    -------
    (k,) array of int
        1-based ranks, from 1 to N - 1; the most similar has rank 1, ties keep the list's order.

    Examples
    --------
    >>> ranks_without_query(np.array([0.2, 1.0, 0.7, 0.2]), 1, np.array([0, 3]))
    array([2, 3])
    """
    row = row.copy()
    row[query] = -np.inf  # below every cosine: before no item
    return _ranks(row, items)


def ranks_with_query_at_zero(row: Row, query: int, items: Indices) -> Indices:
    """Ranks of `items` as the original code gives them: the query stays, with cosine 0 to itself.

    The original sets the query's distance to itself to 1 and a distance is 1 - cosine. Parameters
    and result as `ranks_without_query`, with ranks up to N.

    Examples
    --------
    >>> ranks_with_query_at_zero(np.array([0.2, 1.0, 0.7, -0.2]), 1, np.array([0, 3]))
    array([2, 4])
    """
    row = row.copy()
    row[query] = 0
    return _ranks(row, items)


_RANKINGS = {"standard": ranks_without_query, "original": ranks_with_query_at_zero}
PROTOCOLS = tuple(_RANKINGS)


def _ranks(row: Row, items: Indices) -> Indices:
    """1-based ranks of `items` in `row`, most similar first, ties in the order of the list."""
    if len(items) > _COUNTED_ITEMS:
        return _ranks_by_sorting(row, items)
    if len(row) <= _TRACKS_PER_ITEM * len(items):
        return _ranks_by_searching(row, items)
    return _ranks_by_counting(row, items)


def _ranks_by_counting(row: Row, items: Indices) -> Indices:
    # Before an item come the earlier ones that are as similar and the later ones that are more so.
    return np.array(
        [
            1
            + np.count_nonzero(row[:item] >= row[item])
            + np.count_nonzero(row[item + 1 :] > row[item])
            for item in items
        ],
        dtype=np.int64,
    )


def _ranks_by_searching(row: Row, items: Indices) -> Indices:
    ascending = np.sort(row)
    values = row[items]
    below, up_to = (ascending.searchsorted(values, side=side) for side in ("left", "right"))
    ranks = 1 + len(row) - up_to
    tied = up_to - below > 1  # with others than the item itself: then their order counts
    if tied.any():
        ranks[tied] = _ranks_by_counting(row, items[tied])
    return ranks


def _ranks_by_sorting(row: Row, items: Indices) -> Indices:
    places = np.empty(len(row), dtype=np.int64)
    places[np.argsort(-row, kind="stable")] = np.arange(1, len(row) + 1)
    return places[items]


def _checked(embeddings: ArrayLike) -> NDArray[Any]:
    try:
        array = np.asarray(embeddings)
    except ValueError as error:
        raise DataError("embeddings have rows of unequal length; need (N, D)") from error
    if array.ndim != 2 or len(array) < 2 or array.shape[1] < 1:
        raise DataError(f"embeddings have shape {array.shape}; need (N, D) with N >= 2 and D >= 1")
    if array.dtype.kind not in "fiu":
        raise DataError(f"embeddings have type {array.dtype}; need real numbers")
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise DataError(
            f"{np.count_nonzero(~finite)} of {len(array)} embeddings have NaN or infinite values, "
            f"the first at row {int(np.argmin(finite))}; need finite values"
        )
    return array


def _numbered(labels: Iterable[Hashable]) -> Indices:
    """Labels as numbers 0, 1, ... in the order of their first occurrence."""
    values = labels.tolist() if isinstance(labels, np.ndarray) else labels
    numbers: dict[Hashable, int] = {}
    try:
        return np.array([numbers.setdefault(v, len(numbers)) for v in values], dtype=np.int64)
    except TypeError as error:
        raise DataError(f"labels: {error}; need one string or integer for each track") from error


def _versions(songs: Indices) -> list[Indices]:
    """For every song the positions of its versions, ascending."""
    order = np.argsort(songs, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(songs[order])) + 1)


def _ranked(
    rows: Iterable[tuple[int, Row]],
    versions: Sequence[Indices],
    songs: Indices,
    rank: Callable[[Row, int, Indices], Indices],
) -> Iterator[Indices]:
    """Ranks of each query's relevant items, one query at a time: together they can be N x N."""
    for query, row in rows:
        same = versions[songs[query]]
        yield rank(row, query, same[same != query])


def _on_the_grid(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Unit rows whose coordinates are multiples of 2^-25; rows of zeros stay zero."""
    units = vectors.astype(np.float64, order="C")
    # First by the largest coordinate: squares of very large or small values leave float64.
    largest = np.abs(units).max(axis=1, keepdims=True)
    units /= np.where(largest > 0, largest, 1)
    length = np.linalg.norm(units, axis=1, keepdims=True)
    units /= np.where(length > 0, length, 1)
    units *= _GRID
    np.rint(units, out=units)
    units /= _GRID
    return units


def _similarities(
    units: NDArray[np.float64], queries: Indices, chunk: int | None, progress: Progress | None
) -> Iterator[tuple[int, Row]]:
    """Each query with its cosine to every track."""
    size = min(chunk or max(1, _CHUNK_VALUES // len(units)), len(queries))
    cosines = np.empty((size, len(units)))
    for start in range(0, len(queries), size):
        chosen = queries[start : start + size]
        part = np.matmul(units[chosen], units.T, out=cosines[: len(chosen)])
        for query, row in zip(chosen, part, strict=True):
            yield int(query), row.astype(np.float32)
        if progress is not None:
            progress(start + len(chosen), len(queries))
