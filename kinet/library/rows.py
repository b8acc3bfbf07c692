"""What stands in the tables of a library, checked when it is written and when it is read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kinet.config import PITCH_CLASSES
from kinet.errors import DataError
from kinet.remote import AnyPath, path_or_url

_TYPE = np.dtype("<f4")
# Rows of 8 and 16 bits are of length 1 within less; that of silence is 0.
_UNIT = 1e-3


@dataclass(frozen=True)
class File:
    """A file of a recording.

    Attributes
    ----------
    path : pathlib.Path or Url
        Absolute.
    recording : int
        Number of the recording in the library; exact copies have the same.
    title, artist : str
        Of the file's tags, or the title of its name; the artist may be empty.
    song : str
        The id of the work, where it was stated; else empty.
    bytes, modified_ns : int
        Size, and time of change in nanoseconds since 1970.
    """

    path: AnyPath
    recording: int
    title: str
    artist: str
    song: str
    bytes: int
    modified_ns: int

    def values(self) -> tuple[object, ...]:
        """The row in the database, without its checksum."""
        return (
            *(os.fsencode(self.path), self.recording, storable(self.title)),
            *(storable(self.artist), storable(self.song), self.bytes, self.modified_ns),
        )

    @classmethod
    def of(cls, values: tuple[Any, ...]) -> File:
        """From `values`."""
        return cls(path_or_url(os.fsdecode(values[0])), *values[1:])


@dataclass(frozen=True)
class Sound:
    """A recording with all that is made of it, as it goes into a library.

    Attributes
    ----------
    sha256 : bytes
        Of the file's content.
    seconds : float
        Duration.
    hpcp : ndarray of float32, shape (T, 12)
    embeddings : ndarray of float32, shape (1 + windows, D)
        That of the whole track first.
    """

    sha256: bytes
    seconds: float
    hpcp: NDArray[np.float32]
    embeddings: NDArray[np.float32]

    #: Where it is kept; those that others depend on come first.
    TABLES: ClassVar = ("recordings", "hpcp", "embeddings")

    def values(self, number: int) -> dict[str, tuple[object, ...]]:
        """The row of each table, without its checksum."""
        rows = (
            (number, self.sha256, float(self.seconds)),
            (number, len(self.hpcp), to_blob(self.hpcp)),
            (number, len(self.embeddings), to_blob(self.embeddings)),
        )
        return dict(zip(self.TABLES, rows, strict=True))


def storable(text: str) -> str:
    """Text without what no database holds: lone surrogates, as of names that are no text."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")


def to_blob(values: NDArray[Any]) -> bytes:
    """A finite array of two axes as little-endian float32.

    Raises
    ------
    DataError
        If a value is not finite.
    """
    if not np.isfinite(values).all():
        raise DataError("NaN or infinite values; need finite numbers")
    return np.ascontiguousarray(values, _TYPE).tobytes()


def hpcp_of(content: bytes) -> NDArray[np.float32]:
    """HPCP ``(T, 12)`` of a blob.

    Raises
    ------
    ValueError
        If it is not what `to_blob` made of HPCP.
    """
    return _array(content, PITCH_CLASSES)


def embeddings_of(content: bytes, size: int) -> NDArray[np.float32]:
    """Embeddings ``(pieces, size)`` of a blob.

    Raises
    ------
    ValueError
        If it is not what `to_blob` made of embeddings.
    """
    rows = _array(content, size)
    require_unit(rows)
    return rows


def require_unit(rows: NDArray[np.float32]) -> None:
    """Refuse rows that are neither of length 1 nor, of silence, of length 0.

    Raises
    ------
    ValueError
        With the first of them.
    """
    lengths = np.linalg.norm(rows, axis=1)
    off = np.flatnonzero(~((np.abs(lengths - 1) <= _UNIT) | (lengths == 0)))
    if len(off):
        raise ValueError(f"an embedding of length {lengths[off[0]]:.4g}")


def _array(content: bytes, width: int) -> NDArray[np.float32]:
    rows = np.frombuffer(content, _TYPE).reshape(-1, width)
    if not np.isfinite(rows).all():
        raise ValueError("NaN or infinite values")
    return rows
