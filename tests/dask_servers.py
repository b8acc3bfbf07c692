"""Clusters of Dask for the tests: in this process, and of the commands that people start."""

from __future__ import annotations

import contextlib
import gc
import shlex
import socket
import subprocess
import sys
import time

ALLOWED_FAILURES = "distributed.scheduler.allowed-failures"


@contextlib.contextmanager
def cluster_here(processes=False, workers=1, threads=1, **settings):
    """A scheduler in this process; workers, too, if they are no processes."""
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            processes=processes,
            protocol="tcp",
            dashboard_address=":0",
            silence_logs=False,
        ) as cluster,
    ):
        yield cluster
    gc.collect()  # what it left is told here


def free_address():
    """Where a scheduler can listen."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return f"tcp://127.0.0.1:{taken.getsockname()[1]}"


def run_dask(log, *arguments):
    """A command of Dask in the background; what it says goes to a file."""
    with open(log, "a") as written:
        command = [sys.executable, "-m", "dask", *arguments]
        return subprocess.Popen(command, stdout=written, stderr=written, start_new_session=True)


def wait_for_workers(address, number):
    """Until so many have come."""
    from distributed import Client

    with Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(number, timeout=60)


class Servers:
    """A scheduler and workers of one thread each, as their commands start them."""

    def __init__(self, log, workers=2):
        self._log, self._workers = log, workers
        self.address = free_address()
        self.start()

    def start(self):
        """Start both, and wait until all workers are there."""
        port = self.address.rpartition(":")[2]
        how = ["--no-dashboard", "--host", "127.0.0.1"]
        self.scheduler = run_dask(self._log, "scheduler", "--port", port, *how)
        number = str(self._workers)
        self.nannies = run_dask(
            self._log, "worker", self.address, "--nthreads=1", "--nworkers", number, *how
        )
        wait_for_workers(self.address, self._workers)

    def worker_processes(self):
        """Those that work now, not those that look after them."""
        import psutil

        found = []
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self.nannies.pid).children():
                with contextlib.suppress(psutil.Error):
                    if "spawn_main" in " ".join(process.cmdline()):
                        found.append(process)
        return found

    def stop(self):
        """End all of it."""
        workers = self.worker_processes()
        for process in (self.nannies, self.scheduler, *workers):
            with contextlib.suppress(Exception):
                process.kill()
        for process in (self.nannies, self.scheduler):
            process.wait(30)
        deadline = time.monotonic() + 10
        while any(worker.is_running() for worker in workers) and time.monotonic() < deadline:
            time.sleep(0.01)


class Started:
    """What the lines of a page start, which name ``scheduler.example.org:8786``."""

    def __init__(self, log):
        self._log = log
        self._processes = []
        self._address = free_address()

    def placed(self, code):
        """The lines with the address that is free here."""
        code = code.replace("tcp://scheduler.example.org:8786", self._address)
        return code.replace("--port 8786", f"--port {self._address.rpartition(':')[2]}")

    def run(self, line):
        """Run such a line in the background; workers are there when it is back."""
        self._processes.append(run_dask(self._log, *shlex.split(line)[1:]))
        if line.startswith("dask worker"):
            wait_for_workers(self._address, 1)

    def stop(self):
        """End all, workers before their scheduler."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait(30)
