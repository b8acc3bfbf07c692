"""Seconds of several steps, taken in turns, so that what slows the machine slows them all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")
ROUNDS = 5
LEAST_ROUNDS = 3


def seconds_of(step: Callable[[], T]) -> tuple[float, T]:
    """Seconds of one call, and what it returns."""
    start = time.perf_counter()
    result = step()
    return time.perf_counter() - start, result


def in_turns(steps: Mapping[str, Callable[[], object]], budget: float) -> dict[str, list[float]]:
    """Seconds of one call of each step, once per round.

    Parameters
    ----------
    steps : mapping of str to callable
        Each is called once before, untimed: what compiles does so then.
    budget : float
        Seconds for each step. In a round a short step is called until a fifth of it is over. Slow
        steps stop after `LEAST_ROUNDS` rounds, whatever the budget.
    """
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    start = time.perf_counter()
    for turn in range(ROUNDS):
        if turn >= LEAST_ROUNDS and time.perf_counter() - start > budget * len(steps):
            break
        for name, step in steps.items():
            times[name].append(_mean_seconds(step, budget / ROUNDS))
    return times


def _mean_seconds(step: Callable[[], object], least: float) -> float:
    calls, start = 0, time.perf_counter()
    while True:
        step()
        calls += 1
        spent = time.perf_counter() - start
        if spent >= least:
            return spent / calls


def per_second(count: float, seconds: Sequence[float]) -> float:
    """The median rate of a step that does `count` of something."""
    return significant(count / statistics.median(seconds))


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median, over rounds, of the ratio of two steps' seconds."""
    return significant(statistics.median(a / b for a, b in zip(above, below, strict=True)))


def significant(value: float, digits: int = 4) -> float:
    """Rounded to so many significant digits: more would be noise."""
    return float(f"{value:.{digits}g}")
