"""Damaged copies of a file: bytes changed, cut off, put in."""

from __future__ import annotations

import numpy as np


def damaged(content: bytes, seed: int) -> bytes:
    """A copy with one to eight faults: bits turned, runs of bytes replaced or taken out, an end."""
    rng = np.random.default_rng(seed)
    copy = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        place = int(rng.integers(max(1, len(copy))))
        kind = rng.integers(5)
        if kind == 0:
            copy[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            copy[place : place + 4] = rng.bytes(4)
        elif kind == 2:
            copy[place : place + 8] = b"\xff" * 8
        elif kind == 3:
            del copy[place : place + int(rng.integers(1, 64))]
        else:
            del copy[place:]
        if not copy:
            break
    return bytes(copy)
