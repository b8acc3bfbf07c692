"""Many jobs over several processes, of which one may die without harm to the other jobs.

The executors of the standard library give up everything when a process dies, and do not say over
which job it died. Here a process has one job at a time, so every death belongs to a job.

What asks for single answers again and again, and cannot go on without one, as batches that are made
while a network learns, has the executor of the standard library.

Pebble (5.2) names the job of a death as well. It is not used: its licence is the LGPL, where all
that kinet needs to run is permissive; and what makes up most of this file would stay, for Pebble
leaves it to its caller: processes that do not hear Ctrl-C from their first instant, that end when
their parent is killed whatever a decoder is at, that have one thread each, and that are asked to
leave a job before they are killed, so that what is nearly finished counts.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, resource_tracker
from typing import Any

from kinet.errors import DataError

# Every core has a process already: its libraries start no threads beside.
ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")
} | {"VECLIB_MAXIMUM_THREADS": "1"}
# glibc gives arrays of megabytes back to the system at once, and gets them again page by page: as
# long as the arithmetic itself. Elsewhere these mean nothing.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**28), "MALLOC_TRIM_THRESHOLD_": str(2**28)}
ENVIRONMENT = ONE_THREAD | KEEP_MEMORY
# Seconds in which a process may leave what it is at, and then may end.
PATIENCE = 0.7

_READY = "ready"
_NONE = object()
_HAS_MASK = hasattr(signal, "pthread_sigmask")  # not on Windows

Check = Callable[[], None]


class Unwanted(BaseException):
    """The result of the job is not wanted any more: leave it at once."""


@dataclass(frozen=True)
class Death:
    """In place of a result: the process ended in the middle of the job.

    Attributes
    ----------
    reason : str
        The signal or the exit code.
    """

    reason: str


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
    workers: list[_Worker] = []
    dismissed: list[_Worker] = []
    try:
        while waiting or workers:
            while len(workers) < count and sum(w.is_idle for w in workers) < len(waiting):
                workers.append(_Worker(function, memory))
            for worker in _speaking(workers):
                message, job = worker.hear()
                if job is not _NONE and not finished(job, message):
                    return
                if isinstance(message, Death) or not waiting:
                    worker.dismiss()
                    workers.remove(worker)
                    dismissed.append(worker)
                else:
                    worker.give(waiting.popleft())
    finally:
        try:
            _hear_the_last(workers, finished)
        finally:
            deadline = time.monotonic() + PATIENCE
            for worker in [*workers, *dismissed]:
                worker.end(max(0.0, deadline - time.monotonic()))


def _hear_the_last(workers: list[_Worker], finished: Callable[[Any, Any], bool]) -> None:
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


def _speaking(workers: list[_Worker], timeout: float | None = None) -> list[_Worker]:
    ready = connection.wait([worker.connection for worker in workers], timeout)
    return [worker for worker in workers if worker.connection in ready]


class _Worker:
    """A process and the job that it has."""

    def __init__(self, function: Callable[[Any, Check], Any], memory: int | None) -> None:
        # A forked process would inherit locks that threads of a backend hold.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, function, memory), daemon=True)
        self._job: Any = _NONE
        self._is_ready = False
        with _uninterrupted(), _as_a_worker():
            self._process.start()
        theirs.close()  # so that the end of the process is the end of the connection

    @property
    def is_idle(self) -> bool:
        return self._job is _NONE

    def give(self, job: Any) -> None:
        self._job = job
        with contextlib.suppress(OSError):  # it has died: that is heard next
            self.connection.send((job,))

    def hear(self) -> tuple[Any, Any]:
        """A message and the job that it is about, if any."""
        job, self._job = self._job, _NONE
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            message = Death(self._end_of_process())
            if not self._is_ready:
                raise DataError(
                    f"a worker process could not start: {message.reason}; allowed: workers=1, or "
                    'a script with if __name__ == "__main__":'
                ) from None
        self._is_ready = True
        return message, job

    def dismiss(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.send(None)

    def end(self, patience: float) -> None:
        self._process.join(patience)
        self._process.kill()
        self._process.join()
        self.connection.close()
        self._process.close()

    def _end_of_process(self) -> str:
        self._process.join(PATIENCE)
        code = self._process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
            return f"ended by {name}{memory}"
        return f"ended with exit code {code}"


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C comes when this is over: a process that has half of its beginning prints a traceback.

    A mask alone does not hold it back: Python hears of a signal that another thread gets.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is None:
        yield  # only the main thread is interrupted; what is not of Python cannot be put back
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def _as_a_worker() -> Iterator[None]:
    """The environment and the signals that a process is to start with."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    if _HAS_MASK:
        # Ctrl-C reaches all processes of a terminal, and this one tells the others. The tracker
        # would be started by the first process, and take the mask away.
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if _HAS_MASK:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(parent: Any, function: Callable[[Any, Check], Any], memory: int | None) -> None:
    """What a process does: one job after another, until it is dismissed."""
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
