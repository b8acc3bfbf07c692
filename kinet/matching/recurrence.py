"""Which moments of two recordings sound alike: cross recurrence of HPCP in one key.

After J. Serrà, X. Serra, R. G. Andrzejak, "Cross recurrence quantification for cover song
identification", New Journal of Physics 11, 2009.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kinet.config import PITCH_CLASSES

#: Vectors that are compared as one moment; 2.8 s.
MOMENT = 6
# Of all moments of the other recording, the share that can be the neighbours of one.
_NEIGHBOURS = 0.095
# For the key every third moment is enough.
_STRIDE = 3
_QUIET = 1e-9
# Of vectors of one times those of the other, so that the matrices fit into half a gigabyte.
_MOST_CELLS = 2**24

Hpcp = NDArray[np.float32]


def in_steps(a: Hpcp, b: Hpcp) -> tuple[Hpcp, Hpcp, int]:
    """Two recordings in steps of so many vectors that their matrices fit into memory.

    Parameters
    ----------
    a, b : ndarray of float32, shapes (T, 12) and (U, 12)
        HPCP, T and U from `MOMENT`.

    Returns
    -------
    a, b : ndarray of float32, shapes (T // step, 12) and (U // step, 12)
        Means of `step` vectors.
    step : int
        1 where ``T * U`` is at most 2**24, as with half an hour each.

    Examples
    --------
    >>> mix, song = np.ones((20_000, 12), np.float32), np.ones((1_000, 12), np.float32)
    >>> mix, song, step = in_steps(mix, song)
    >>> mix.shape, song.shape, step
    ((10000, 12), (500, 12), 2)
    """
    shorter, longer = sorted((len(a), len(b)))
    step = min(math.ceil(math.sqrt(shorter * longer / _MOST_CELLS)), shorter // MOMENT)
    if step == 1:
        return a, b, step
    counts = (len(hpcp) // step for hpcp in (a, b))
    means = (
        hpcp[: count * step].reshape(count, step, PITCH_CLASSES).mean(axis=1)
        for hpcp, count in zip((a, b), counts, strict=True)
    )
    return (*means, step)


def common_key(a: Hpcp, b: Hpcp) -> int:
    """The rotation of B that brings it into the key of A.

    Of all twelve the one with which the moments of each recording are most alike, on average, to
    the one that is likest to them in the other. It needs no more than a common passage. Mean
    vectors, which are usually compared (J. Serrà, E. Gómez, P. Herrera, "Transposing chroma
    representations to a common key", 2008), hear the other parts too, and find fewer versions
    (benchmarks/alignment.py).

    Parameters
    ----------
    a, b : ndarray of float32, shapes (T, 12) and (U, 12)
        HPCP, T and U from `MOMENT`.

    Returns
    -------
    int
        From 0 to 11: by so many semitones the vectors of `b` are rotated upwards.

    Examples
    --------
    >>> a = np.eye(12, dtype=np.float32)[[0, 4, 7, 0, 2, 7, 2, 0]]
    >>> common_key(a, np.roll(a, 3, axis=1))
    9
    """
    moments_a, moments_b = (_centred(_moments(x)[::_STRIDE]) for x in (a, b))
    rotations = (np.arange(PITCH_CLASSES) - np.arange(PITCH_CLASSES)[:, None]) % PITCH_CLASSES
    rotated = moments_b.reshape(len(moments_b), MOMENT, PITCH_CLASSES)[:, :, rotations]
    rotated = rotated.transpose(2, 0, 1, 3).reshape(-1, moments_b.shape[1])
    cosines = (moments_a @ rotated.T).reshape(len(moments_a), PITCH_CLASSES, -1)
    alike = cosines.max(axis=2).mean(axis=0) + cosines.max(axis=0).mean(axis=1)
    return int(alike.argmax())


def cross_recurrence(a: Hpcp, b: Hpcp) -> NDArray[np.bool_]:
    """Where a moment of A and a moment of B are among each other's nearest.

    A moment is `MOMENT` vectors, one after the other. The nearest are the 9.5 % of the other
    recording with the least Euclidean distance. Silence is near nothing.

    Parameters
    ----------
    a, b : ndarray of float32, shapes (T, 12) and (U, 12)
        HPCP in one key, T and U from `MOMENT`.

    Returns
    -------
    ndarray of bool, shape (T - MOMENT + 1, U - MOMENT + 1)

    Examples
    --------
    >>> a = np.eye(12, dtype=np.float32)
    >>> cross_recurrence(a, a).astype(int).diagonal()
    array([1, 1, 1, 1, 1, 1, 1])
    """
    rows, columns = _moments(a), _moments(b)
    lengths_a, lengths_b = (np.einsum("ij,ij->i", x, x) for x in (rows, columns))
    # Squared distances, first without what is the same along a row.
    distances = rows @ (columns.T * np.float32(-2))
    distances += lengths_b
    near = distances <= _radius(distances)
    distances += lengths_a[:, None]
    near &= distances <= _radius(np.ascontiguousarray(distances.T))[:, 0]
    return near & (lengths_a > 0)[:, None] & (lengths_b > 0)


def cross_similarity(a: Hpcp, b: Hpcp) -> NDArray[np.float32]:
    """How alike each moment of A and each of B are, to be looked at.

    Parameters
    ----------
    a, b : ndarray of float32, shapes (T, 12) and (U, 12)
        HPCP in one key, T and U from `MOMENT`.

    Returns
    -------
    ndarray of float32, shape (T - MOMENT + 1, U - MOMENT + 1)
        Correlations, from -1 to 1; 0 in silence.

    Examples
    --------
    >>> a = np.eye(12, dtype=np.float32)
    >>> np.round(cross_similarity(a, a)[0, :3], 3)
    array([ 1.   , -0.091, -0.091], dtype=float32)
    """
    return _centred(_moments(a)) @ _centred(_moments(b)).T


def _moments(hpcp: Hpcp) -> Hpcp:
    """``(T - MOMENT + 1, MOMENT * 12)``: each vector with those that follow it."""
    count = len(hpcp) - MOMENT + 1
    return np.hstack([hpcp[start : start + count] for start in range(MOMENT)])


def _centred(moments: Hpcp) -> Hpcp:
    """Rows without their mean, of length 1; what has nothing else stays zero."""
    rows = moments - moments.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _QUIET)


def _radius(distances: Hpcp) -> Hpcp:
    """For each row, ``(n, 1)``, the distance of the farthest of its nearest."""
    farthest = max(1, int(_NEIGHBOURS * distances.shape[1])) - 1
    return np.partition(distances, farthest, axis=1)[:, farthest, None]
