"""Many jobs over several processes, of which one may die without harm to the other jobs.

The executors of the standard library give up everything when a process dies, and do not say over
which job it died. Here a process has one job at a time, so every death belongs to a job.

What asks for single answers again and again, and cannot go on without one, as batches that are made
while a network learns, has the executor of the standard library.

Pebble (5.2) names the job of a death as well. It is not used: its licence is the LGPL, where all
that kinet needs to run is permissive; and what makes up most of this room would stay, for Pebble
leaves it to its caller: processes that do not hear Ctrl-C from their first instant, that end when
their parent is killed whatever a decoder is at, that have one thread each, and that are asked to
leave a job before they are killed, so that what is nearly finished counts.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection
from typing import Any

from kinet.errors import DataError
from kinet.workers.child import Check, Unwanted
from kinet.workers.process import NONE, PATIENCE, Death, Worker, uninterrupted

__all__ = [
    "PATIENCE",
    "Check",
    "Death",
    "Unwanted",
    "uninterrupted",
    "work_off",
    "work_off_in_order",
]


def work_off(
    function: Callable[[Any, Check], Any],
    jobs: Sequence[Any],
    count: int,
    finished: Callable[[Any, Any], bool],
    memory: int | None = None,
) -> None:
    """Call a function for every job.

    Parameters
    ----------
    function : callable
        Gets a job, and a function to call now and then that raises `Unwanted` when the work has
        ended. For processes it must be importable, and jobs and results must be picklable.
    jobs : sequence
        Begun in this order.
    count : int
        Processes, from 1. With 1 everything is done in this process.
    finished : callable
        Called in this process with a job and its result, or a `Death`, in the order in which they
        come. Returns whether to go on.
    memory : int, optional
        Bytes that each process may take beside what it begins with, on Linux, whose limit of
        addresses holds. What wants more gets a `MemoryError`, or dies. This process has no limit.

    Raises
    ------
    DataError
        If a process ends before it has a job.

    Notes
    -----
    However the work ends, by an error or Ctrl-C too, no process is left, and what was finished
    within `PATIENCE` seconds was given to `finished`.

    Examples
    --------
    >>> squares = {}
    >>> def finished(job, result):
    ...     squares[job] = result
    ...     return len(squares) < 3
    >>> work_off(lambda job, check: job**2, [1, 2, 3, 4], 1, finished)
    >>> squares
    {1: 1, 2: 4, 3: 9}
    """
    if count > 1:
        _work_off_in_processes(function, jobs, count, finished, memory)
        return
    for job in jobs:
        if not finished(job, function(job, lambda: None)):
            return


def work_off_in_order(
    function: Callable[[Any], Any],
    jobs: Sequence[Any],
    count: int,
    take: Callable[[Any], bool],
) -> None:
    """Call a function for every job, and take the results in the order of the jobs.

    Parameters
    ----------
    function : callable
        Gets a job. For processes it must be importable, and jobs and results must be picklable.
    jobs, count
        As of `work_off`.
    take : callable
        Called in this process with one result after the other. Returns whether to go on.

    Raises
    ------
    DataError
        If a process ends before its job is done, for the order has a hole then.
    Exception
        What the function raised, in the order of the jobs.

    Examples
    --------
    >>> squares = []
    >>> def take(square):
    ...     squares.append(square)
    ...     return len(squares) < 3
    >>> work_off_in_order(lambda job: job**2, [1, 2, 3, 4], 1, take)
    >>> squares
    [1, 4, 9]
    """
    early: dict[int, Any] = {}
    following, wanted = 0, True

    def finished(numbered: tuple[int, Any], result: Any) -> bool:
        nonlocal following, wanted
        if isinstance(result, Death):
            raise DataError(
                f"a worker process {result.reason}; allowed: workers=1, or fewer of them, each "
                "with enough memory"
            )
        early[numbered[0]] = result
        while wanted and following in early:
            done = early.pop(following)
            following += 1
            if isinstance(done, _Raised):
                wanted = False
                raise done.error
            wanted = take(done)
        return wanted

    work_off(partial(_of_numbered, function), list(enumerate(jobs)), count, finished)


@dataclass(frozen=True)
class _Raised:
    error: Exception


def _of_numbered(function: Callable[[Any], Any], numbered: tuple[int, Any], check: Check) -> Any:
    try:
        return function(numbered[1])
    except Exception as error:  # noqa: BLE001 - it is raised where the result is taken
        return _Raised(error)


def _work_off_in_processes(
    function: Callable[[Any, Check], Any],
    jobs: Sequence[Any],
    count: int,
    finished: Callable[[Any, Any], bool],
    memory: int | None,
) -> None:
    waiting = deque(jobs)
    workers: list[Worker] = []
    dismissed: list[Worker] = []
    heard: list[tuple[Any, Any]] = []
    try:
        while waiting or workers:
            while len(workers) < count and sum(w.is_idle for w in workers) < len(waiting):
                workers.append(Worker(function, memory))
            for worker in _speaking(workers):
                with uninterrupted():
                    message, job = worker.hear()
                    if job is not NONE:
                        heard.append((job, message))
                if heard and not finished(*heard.pop()):
                    return
                if isinstance(message, Death) or not waiting:
                    worker.dismiss()
                    workers.remove(worker)
                    dismissed.append(worker)
                else:
                    worker.give(waiting.popleft())
    finally:
        try:
            for job, message in heard:  # Ctrl-C came before it was given on
                finished(job, message)
            _hear_the_last(workers, finished)
        finally:
            deadline = time.monotonic() + PATIENCE
            for worker in [*workers, *dismissed]:
                worker.end(max(0.0, deadline - time.monotonic()))


def _hear_the_last(workers: list[Worker], finished: Callable[[Any, Any], bool]) -> None:
    """Tell all to leave what they are at, and take what they had finished."""
    deadline = time.monotonic() + PATIENCE
    for worker in workers:
        worker.dismiss()
    busy = [worker for worker in workers if not worker.is_idle]
    while busy and (left := deadline - time.monotonic()) > 0:
        for worker in _speaking(busy, left):
            message, job = worker.hear()
            if not isinstance(message, Death):
                finished(job, message)
            busy.remove(worker)


def _speaking(workers: list[Worker], timeout: float | None = None) -> list[Worker]:
    ready = connection.wait([worker.connection for worker in workers], timeout)
    return [worker for worker in workers if worker.connection in ready]
