"""The longest paths through cross recurrence: Qmax, and which way it went.

After J. Serrà, X. Serra, R. G. Andrzejak, "Cross recurrence quantification for cover song
identification", New Journal of Physics 11, 2009. What differs here: beginning a gap costs as much
as going on with one, so that a row of cells is a few operations of NumPy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Lengths are counted in half vectors: a cell that recurs adds a whole one, one that does not takes
# a half away. No path leads through a closed cell, which takes all away.
_WHOLE, _GAP, _CLOSED = 2, 1, 2**15 - 1
# A path is cut where so many more cells do not recur than do.
_FALL = 4

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
    return _lengths(_losses(recurrence))[2:, 2:]


def passages_of(
    recurrence: NDArray[np.bool_], most: int, shortest: int
) -> tuple[list[tuple[Path, int]], float]:
    """The passages of the longest path, and of further ones through rows and columns that are left.

    A path can bridge what only one of the recordings has. There it is cut, and the bridge is left
    out: where more cells do not recur than do, and at least 4 more.

    Parameters
    ----------
    recurrence : ndarray of bool, shape (n, m)
    most : int
        Passages at most.
    shortest : int
        Length from which on a passage counts; the longest one always does.

    Returns
    -------
    list of (ndarray of int, shape (P, 2), int)
        Rows and columns of the cells of each passage, from its first to its last, and its length,
        the number of cells that recur less that of those that do not; the longest first. None if
        nothing recurs.
    float
        Length of the longest path in vectors, Qmax.

    Examples
    --------
    >>> recurrence = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]) > 0
    >>> passages, longest = passages_of(recurrence, most=9, shortest=1)
    >>> [(path.tolist(), length) for path, length in passages], longest
    ([([[0, 0], [1, 1], [2, 2], [3, 3]], 2)], 2.5)
    """
    losses, longest = _losses(recurrence), 0.0
    rows, columns = (np.ones(count, bool) for count in losses.shape)  # that are left
    found: list[tuple[Path, int]] = []
    while len(found) < most and min(rows.sum(), columns.sum()) >= (shortest if found else 1):
        path, length = _traced(_lengths(losses))
        if not length or (found and length < shortest):
            break
        longest = longest or length
        pieces = _pieces(path, recurrence[*path.T])
        pieces = [each for each in pieces if each[1] >= shortest] or pieces[: not found]
        if not pieces:
            break
        found += pieces
        for piece, _ in pieces:
            first, last = piece[0], piece[-1] + 1
            rows[first[0] : last[0]] = columns[first[1] : last[1]] = False
        losses[~rows] = losses[:, ~columns] = _CLOSED
    return sorted(_joined(found), key=lambda each: -each[1])[:most], longest


def _joined(found: list[tuple[Path, int]]) -> list[tuple[Path, int]]:
    """Passages, of which those that go on where another one ends are one with it.

    A path leaves a passage early if that brings it nearer to the next one: what it left comes as a
    passage of its own.
    """
    joined: list[tuple[Path, int]] = []
    for path, length in sorted(found, key=lambda each: each[0][0].tolist()):
        ahead = path[0] - joined[-1][0][-1] if joined else np.zeros(2)
        if ahead.min() > 0 and ahead.max() <= _FALL:
            before, its_length = joined.pop()
            path, length = np.vstack([before, path]), its_length + length
        joined.append((path, length))
    return joined


def _pieces(path: Path, recurs: NDArray[np.bool_]) -> list[tuple[Path, int]]:
    """The parts of a path between its bridges, with their lengths, the longest first."""
    pieces = []
    start, best, best_end, length = 0, 0, 0, 0
    for at, step in enumerate(np.where(recurs, 1, -1).tolist()):
        length += step
        if length >= best:
            best, best_end = length, at + 1
        if length <= max(0, best - _FALL) or at == len(path) - 1:
            if best:
                pieces.append((path[start:best_end], best))
            start, best, length = at + 1, 0, 0
    return sorted(pieces, key=lambda each: -each[1])


def _losses(recurrence: NDArray[np.bool_]) -> NDArray[np.int16]:
    """What each cell takes away of a path."""
    return np.where(recurrence, np.int16(-_WHOLE), np.int16(_GAP))


def _lengths(losses: NDArray[np.int16]) -> Lengths:
    """As `path_lengths`, with two rows and columns of zeros before the first, where paths begin."""
    # A row depends on the two before it alone: its cells are worked at together.
    lengths = np.zeros((len(losses) + 2, losses.shape[1] + 2), np.int16)
    rows = zip(
        lengths[2:, 2:], lengths[1:-1, 1:-1], lengths[:-2, 1:-1], lengths[1:-1, :-2], losses,
        strict=True,
    )  # fmt: skip
    for row, aside, two_above, two_aside, loss in rows:
        np.maximum(aside, two_above, out=row)
        np.maximum(row, two_aside, out=row)
        # Nothing is left where the loss is greater. A number in place of an array takes longer.
        np.maximum(row, loss, out=row)
        np.subtract(row, loss, out=row)
    return lengths


def _traced(lengths: Lengths) -> tuple[Path, float]:
    """The cells of the longest path, found from its end, and its length in vectors."""
    at = lengths.item  # in a loop many times as fast as indexing
    row, column = (int(i) for i in np.unravel_index(lengths.argmax(), lengths.shape))
    length, cells = at(row, column) / _WHOLE, []
    while at(row, column) > 0:
        cells.append((row - 2, column - 2))
        aside = at(row - 1, column - 1)
        two_above, two_aside = at(row - 2, column - 1), at(row - 1, column - 2)
        if two_above > max(aside, two_aside):
            row -= 1
        elif two_aside > aside:
            column -= 1
        row, column = row - 1, column - 1
    return np.array(cells[::-1], np.intp).reshape(-1, 2), length
