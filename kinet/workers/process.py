"""A process of the pool as its parent sees it: started, given a job, heard, ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

from kinet.errors import DataError
from kinet.workers.child import ENVIRONMENT, Check, serve

# Seconds in which a process may leave what it is at, and then may end. A disk with much to do may
# take one to say that a file is on it.
PATIENCE = 1.5

#: In place of a job, where a process has none.
NONE = object()
_HAS_MASK = hasattr(signal, "pthread_sigmask")  # not on Windows


@dataclass(frozen=True)
class Death:
    """In place of a result: the process ended in the middle of the job.

    Attributes
    ----------
    reason : str
        The signal or the exit code.
    """

    reason: str


class Worker:
    """A process and the job that it has.

    Parameters
    ----------
    function, memory
        As of `kinet.workers.child.serve`.
    """

    def __init__(self, function: Callable[[Any, Check], Any], memory: int | None) -> None:
        # A forked process would inherit locks that threads of a backend hold.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, function, memory), daemon=True)
        self._job: Any = NONE
        self._is_ready = False
        with uninterrupted(), _as_a_worker():
            self._process.start()
        theirs.close()  # so that the end of the process is the end of the connection

    @property
    def is_idle(self) -> bool:
        """Whether it has no job."""
        return self._job is NONE

    def give(self, job: Any) -> None:
        """Send it a job."""
        self._job = job
        with contextlib.suppress(OSError):  # it has died: that is heard next
            self.connection.send((job,))

    def hear(self) -> tuple[Any, Any]:
        """A result and its job, a sign of life and `NONE`, or a `Death` and what it was at.

        Raises
        ------
        DataError
            If the process ended before it could work.
        """
        job, self._job = self._job, NONE
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
        """Ask it to leave what it is at, and to end."""
        with contextlib.suppress(OSError):
            self.connection.send(None)

    def end(self, patience: float) -> None:
        """Wait so many seconds for its end, then kill it."""
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
def uninterrupted() -> Iterator[None]:
    """Ctrl-C comes when this is over, for what is wrong by half: this must not take long.

    A process that has half of its beginning prints a traceback; a result that was heard and not
    given on is lost. A mask alone does not hold it back: Python hears of a signal that another
    thread gets.
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
