"""How much the page takes, and what it says when that is not enough."""

from __future__ import annotations

from dataclasses import dataclass

from kinet.errors import KinetError
from kinet.extraction import MEMORY


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask of the machine.

    Attributes
    ----------
    bytes : int
        Of a request with a recording.
    seconds : float
        Of sound in a recording.
    waiting : int
        Recordings that are received, waiting or worked at; more are turned away.
    job_seconds : float
        For receiving a recording, for reading it, and for making a page of it.
    memory : int
        Bytes that a process may take that decodes.
    kept : int
        Recordings that are kept with their answers; older ones go.
    """

    bytes: int = 200 * 10**6
    seconds: float = 2 * 3600.0
    waiting: int = 8
    job_seconds: float = 120.0
    memory: int = MEMORY
    kept: int = 8


class Refusal(KinetError):
    """What was asked for is not given.

    Attributes
    ----------
    status : int
        Of HTTP.

    Examples
    --------
    >>> Refusal(404, "nothing here").status
    404
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
