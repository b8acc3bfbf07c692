"""What a process of the pool does, and how it begins and ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

# Every core has a process already: its libraries start no threads beside.
ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")
} | {"VECLIB_MAXIMUM_THREADS": "1"}
# glibc gives arrays of megabytes back to the system at once, and gets them again page by page: as
# long as the arithmetic itself. Elsewhere these mean nothing.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**28), "MALLOC_TRIM_THRESHOLD_": str(2**28)}
ENVIRONMENT = ONE_THREAD | KEEP_MEMORY

_READY = "ready"

Check = Callable[[], None]


class Unwanted(BaseException):
    """The result of the job is not wanted any more: leave it at once."""


def serve(parent: Any, function: Callable[[Any, Check], Any], memory: int | None) -> None:
    """Do one job after another, until this process is dismissed or its parent is gone.

    Parameters
    ----------
    parent : multiprocessing.connection.Connection
        Gives jobs, each in a tuple of one, then None; gets first a sign of life, then the results.
    function : callable
        Gets a job, and a function to call now and then that raises `Unwanted` when nobody waits
        for the result.
    memory : int, optional
        Bytes that this process may take beside those that it has, on Linux.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if memory is not None:
        _limit_memory(memory)
    end_with_parent()
    try:
        parent.send(_READY)
        while (wrapped := parent.recv()) is not None:
            result = function(wrapped[0], partial(_require_wanted, parent))
            parent.send(result)
    except (EOFError, BrokenPipeError, ConnectionResetError, Unwanted):
        return  # the parent is gone, or wants no more


def _limit_memory(memory: int) -> None:
    """Refuse this process more than so many bytes beside those that it has."""
    if sys.platform != "linux":  # elsewhere there is no such limit, or none that holds
        return
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = taken + memory
    allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, most))


def _require_wanted(parent: Any) -> None:
    # While a job is worked at, the only thing to hear is that it is over.
    if parent.poll():
        raise Unwanted


def end_with_parent() -> None:
    """See to it that this process does not live on when its parent is killed, whatever it is at."""
    threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
