"""How seconds grow with rows: a power and a line, by least squares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Rows from which on a search takes longer than it takes to begin.
FITTED_FROM = 100_000


def fitted(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, float]:
    """A power ``a n^b`` and a line ``constant + slope n``, each with its largest residual.

    Residuals are shares of what was measured. Of the line, squares of these shares are the least,
    so that few rows count as much as many.

    Parameters
    ----------
    rows : sequence of mapping
        With the number of ``rows``, and seconds by `name`.
    name : str

    Examples
    --------
    >>> rows = [{"rows": n, "s": 2e-9 * n + 1e-4} for n in (100_000, 1_000_000, 10_000_000)]
    >>> found = fitted(rows, "s")
    >>> round(found["slope"] * 1e9, 6), round(found["constant"] * 1e4, 6)
    (2.0, 1.0)
    """
    own = [row for row in rows if row["rows"] >= FITTED_FROM] or list(rows)
    counts = np.array([row["rows"] for row in own], float)
    seconds = np.array([row[name] for row in own], float)
    b, a = np.polyfit(np.log(counts), np.log(seconds), 1)
    shares = np.stack([np.ones(len(counts)), counts], axis=1) / seconds[:, None]
    constant, slope = np.linalg.lstsq(shares, np.ones(len(counts)))[0]
    return {
        "a": math.exp(a),
        "b": float(b),
        "residual": _largest(math.exp(a) * counts**b, seconds),
        "constant": float(constant),
        "slope": float(slope),
        "residual_of_line": _largest(constant + slope * counts, seconds),
    }


def _largest(said: np.ndarray, measured: np.ndarray) -> float:
    return float(np.abs(said / measured - 1).max())
