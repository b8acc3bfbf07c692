"""The nearest recordings without looking at all: an index, of a file or on a server.

An index is of one moment of its library, and can be made again. Both kinds are graphs in which
near rows are linked, after Yu. A. Malkov and D. A. Yashunin, "Efficient and Robust Approximate
Nearest Neighbor Search Using Hierarchical Navigable Small World Graphs", IEEE TPAMI 42(4), 2020.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kinet.address import Address
from kinet.errors import DataError
from kinet.library.calibration import calibration_of
from kinet.library.finding import Shelf
from kinet.library.shortlisting import ALIGNED, Query
from kinet.library.snapshot import Snapshot, prefix_of
from kinet.library.store import Store
from kinet.reading import show_path

# Recordings that are looked at for each that is aligned: hubs are among the nearest.
_MORE = 3
# Rows that are looked for with each piece of a query, for each recording that is aligned: some of
# them are of one recording. pgvector looks for no more than so many.
_ROWS, _MOST_ROWS = 10, 1000
# Recordings whose nearest are looked for in both ways, and how many of their nearest.
_SAMPLE, _NEAREST = 200, 10


class Index(Protocol):
    """What knows which rows of a library are near to others."""

    def make(self, progress: Callable[[int, int], object] | None = None) -> Snapshot:
        """Make it of the library as it is now, in place of an older one; of what it is made."""

    def why_not(self) -> str:
        """Why it cannot be looked into now, within `Store.reading`; nothing if it can."""

    def nearest(
        self, rows: NDArray[np.float32], count: int
    ) -> Iterator[Sequence[tuple[int, float]]]:
        """For each row ``(D,)`` of some, recordings of the nearest, with minus the product."""

    def hub(self, number: int) -> float:
        """`Snapshot.hubs` of a recording."""


@dataclass(frozen=True)
class Built:
    """What an index is, measured when it was made.

    Attributes
    ----------
    rows : int
        Embeddings in it.
    seconds : float
        That it took.
    recall : float
        Of the ten nearest of an embedding, how many are found, in the mean.
    milliseconds : float
        Of one search, in the median.
    """

    rows: int
    seconds: float
    recall: float
    milliseconds: float


def index_of(store: Store) -> Index:
    """The index of a library, made or not.

    Raises
    ------
    SettingsError
        If the library is a file, and usearch is not installed.
    """
    if isinstance(store.path, Address):
        from kinet.library.pgvector import Pgvector

        return Pgvector(store)
    from kinet.library.graph import Graph

    return Graph(store)


def build(
    store: Store, index: Index, progress: Callable[[int, int], object] | None = None
) -> Built:
    """Make the index of a library as it is now, in place of an older one.

    Parameters
    ----------
    store : Store
    index : Index
        Of `index_of`.
    progress : callable, optional
        Called with the number of embeddings that are in it, and of all.

    Raises
    ------
    SettingsError
        If the embeddings are too long for it.
    DataError
        If the server has no pgvector, the rights do not reach, or a file cannot be written.
    """
    started = time.perf_counter()
    snapshot = index.make(progress)
    seconds = time.perf_counter() - started
    with store.reading():
        require_index(store, index)
        recall, milliseconds = recall_of(index, snapshot, rows_of(ALIGNED))
    return Built(len(snapshot.vectors), seconds, recall, milliseconds)


def require_index(store: Store, index: Index) -> None:
    """Refuse a library without an index of its present content; within `Store.reading`.

    Raises
    ------
    DataError
        If there is no index, or the library changed since.
    """
    problem = index.why_not()
    if problem:
        raise DataError(
            f"{show_path(store.path)}: the index {problem}; make it with kinet index build, or "
            "search without it"
        )


def near_to(store: Store, index: Index, query: Query, count: int) -> Shelf:
    """What a search takes of the recordings that are nearest to a query, and of no others.

    Parameters
    ----------
    store : Store
        Within `Store.reading`.
    index : Index
        As of `require_index`.
    query : Query
    count : int
        Recordings that are aligned; a few times as many are looked at.
    """
    best: dict[int, float] = {}
    for found in index.nearest(query.embeddings, rows_of(count)):
        for number, distance in found:
            best[number] = min(distance, best.get(number, np.inf))
    return _shelf(store, index, sorted(sorted(best, key=best.__getitem__)[: _MORE * count]))


def _shelf(store: Store, index: Index, numbers: list[int]) -> Shelf:
    here = store.identity()
    rows = [store.embeddings_of(number) for number in numbers]
    hashes = [prefix_of(store.recording(number)[0]) for number in numbers]
    hubs = [index.hub(number) for number in numbers]
    none = np.empty((0, here.size), np.float32)
    files = {number: store.files_of(number) for number in numbers}
    snapshot = Snapshot(
        *((here.identity, here.changes), np.concatenate([none, *rows])),
        *(np.cumsum([0, *map(len, rows)]), np.array(numbers, np.int64)),
        *(np.array(hashes, np.uint64), np.array(hubs, np.float32)),
        np.array([len(own) for own in files.values()], np.int64),
    )
    calibration = calibration_of(here.calibration, here.digest)
    return Shelf(snapshot, files, store.hpcp, here.features, calibration)


def rows_of(count: int) -> int:
    """Rows that are looked for with each piece of a query, of which so many recordings are aligned.

    Examples
    --------
    >>> rows_of(20), rows_of(181)
    (200, 1000)
    """
    return min(_ROWS * count, _MOST_ROWS)


def recall_of(index: Index, snapshot: Snapshot, count: int) -> tuple[float, float]:
    """How many of the ten nearest are found where so many are looked for, and milliseconds.

    Parameters
    ----------
    index : Index
        As of `require_index`, within `Store.reading`.
    snapshot : Snapshot
        Of which it is made; some of its embeddings are the queries.
    count : int
        Rows, from ten.

    Returns
    -------
    tuple of float
        In [0, 1], in the mean, of nothing 1; and of one search, in the median.
    """
    rows = len(snapshot.vectors)
    drawn = np.random.default_rng(0).permutation(rows)[:_SAMPLE]
    kept = min(_NEAREST, rows)
    recalls: list[float] = []
    spent: list[float] = []
    for place in drawn:
        row = snapshot.vectors[place]
        products = snapshot.vectors @ row
        least = np.partition(products, -kept)[-kept]
        started = time.perf_counter()
        [found] = index.nearest(row[None], count)
        spent.append(time.perf_counter() - started)
        recalls.append(sum(-distance >= least - 1e-5 for _, distance in found[:kept]) / kept)
    return float(np.mean(recalls or 1.0)), 1e3 * statistics.median(spent or [0.0])
