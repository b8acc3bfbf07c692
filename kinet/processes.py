"""Who does many jobs: processes of this machine, or others that can do the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kinet.backend import cores
from kinet.errors import SettingsError
from kinet.remote import AnyPath
from kinet.workers import Check, work_off


class Job(Protocol):
    """What is to be done; it can be pickled, and paths in it do not depend on the folder."""

    @property
    def name(self) -> str:
        """For those who look on."""


class Workers(Protocol):
    """Who does many jobs."""

    def work_off(
        self,
        function: Callable[[Any, Check], Any],
        jobs: Sequence[Job],
        finished: Callable[[Any, Any], bool],
        verb: str,
        shared: Sequence[AnyPath] = (),
        memory: int | None = None,
    ) -> None:
        """Call a function for every job.

        Parameters
        ----------
        function, finished
            As of `kinet.workers.work_off` for processes.
        jobs : sequence of Job
        verb : str
            What is done, as ``extract``, for those who look on.
        shared : sequence of pathlib.Path or Url
            What everyone must see, where not all are on this machine.
        memory : int, optional
            As of `kinet.workers.work_off`, where a process has one job at a time.

        Raises
        ------
        DataError
            If nobody can do the work, or not any more.
        """


@dataclass(frozen=True)
class Processes:
    """Processes of this machine, by default one for every core.

    Attributes
    ----------
    count : int, optional

    Raises
    ------
    SettingsError
        If `count` is below 1.
    """

    count: int | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise SettingsError(f"workers is {self.count}; allowed: an integer from 1")

    def work_off(
        self,
        function: Callable[[Any, Check], Any],
        jobs: Sequence[Job],
        finished: Callable[[Any, Any], bool],
        verb: str,
        shared: Sequence[AnyPath] = (),
        memory: int | None = None,
    ) -> None:
        """As `Workers.work_off`."""
        count = self.count or cores()
        if memory is None:  # one job is done sooner here than a process is started
            count = min(count, max(1, len(jobs)))
        work_off(function, jobs, count, finished, memory)


def workers_of(given: int | Workers | None) -> Workers:
    """Who is meant by a number of processes, or by none.

    Raises
    ------
    SettingsError
        If the number is below 1.

    Examples
    --------
    >>> workers_of(2), workers_of(None)
    (Processes(count=2), Processes(count=None))
    """
    return Processes(given) if given is None or isinstance(given, int) else given
