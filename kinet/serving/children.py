"""One job in a process of its own, which has so much memory and so much time."""

from __future__ import annotations

import faulthandler
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from kinet.serving.limits import Limits, Refusal
from kinet.workers import Check, Death, work_off

# What a process may take longer than it should until it is gone.
_PATIENCE = 0.05


def in_child(function: Callable[[Any, Check], Any], job: Any, limits: Limits) -> Any:
    """The result of a function that strangers' files may bring to crash, to swell or to hang.

    Parameters
    ----------
    function, job
        As of `kinet.workers.work_off` for processes.
    limits : Limits
        ``memory`` and ``job_seconds`` of it.

    Raises
    ------
    Refusal
        If the process died (415), or took too long (503).
    DataError
        If no process can be started.
    """
    results = []

    def finished(_: Any, result: Any) -> bool:
        results.append(result)
        return True

    begun = time.monotonic()
    # One process would be this one; of two that are allowed, one job starts one.
    work_off(partial(_in_time, function, limits.job_seconds), [job], 2, finished, limits.memory)
    [result] = results
    if isinstance(result, Death):
        if time.monotonic() - begun > limits.job_seconds - _PATIENCE:
            raise Refusal(
                503, f"took longer than {limits.job_seconds:g} s; need less sound, or less to do"
            )
        raise Refusal(415, f"the process that read it was {result.reason}; need a whole recording")
    return result


def _in_time(function: Callable[[Any, Check], Any], seconds: float, job: Any, check: Check) -> Any:
    """The function's result, or the end of this process, even if a decoder never comes back."""
    with open(os.devnull, "w", encoding="ascii") as nowhere:
        # Its thread needs nothing of Python, which a decoder may hold.
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            return function(job, check)
        finally:
            faulthandler.cancel_dump_traceback_later()
