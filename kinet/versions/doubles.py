"""Works that are one work: the same tune in two files, perhaps in another key or tempo."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from kinet.versions.arrangement import Material

# So many intervals in a row are found in unrelated tunes only if they are a scale.
GRAM = 8
LEAST_OVERLAP = 0.5
# A run of intervals that so many works share (scales, one note repeated) says nothing.
COMMONPLACE = 30

Gram = tuple[int, ...]


def melody_grams(material: Material) -> frozenset[Gram]:
    """All runs of eight intervals in the melody of a work; key and rhythm play no part.

    Parameters
    ----------
    material : Material

    Returns
    -------
    frozenset of tuple of int
        Intervals in semitones. Empty for a melody of fewer than nine notes.
    """
    pitches = material.notes[material.on_top, 2].astype(np.int64)
    steps = np.diff(pitches).tolist()
    return frozenset(tuple(steps[i : i + GRAM]) for i in range(len(steps) - GRAM + 1))


def find_doubles(grams: Sequence[frozenset[Gram]]) -> list[int]:
    """Which works are the same tune as an earlier one.

    Two works are one if of the runs of intervals of the shorter one at least half stand in the
    other.

    Parameters
    ----------
    grams : sequence of frozenset
        As of `melody_grams`, one for every work.

    Returns
    -------
    list of int
        For every work the number of the first work that it is a double of, or its own.

    Examples
    --------
    >>> tune = frozenset((i, 1, 2, 2, 1, 2, 2, 2) for i in range(10))
    >>> find_doubles([tune, frozenset(), tune])
    [0, 1, 0]
    """
    holders = _holders(grams)
    first = list(range(len(grams)))
    for number, own in enumerate(grams):
        shared: Counter[int] = Counter()
        for gram in own:
            shared.update(other for other in holders.get(gram, ()) if other < number)
        for other, count in shared.items():
            if count >= LEAST_OVERLAP * min(len(own), len(grams[other])):
                first[number] = min(first[number], first[other])
    return first


def _holders(grams: Iterable[frozenset[Gram]]) -> dict[Gram, list[int]]:
    """The works that hold a run of intervals, for those that tell works apart."""
    holders: dict[Gram, list[int]] = defaultdict(list)
    for number, own in enumerate(grams):
        for gram in own:
            holders[gram].append(number)
    return {gram: works for gram, works in holders.items() if len(works) <= COMMONPLACE}
