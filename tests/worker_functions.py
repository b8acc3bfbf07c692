"""What the processes of the tests of `kinet.workers` do: they must import it."""

from __future__ import annotations

import os
import signal
import time


def square_or_die(job, check):
    """Even the worst ends of a process; numbers are squared."""
    if job == "exit":
        os._exit(3)
    if job == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    return job**2


def settings_of_the_process(job, check):
    """The number of threads that libraries may start, and what Ctrl-C does."""
    return os.environ["OMP_NUM_THREADS"], signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def wait(job, check):
    """Give the job at once, or wait; "deaf" and "soon" do not ask whether it is wanted."""
    deadline = time.monotonic() + (0.4 if job == "soon" else 60)
    while job != "quick" and time.monotonic() < deadline:
        time.sleep(0.02)
        if job == "patient":
            check()
    return job


def sleep_shorter(job):
    """The higher the number, the sooner it comes back."""
    time.sleep(0.3 / (job + 1))
    return job


def die_at_two(job):
    """Numbers come back, but for 2."""
    if job == 2:
        os._exit(3)
    return job


def fail_at_two(job):
    """Numbers come back, but for 2."""
    if job == 2:
        raise FileNotFoundError(2, "No such file or directory", "two")
    return job


def take_memory(job, check):
    """Say whether so many bytes can be had."""
    try:
        return len(bytearray(job))
    except MemoryError:
        return "not enough memory"


# What was begun in this process.
begun = []


def name_or_die(job, check):
    """The name in capitals; those that say so raise, or end the process."""
    begun.append(job.name)
    if job.name == "raise":
        raise ValueError("not this one")
    if job.name == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return job.name.upper()


def name_late(job, check):
    """The name in capitals, after a while."""
    time.sleep(0.3)
    return job.name.upper()
