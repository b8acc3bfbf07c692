"""Several processes that are one training: which of them this one is, and what its part is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from kinet.errors import SettingsError

# As Keras names them (`keras.distribution.initialize`).
ADDRESS = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
COUNT = "KERAS_DISTRIBUTION_NUM_PROCESSES"
NUMBER = "KERAS_DISTRIBUTION_PROCESS_ID"


@dataclass(frozen=True)
class Place:
    """One of the processes of a training.

    Attributes
    ----------
    number, count : int
        Which process this is, from 0, and of how many.
    coordinator : str
        ``host:port`` at which the first process can be reached by all.

    Examples
    --------
    >>> Place(1, 4, "10.0.0.1:1234").part_of(32)
    slice(8, 16, None)
    """

    number: int = 0
    count: int = 1
    coordinator: str = ""

    @property
    def is_first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.number == 0

    @property
    def others(self) -> bool:
        """Whether there are other processes."""
        return self.count > 1

    def part_of(self, rows: int) -> slice:
        """This process's part of so many rows, as equal to the others' as can be."""
        return slice(self.number * rows // self.count, (self.number + 1) * rows // self.count)

    def part_of_batch(self, size: int, devices: int = 1) -> slice:
        """This process's part of a batch, which every device must share equally.

        Parameters
        ----------
        size : int
            Tracks in a batch of all processes.
        devices : int
            Of every process.

        Raises
        ------
        SettingsError
            If they cannot share it.

        Examples
        --------
        >>> Place(1, 2, "localhost:1234").part_of_batch(6, 2)
        Traceback (most recent call last):
        kinet.errors.SettingsError: a batch has 6 tracks, and 2 processes with 2 devices each \
share it; allowed: batches of a multiple of 4 tracks, by --batch-size and --versions-per-song
        """
        if self.others and size % (self.count * devices):
            raise SettingsError(
                f"a batch has {size} tracks, and {self.count} processes with {devices} devices "
                f"each share it; allowed: batches of a multiple of {self.count * devices} tracks, "
                "by --batch-size and --versions-per-song"
            )
        return self.part_of(size)

    def variables(self) -> dict[str, str]:
        """The environment variables that say so; `place_here` reads them."""
        return {ADDRESS: self.coordinator, COUNT: str(self.count), NUMBER: str(self.number)}


ALONE = Place()


def place_here(environment: Mapping[str, str] = os.environ) -> Place:
    """The place of this process by Keras's environment variables; `ALONE` without them.

    Parameters
    ----------
    environment : mapping of str to str
        ``KERAS_DISTRIBUTION_JOB_ADDRESSES``, of which the first one counts,
        ``KERAS_DISTRIBUTION_NUM_PROCESSES`` and ``KERAS_DISTRIBUTION_PROCESS_ID``.

    Raises
    ------
    SettingsError
        If some are missing, or a value cannot be.

    Examples
    --------
    >>> place_here(Place(1, 2, "10.0.0.1:1234").variables()).number
    1
    >>> place_here({"KERAS_DISTRIBUTION_NUM_PROCESSES": "2"})
    Traceback (most recent call last):
    kinet.errors.SettingsError: KERAS_DISTRIBUTION_JOB_ADDRESSES is not set, and \
KERAS_DISTRIBUTION_NUM_PROCESSES is; allowed: all of KERAS_DISTRIBUTION_JOB_ADDRESSES, \
KERAS_DISTRIBUTION_NUM_PROCESSES, KERAS_DISTRIBUTION_PROCESS_ID, or none
    """
    names = (ADDRESS, COUNT, NUMBER)
    given = [name for name in names if environment.get(name)]
    if not given:
        return ALONE
    missing = [name for name in names if name not in given]
    if missing:
        raise SettingsError(
            f"{missing[0]} is not set, and {given[0]} is; allowed: all of {', '.join(names)}, or "
            "none"
        )
    count = _integer(COUNT, environment[COUNT], 1)
    number = _integer(NUMBER, environment[NUMBER], 0)
    if number >= count:
        raise SettingsError(f"{NUMBER} is {number}; allowed with {COUNT} {count}: 0 to {count - 1}")
    coordinator = environment[ADDRESS].split(",")[0].strip()
    if not re.fullmatch(r"(\[[\da-fA-F:.]+\]|[^\s:/]+):\d{1,5}", coordinator):
        raise SettingsError(
            f"{ADDRESS} is {environment[ADDRESS]!r}; allowed: host:port of the first process, such "
            "as 10.0.0.1:1234"
        )
    return Place(number, count, coordinator)


def _integer(name: str, text: str, least: int) -> int:
    if not text.strip().isdecimal() or int(text) < least:
        raise SettingsError(f"{name} is {text!r}; allowed: an integer from {least}")
    return int(text)
