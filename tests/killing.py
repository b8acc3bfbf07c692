"""Kill a writer at every file event, and look at what it left.

Events are what Python tells its audit hooks of files (opening for writing, renaming, removing,
making and removing folders), ``fsync``, and statements of SQLite; the writer is killed before the
event. Between two
events it can only have added to a file that it had open: then what is not flushed is lost too.

A writer runs in a fork. So scenarios run in a process without the threads of a backend:
``tests/kill_scenarios.py``.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
KILLED = 9
# Events at which CI kills a writer; all of them with KINET_SLOW.
_MOST = 6


def _is_event(name: str, arguments: tuple[object, ...]) -> bool:
    if name == "open":
        return isinstance(arguments[2], int) and bool(arguments[2] & _WRITING)
    return name in _EVENTS


def _count(on_event: Callable[[], None]) -> None:
    """Call `on_event` before every event of this process, from now on."""
    sys.addaudithook(lambda name, arguments: on_event() if _is_event(name, arguments) else None)
    connect = sqlite3.connect

    def heard(*arguments: Any, **options: Any) -> sqlite3.Connection:
        database = connect(*arguments, **options)
        database.set_trace_callback(lambda statement: on_event())
        return database

    sqlite3.connect = heard
    # Nothing is flushed to the disk: that is for a loss of power, and takes most of the time.
    os.fsync = lambda descriptor: on_event()


def in_fork(work: Callable[[], object]) -> int:
    """Exit status of a fork that does `work`."""
    return os.waitstatus_to_exitcode(os.waitpid(_fork(work), 0)[1])


def _fork(work: Callable[[], object]) -> int:
    """The process number of a fork that does `work`."""
    process = os.fork()
    if not process:
        status = 1
        try:
            work()
            status = 0
        except Exception:  # noqa: BLE001 - whatever a writer raises is reported
            traceback.print_exc()
        finally:
            os._exit(status)
    return process


def events_of(write: Callable[[], object]) -> int:
    """How many file events `write` has."""
    reader, writer = os.pipe()

    def work() -> None:
        seen = [0]
        _count(lambda: seen.__setitem__(0, seen[0] + 1))
        write()
        os.write(writer, str(seen[0]).encode())

    status = in_fork(work)
    if status:
        raise AssertionError(f"the writer ended with {status} without being killed")
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        return int(pipe.read())


def killed_before(event: int, write: Callable[[], object]) -> int:
    """Exit status of a writer that is killed before this event, the first of which is 0."""

    def work() -> None:
        left = [event]

        def on_event() -> None:
            if not left[0]:
                os._exit(KILLED)
            left[0] -= 1

        _count(on_event)
        write()

    return in_fork(work)


def killed_after(seconds: float, write: Callable[[], object]) -> int:
    """Exit status of a writer that is killed after a time, wherever it is then."""
    process = _fork(write)
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill_at_every_event(
    prepare: Callable[[], object],
    write: Callable[[], object],
    check: Callable[[bool], object],
) -> int:
    """Run `write` once for each of its events, killed there, and once to its end.

    Parameters
    ----------
    prepare : callable
        Makes the world as it was, before each run.
    write : callable
        The writer. What it reports to a user it does at its end: then it was not killed.
    check : callable
        Called after each run with whether the writer came to its end; raises if what is there is
        neither old nor new, or what was reported is not there.

    Returns
    -------
    int
        Runs that were killed.
    """
    prepare()
    count = events_of(write)
    assert count, "the writer writes nothing"
    step = 1 if os.environ.get("KINET_SLOW") else -(-count // _MOST)
    ends = [
        (f"before event {last} of {count}", partial(killed_before, last))
        for last in [*range(0, count, step), count]
    ]
    return _kill(prepare, write, check, ends)


def kill_at_random(
    prepare: Callable[[], object],
    write: Callable[[], object],
    check: Callable[[bool], object],
    kills: int,
    rng: np.random.Generator,
) -> int:
    """As `kill_at_every_event`, so often after a time that is drawn, wherever it is then."""
    prepare()
    started = time.monotonic()
    assert in_fork(write) == 0
    duration = time.monotonic() - started
    times = rng.uniform(0, duration, kills).tolist()
    ends = [(f"after {seconds:.4f} s", partial(killed_after, seconds)) for seconds in times]
    return _kill(prepare, write, check, ends)


def _kill(
    prepare: Callable[[], object],
    write: Callable[[], object],
    check: Callable[[bool], object],
    ends: Iterable[tuple[str, Callable[[Callable[[], object]], int]]],
) -> int:
    killed = 0
    for when, end in ends:
        prepare()
        status = end(write)
        assert status in (0, KILLED, -KILLED), f"{when}: the writer ended with {status}"
        killed += status != 0
        try:
            check(status == 0)
        except AssertionError as error:
            raise AssertionError(f"killed {when}: {error}") from error
    return killed
