"""A module as several processes that end together: started, watched, and none left."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kinet.peers import Place
from kinet.peers.child import LOST, PATIENCE, WATCHED

# Seconds between two looks at the processes; and in which all others should notice that one has
# failed, and the one that failed first should be seen.
LOOK, GRACE = 0.05, 1.0
# What a backend does to a process whose connection to another one has ended.
_ABORTED = -getattr(signal, "SIGABRT", 6)


@dataclass(frozen=True)
class Job:
    """What one process runs.

    Attributes
    ----------
    place : Place
        Goes into its environment.
    module : str
        Run as ``__main__``.
    arguments : sequence of str
        Of the module.
    environment : mapping of str to str
        Beside that of this process.
    """

    place: Place
    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """How a process ended that did not end well.

    Attributes
    ----------
    place : Place
        Whose it was.
    code : int
        Its exit code; below 0 the signal that ended it.
    said : str
        What it said on stderr, if it is not the first of all, whose words are shown at once.
    """

    place: Place
    code: int
    said: str

    @property
    def is_of_another(self) -> bool:
        """Whether it ended because another process did, or could not be reached."""
        return self.code in (LOST, _ABORTED)

    def order(self) -> tuple[bool, bool, int]:
        """First what others ended of: one that was killed, then one that failed by itself."""
        return self.is_of_another, self.code > 0, self.place.number

    def __str__(self) -> str:
        who = f"process {self.place.number} of {self.place.count}"
        if self.is_of_another:
            return f"{who} lost the connection to another one, or did not find it"
        if self.code < 0:
            name = signal.Signals(-self.code).name
            memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
            return f"{who} was ended by {name}{memory}"
        return f"{who} ended with exit code {self.code}"


def free_address() -> str:
    """``host:port`` of this machine at which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


def run_together(jobs: Sequence[Job]) -> Ending | None:
    """Run all jobs to their end; when one fails, or this is interrupted, all others are ended.

    What the first process of all says comes to stdout and stderr of this one. Each ends when this
    process does, however it does.

    Parameters
    ----------
    jobs : sequence of Job
        At least one.

    Returns
    -------
    Ending or None
        How the one ended that failed; None if all is well.
    """
    children: list[_Child] = []
    try:
        with _deaf_to_interrupts():
            children += [_Child(job) for job in jobs]
        return _first_failure(children)
    finally:
        _end(children)


def _first_failure(children: Sequence[_Child]) -> Ending | None:
    deadline = math.inf
    while True:
        codes = [child.code for child in children]
        if any(codes) and deadline == math.inf:
            deadline = time.monotonic() + GRACE
        if None not in codes or time.monotonic() > deadline:
            failed = [child.ending() for child in children if child.code]
            return min(failed, key=Ending.order, default=None)
        time.sleep(LOOK)


def _end(children: Sequence[_Child]) -> None:
    for child in children:
        child.dismiss()
    deadline = time.monotonic() + PATIENCE + GRACE
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.0, deadline - time.monotonic()))
        child.process.kill()
        child.process.wait()


class _Child:
    """A process, and what it says unless that is shown."""

    def __init__(self, job: Job) -> None:
        self._place = job.place
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        heard: dict[str, object] = {"stdout": subprocess.DEVNULL, "stderr": self._said}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kinet.peers.child", job.module, *job.arguments],
            env={**os.environ, **_size(), **job.environment, **job.place.variables(), WATCHED: "1"},
            stdin=subprocess.PIPE,  # it is closed with this process
            **({} if job.place.is_first else heard),  # type: ignore[call-overload]
        )

    @property
    def code(self) -> int | None:
        code: int | None = self.process.poll()
        return code

    def ending(self) -> Ending:
        self._said.seek(0)
        return Ending(self._place, self.code or 0, self._said.read().decode(errors="replace"))

    def dismiss(self) -> None:
        """Tell it to end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._said.close()


def _size() -> dict[str, str]:
    """That of the terminal, if this is one, which a process with a pipe does not find."""
    if not sys.stderr.isatty():
        return {}
    columns, lines = shutil.get_terminal_size()
    return {"COLUMNS": str(columns), "LINES": str(lines)}


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that start in this do not hear Ctrl-C, which comes to all of a terminal."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
