"""What a model must beat on a list: chance, and the mean pitch classes of each track."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from kinet.config import PITCH_CLASSES
from kinet.errors import DataError
from kinet.evaluation import ranks_without_query
from kinet.metrics import Metrics, from_ranks


def chance_map(labels: Sequence[Hashable]) -> float:
    """The MAP to expect of rankings in random order.

    With R relevant items among N, rank k is relevant with R / N, and of the k - 1 before it then
    (R - 1) / (N - 1) are. So the expected AP is (H + (R - 1) / (N - 1) (N - H)) / N, where H is
    1 + 1/2 + ... + 1/N.

    Parameters
    ----------
    labels : sequence
        The song of each track.

    Returns
    -------
    float
        Mean over the tracks that have another version.

    Raises
    ------
    DataError
        If no song has two versions.

    Examples
    --------
    One relevant item among two comes first or second: (1 + 1/2) / 2.

    >>> chance_map(["a", "a", "b"])
    0.75
    """
    _, numbers = np.unique([str(label) for label in labels], return_inverse=True)
    relevant = np.bincount(numbers)[numbers] - 1 if len(numbers) else np.zeros(0)
    relevant = relevant[relevant > 0]
    if not len(relevant):
        raise DataError(
            f"none of {len(labels)} tracks shares its song with another; need two of one song"
        )
    others = len(labels) - 1
    harmonic = float((1 / np.arange(1, others + 1)).sum())
    crowd = (relevant - 1) / max(1, others - 1)
    return float(((harmonic + crowd * (others - harmonic)) / others).mean())


def mean_chroma(
    hpcp: Sequence[np.ndarray], labels: Sequence[Hashable], centred: bool = False
) -> Metrics:
    """Rank by the cosine of mean HPCP vectors in the best of twelve transpositions.

    Parameters
    ----------
    hpcp : sequence of N arrays
        ``(T, 12)`` each.
    labels : sequence of N
        Their songs.
    centred : bool
        Whether the mean over the twelve pitch classes is taken from each vector first.

    Returns
    -------
    kinet.metrics.Metrics

    Raises
    ------
    DataError
        If no song has two versions.

    Examples
    --------
    >>> scale, chord = np.eye(12)[[0, 2, 4, 5, 7, 9, 11]], np.eye(12)[[0, 4, 7]]
    >>> higher = [np.roll(track, 5, axis=1) for track in (scale, chord)]
    >>> mean_chroma([scale, chord, *higher], ["a", "b", "a", "b"]).map
    1.0
    """
    rows = np.stack([track.mean(axis=0) for track in hpcp]).astype(np.float64)
    if centred:
        rows = rows - rows.mean(axis=1, keepdims=True)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    turned = (rows @ np.roll(rows, step, axis=1).T for step in range(PITCH_CLASSES))
    cosines = np.max(list(turned), axis=0).astype(np.float32)
    songs = np.array([str(label) for label in labels])
    everyone = np.arange(len(songs))
    versions = [np.flatnonzero((songs == songs[i]) & (everyone != i)) for i in everyone]
    queries = [int(i) for i in everyone if len(versions[i])]
    if not queries:
        raise DataError(
            f"none of {len(songs)} tracks shares its song with another; need two of one song"
        )
    ranks = [ranks_without_query(cosines[i], i, versions[i]) for i in queries]
    return from_ranks(ranks, queries, tracks=len(songs), songs=len(set(songs.tolist())))
