"""From ranks to metrics, under one stated protocol.

Every track of a list that has at least one other version in it is a query, in turn. The query is
removed from the ranked list by its index; equally similar tracks keep the order of the list; the
relevant items of a query are the other versions of its song. Tracks without a relevant item are
left out of every mean, and counted. Ranks start at 1.

- AP: mean over ALL relevant items of (relevant items up to this one) / (its rank); MAP: its mean.
- P@10: relevant items among the first 10, divided by 10 even if fewer than 10 exist.
- MR1: mean rank of the first relevant item.
- hit@1: share of queries whose first item is relevant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinet.errors import DataError

CUTOFF = 10
CONFIDENCE = 0.95
RESAMPLES = 1000
#: How each mean is written, and the attribute of `Metrics` that holds it.
TITLES = {"mAP": "map", "P@10": "p10", "MR1": "mr1", "hit@1": "hit1"}
# Values drawn in one step of the bootstrap: 8 MiB, so that long lists need no more memory.
_BATCH_VALUES = 2**20

Ranks = NDArray[np.integer[Any]]
Interval = tuple[float, float]


def average_precision(ranks: Ranks) -> float:
    """Mean over all relevant items of the precision at each.

    Parameters
    ----------
    ranks : (k,) array of int
        1-based ranks of ALL k >= 1 relevant items of a query, ascending, without repetition.

    Returns
    -------
    float
        Above 0; 1 if the relevant items come first.

    Examples
    --------
    Two relevant items at ranks 1 and 4: (1/1 + 2/4) / 2.

    >>> average_precision(np.array([1, 4]))
    0.75
    """
    return float(np.add.reduce(np.arange(1, len(ranks) + 1) / ranks)) / len(ranks)


def precision_at_10(ranks: Ranks) -> float:
    """Share of relevant items among the first ten, always of ten.

    Parameters
    ----------
    ranks : (k,) array of int
        1-based ranks of the relevant items of a query.

    Returns
    -------
    float
        From 0 to 1; at most k / 10.

    Examples
    --------
    >>> precision_at_10(np.array([1, 4, 11]))
    0.2
    """
    return int(np.count_nonzero(ranks <= CUTOFF)) / CUTOFF


@dataclass(frozen=True, eq=False)
class Metrics:
    """The quality of a ranking, in all and per query.

    Attributes
    ----------
    map, p10, mr1, hit1 : float
        Means over the queries. `mr1` is 1 or more and best at 1; the others lie in [0, 1].
    map_interval, p10_interval, mr1_interval, hit1_interval : (float, float)
        95 % percentile bootstrap intervals over the queries. They treat queries as independent,
        which the versions of one song are not. The two ends are the mean itself where there is
        nothing to resample: one query, or the same value for all of them.
    tracks, songs : int
        Size of the ranked list.
    queries, queries_left_out : int
        Tracks with and without a relevant item; their sum is `tracks`.
    query_index : (queries,) array of int
        Position of every query in the list.
    average_precision, precision_at_10 : (queries,) array of float
        In [0, 1].
    first_rank : (queries,) array of int
        1-based.
    hit_at_1 : (queries,) array of bool
        Whether the first item is relevant.
    """

    map: float
    p10: float
    mr1: float
    hit1: float
    map_interval: Interval
    p10_interval: Interval
    mr1_interval: Interval
    hit1_interval: Interval
    tracks: int
    songs: int
    queries: int
    queries_left_out: int
    query_index: NDArray[np.int64]
    average_precision: NDArray[np.float64]
    precision_at_10: NDArray[np.float64]
    first_rank: NDArray[np.int64]
    hit_at_1: NDArray[np.bool_]

    def __str__(self) -> str:
        """A small table: means with their intervals, and what was counted.

        Examples
        --------
        >>> print(from_ranks([np.array([1]), np.array([2])], [0, 1], tracks=3, songs=2))
                 value  95 % interval
        mAP     0.7500  0.5000 to 1.0000
        P@10    0.1000  0.1000 to 0.1000
        MR1     1.5000  1.0000 to 2.0000
        hit@1   0.5000  0.0000 to 1.0000
        3 tracks, 2 songs, 2 queries, 1 left out
        """
        rows = [f"{'':5}  {'value':>7}  95 % interval"]
        for title, name in TITLES.items():
            low, high = getattr(self, f"{name}_interval")
            rows.append(f"{title:5}  {getattr(self, name):7.4f}  {low:.4f} to {high:.4f}")
        rows.append(
            f"{self.tracks} tracks, {self.songs} songs, {self.queries} queries, "
            f"{self.queries_left_out} left out"
        )
        return "\n".join(rows)

    def to_dict(self) -> dict[str, Any]:
        """Means, intervals and counts as JSON-ready values, without the arrays per query.

        Examples
        --------
        >>> metrics = from_ranks([np.array([1]), np.array([2])], [0, 1], tracks=3, songs=2)
        >>> metrics.to_dict()["map"], metrics.to_dict()["queries_left_out"]
        (0.75, 1)
        """
        means = tuple(TITLES.values())
        counts = ("tracks", "songs", "queries", "queries_left_out")
        intervals = (f"{name}_interval" for name in means)
        return {
            **{name: getattr(self, name) for name in means},
            **{name: list(getattr(self, name)) for name in intervals},
            **{name: getattr(self, name) for name in counts},
        }


def from_ranks(
    ranks: Iterable[Ranks], query_index: Sequence[int] | Ranks, *, tracks: int, songs: int
) -> Metrics:
    """Metrics of queries whose relevant items have been ranked.

    Parameters
    ----------
    ranks : iterable of (k,) arrays of int
        For each of Q >= 1 queries the 1-based ranks of ALL its relevant items, in any order, each
        query with its own k >= 1. Read once, one at a time.
    query_index : (Q,) array of int
        Position of every query in the list.
    tracks : int
        Length of the list. The ``tracks - Q`` others were left out as queries, but ranked.
    songs : int
        Number of songs in the list.

    Returns
    -------
    Metrics

    Raises
    ------
    DataError
        If there is no query, a query has no relevant item, a rank is below 1, or there are not
        as many indices as queries.

    Examples
    --------
    Three versions of one song and a fourth track, the other versions always first.

    >>> perfect = from_ranks([np.array([1, 2])] * 3, [0, 1, 2], tracks=4, songs=2)
    >>> perfect.map, perfect.mr1, perfect.hit1, perfect.queries_left_out
    (1.0, 1.0, 1.0, 1)
    """
    per_query = np.array([_of_one_query(row) for row in ranks]).reshape(-1, 3)
    if len(per_query) == 0 or len(per_query) != len(query_index):
        raise DataError(
            f"{len(per_query)} queries with {len(query_index)} indices; need as many, at least one"
        )
    precision, at_10, first = per_query.T
    values = np.stack([precision, at_10, first, first == 1])
    mean = [float(value) for value in values.mean(axis=1)]
    interval = _intervals(values)
    return Metrics(
        map=mean[0],
        p10=mean[1],
        mr1=mean[2],
        hit1=mean[3],
        map_interval=interval[0],
        p10_interval=interval[1],
        mr1_interval=interval[2],
        hit1_interval=interval[3],
        tracks=tracks,
        songs=songs,
        queries=len(per_query),
        queries_left_out=tracks - len(per_query),
        query_index=np.asarray(query_index, dtype=np.int64),
        average_precision=precision,
        precision_at_10=at_10,
        first_rank=first.astype(np.int64),
        hit_at_1=first == 1,
    )


def _of_one_query(ranks: Ranks) -> tuple[float, float, int]:
    if len(ranks) == 0 or ranks.min() < 1:
        raise DataError(f"ranks of a query are {ranks.tolist()}; need at least one, all from 1")
    ascending = np.sort(ranks)
    return average_precision(ascending), precision_at_10(ascending), int(ascending[0])


def _intervals(values: NDArray[np.float64]) -> list[Interval]:
    """Bootstrap the mean of every row of (metrics, queries), all on the same resamples."""
    # Not at the top: it takes as long to import as many a command in all.
    from scipy.stats import bootstrap

    means = values.mean(axis=1)
    lows, highs = means.copy(), means.copy()
    varied = np.ptp(values, axis=1) > 0
    if varied.any():
        rows = values[varied]
        result = bootstrap(
            (np.arange(rows.shape[1]),),
            lambda drawn, axis: _means_of_drawn(rows, drawn),
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=max(1, _BATCH_VALUES // values.size),
            confidence_level=CONFIDENCE,
            method="percentile",
            # The name `rng` came with SciPy 1.15; this one works in every version supported.
            random_state=np.random.default_rng(0),
        )
        lows[varied], highs[varied] = result.confidence_interval
    return [(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]


def _means_of_drawn(rows: NDArray[np.float64], drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    """Means (metrics, ...) of rows (metrics, queries) over the queries drawn (..., queries).

    By how often each was drawn: to gather their values takes five times as long.
    """
    count = rows.shape[1]
    samples = drawn.reshape(-1, count)
    places = samples + count * np.arange(len(samples))[:, None]
    times = np.bincount(places.ravel(), minlength=samples.size).reshape(samples.shape)
    # Not a matrix product, whose rounding depends on how many samples there are.
    means = [np.add.reduce(times * row, axis=-1) / count for row in rows]
    return np.stack(means).reshape(-1, *drawn.shape[:-1])
