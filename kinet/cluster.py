"""Many jobs over the workers of a Dask cluster.

Dask has workers on other machines, starts those that die again, gives their work to others and
shows what is left. Once it runs it is as fast as kinet's own processes (`benchmarks/cluster.py`).
These stay what works on one machine: Dask does not know which job ended a process, and finds out by
letting it end several; it does not limit the memory of one job; and it has to be installed and
started.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

from kinet.errors import DataError, SettingsError, first_line
from kinet.processes import Job
from kinet.reading import reason, show_path
from kinet.remote import AnyPath, absolute, is_there
from kinet.workers import Check, Death

# Seconds in which a scheduler must answer.
ANSWER = 10
# Tasks that are sent to the scheduler at once.
_AT_ONCE = 1000

_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[^\s/:@]+):\d{1,5}")


@dataclass(frozen=True)
class Cluster:
    """The workers of a Dask cluster that runs already.

    Each of them has kinet, the same version as here, and sees recordings and folders under the
    same paths, or reaches the store that they are in. A job whose worker dies is given to another
    one. One that ends them again and again is tried once more when all the others are done, alone,
    for it may have been another one that ended them; then it is given up.

    Attributes
    ----------
    address : str
        Of the scheduler: ``tcp://host:port``, or ``tls://host:port`` with the certificates that
        the configuration of Dask names.

    Raises
    ------
    SettingsError
        If it is no such address.

    Examples
    --------
    >>> Cluster("tcp://localhost:8786")
    Cluster(address='tcp://localhost:8786')
    >>> Cluster("localhost")
    Traceback (most recent call last):
    kinet.errors.SettingsError: 'localhost' is no address of a Dask scheduler; need tcp://host:port
    """

    address: str

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.address):
            raise SettingsError(
                f"{self.address!r} is no address of a Dask scheduler; need tcp://host:port"
            )

    def work_off(
        self,
        function: Callable[[Any, Check], Any],
        jobs: Sequence[Job],
        finished: Callable[[Any, Any], bool],
        verb: str,
        shared: Sequence[AnyPath] = (),
        memory: int | None = None,
    ) -> None:
        """As `kinet.processes.Workers.work_off`.

        The memory of a worker is limited by who started it. When the work ends before it is done,
        workers end the jobs that they are at, and nobody hears of these.
        """
        if not jobs:
            return
        with self._connected() as client:
            self._look_at_workers(client, shared)
            work = _Work(client, self.address, function, finished, verb)
            work.do(jobs)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        """A client of the scheduler; whatever it has begun ends with it."""
        try:
            from distributed import Client
        except ImportError as error:
            raise SettingsError(
                'a cluster needs Dask, which is not installed; pip install "mulkinet[cluster]"'
            ) from error
        with _only_our_words():
            try:
                client = Client(self.address, timeout=ANSWER, set_as_default=False)
            except (OSError, ValueError) as error:
                raise DataError(
                    f"no Dask scheduler answers at {self.address} ({first_line(error)}); need one "
                    "that runs: dask scheduler"
                ) from error
            try:
                yield client
            finally:
                client.close(timeout=1)

    def _look_at_workers(self, client: Any, shared: Sequence[AnyPath]) -> None:
        needed = tuple(map(absolute, shared))
        try:
            client.wait_for_workers(1, timeout=ANSWER)
            said = client.run(_fault_of_worker, _version(), needed, on_error="return")
        except TimeoutError as error:
            raise DataError(
                f"the cluster at {self.address} has no workers; need one at least: dask worker "
                f"{self.address}"
            ) from error
        except OSError as error:
            raise DataError(f"lost the Dask scheduler at {self.address}") from error
        for worker, fault in sorted(said.items()):
            if isinstance(fault, OSError):
                continue  # it died; whoever takes its place is asked with its first job
            if isinstance(fault, BaseException):
                fault = first_line(fault)
            if fault:
                raise DataError(f"worker {worker} of the cluster cannot do this work: {fault}")


class _Work:
    """Jobs that a cluster is at."""

    def __init__(
        self,
        client: Any,
        address: str,
        function: Callable[[Any, Check], Any],
        finished: Callable[[Any, Any], bool],
        verb: str,
    ) -> None:
        self._client, self._address = client, address
        self._function, self._finished, self._verb = function, finished, verb

    def do(self, jobs: Sequence[Job]) -> None:
        suspects: list[Job] = []
        for job, result in self._results(jobs):
            if isinstance(result, Death):
                suspects.append(job)
            elif not self._finished(job, result):
                return
        for suspect in suspects:
            [(job, result)] = self._results([suspect])
            if not self._finished(job, result):
                return

    def _results(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Any]]:
        """Jobs with their results, in the order in which they come."""
        from distributed import as_completed

        # Another client may have jobs of the same names.
        run, version = secrets.token_hex(4), _version()
        futures = self._client.map(
            _do,
            [(version, self._function, job) for job in jobs],
            key=[(self._verb, show_path(job.name), f"{run}-{i}") for i, job in enumerate(jobs)],
            pure=False,
            batch_size=_AT_ONCE,
        )
        job_of = {future.key: job for future, job in zip(futures, jobs, strict=True)}
        done = as_completed(futures, loop=self._client.loop)
        # What nobody holds the cluster forgets: else it would be done again when its worker dies.
        del futures
        for future in done:
            yield job_of.pop(future.key), self._result(future)

    def _result(self, future: Any) -> Any:
        from distributed import KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            times = error.allowed_failures + 1
            return Death(f"lost with its worker {times} times, last {error.last_worker.address}")
        except Exception as error:
            if isinstance(error, CancelledError) or self._client.status != "running":
                raise DataError(
                    f"lost the Dask scheduler at {self._address}; what is finished stays, and the "
                    "same command goes on"
                ) from error
            raise DataError(
                f"a worker of the cluster cannot do this work: {first_line(error)}"
            ) from error


def _do(task: tuple[str, Callable[[Any, Check], Any], Job]) -> Any:
    """What a worker does."""
    version, function, job = task
    # It may have come after the others were asked.
    if fault := _fault_of_worker(version):
        raise DataError(fault)
    try:
        return function(job, lambda: None)
    except Exception as error:  # noqa: BLE001 - here it would end a process that has one job
        return Death(f"ended by {first_line(error)}")


def _fault_of_worker(version: str, shared: Sequence[AnyPath] = ()) -> str:
    """Why a worker cannot work for a client with a version of kinet, if so."""
    if _version() != version:
        return f"it has kinet {_version()}; need {version}, as here"
    for path in shared:
        why = ""
        try:
            if is_there(path):
                continue
        except OSError as error:
            why = f" ({reason(error)})"
        return f"it does not see {show_path(path)}{why}; need files or a store that all share"
    return ""


def _version() -> str:
    return importlib.metadata.version("mulkinet")


@contextlib.contextmanager
def _only_our_words() -> Iterator[None]:
    """Dask logs what is told in one line here."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    loggers = [logging.getLogger(name) for name in ("distributed", *names)]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was
