"""The longest paths through cross recurrence: Qmax, and which way it went.

After J. Serrà, X. Serra, R. G. Andrzejak, "Cross recurrence quantification for cover song
identification", New Journal of Physics 11, 2009. What differs here: beginning a gap costs as much
as going on with one, so that a row of cells is a few operations of NumPy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Lengths are counted in half vectors: a cell that recurs adds a whole one, one that does not takes
# a half away. No path leads through a closed cell.
_WHOLE, _GAP, _CLOSED = 2, -1, -(2**15)
# The moves of a path, backwards: at one tempo, or at half or twice the other's for a while.
_MOVES = ((1, 1), (2, 1), (1, 2))

Lengths = NDArray[np.int16]
Path = NDArray[np.intp]


def path_lengths(recurrence: NDArray[np.bool_]) -> Lengths:
    """How long the best path is that ends in each cell.

    A path grows by 1 in each cell that recurs and loses 1/2 in each that does not; it begins anew
    where nothing is left. It moves by one cell along both axes, or by two along one of them, so
    that it follows a tempo from a half to twice the other's.

    Parameters
    ----------
    recurrence : ndarray of bool, shape (n, m)
        The lesser of n and m below 2**14.

    Returns
    -------
    ndarray of int16, shape (n, m)
        In halves, from 0 to twice the lesser of n and m.

    Examples
    --------
    >>> path_lengths(np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]) > 0)
    array([[2, 0, 0, 0],
           [0, 4, 1, 0],
           [0, 1, 3, 3],
           [0, 0, 3, 5]], dtype=int16)
    """
    return _lengths(_steps(recurrence))


def separate_paths(
    recurrence: NDArray[np.bool_], most: int, shortest: float
) -> list[tuple[Path, float]]:
    """The longest path, and further ones that pass through none of its rows and columns.

    Parameters
    ----------
    recurrence : ndarray of bool, shape (n, m)
    most : int
        Paths at most.
    shortest : float
        Length in vectors from which on a further path counts.

    Returns
    -------
    list of (ndarray of int, shape (P, 2), float)
        Rows and columns of the cells of each path, from its first to its last, and its length in
        vectors; of equally long ones the earliest. None if nothing recurs.

    Examples
    --------
    >>> recurrence = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]) > 0
    >>> [(path, length)] = separate_paths(recurrence, most=9, shortest=1)
    >>> path.tolist(), length
    ([[0, 0], [1, 1], [2, 2], [3, 3]], 2.5)
    """
    steps = _steps(recurrence)
    found: list[tuple[Path, float]] = []
    while len(found) < most:
        lengths = _lengths(steps)
        length = float(lengths.max()) / _WHOLE
        if not length or (found and length < shortest):
            break
        path = _traced(lengths)
        found.append((path, length))
        first, last = path[0], path[-1] + 1
        steps[first[0] : last[0]] = _CLOSED
        steps[:, first[1] : last[1]] = _CLOSED
    return found


def _steps(recurrence: NDArray[np.bool_]) -> NDArray[np.int16]:
    return np.where(recurrence, np.int16(_WHOLE), np.int16(_GAP))


def _lengths(steps: NDArray[np.int16]) -> Lengths:
    # Two rows and columns of zeros before the first, where paths begin. A row depends on the two
    # before it alone: its cells are worked at together.
    lengths = np.zeros((len(steps) + 2, steps.shape[1] + 2), np.int16)
    rows = zip(
        lengths[2:, 2:], lengths[1:-1, 1:-1], lengths[:-2, 1:-1], lengths[1:-1, :-2], steps,
        strict=True,
    )  # fmt: skip
    for row, aside, two_above, two_aside, step in rows:
        np.maximum(aside, two_above, out=row)
        np.maximum(row, two_aside, out=row)
        np.add(row, step, out=row)
        np.maximum(row, 0, out=row)
    return lengths[2:, 2:]


def _traced(lengths: Lengths) -> Path:
    """The cells of the longest path, found from its end."""
    row, column = (int(i) for i in np.unravel_index(lengths.argmax(), lengths.shape))
    cells = []
    while min(row, column) >= 0 and lengths[row, column] > 0:
        cells.append((row, column))
        before = [(row - down, column - right) for down, right in _MOVES]
        row, column = max(before, key=lambda cell: lengths[cell] if min(cell) >= 0 else -1)
    return np.array(cells[::-1], np.intp)
