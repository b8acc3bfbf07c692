"""The tables of a library, and what a database must do that holds them.

A database is a file of SQLite (`kinet.library.sqlite`) or one of a server's (`.postgres`). Both
have the same tables, and `kinet.library.store` speaks to both with the same statements: some
twenty, all of them of the SQL that both have. SQLAlchemy is not used for them: it takes as long to
import as all of ``kinet --help``, and saves none of what differs, which is what happens around a
statement.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from kinet.errors import DataError
from kinet.reading import PathLike, show_path

#: Tells a library from the databases of other programs: "kine".
APPLICATION_ID = 0x6B696E65
#: Of the tables. What a later kinet makes otherwise gets the next one, and on servers a revision
#: that makes it of this one (`kinet.library.migrations`).
VERSION = 1
#: Seconds that a writer waits for another one.
WAIT = 10.0

#: Tables whose rows are counted, and whose checksums are added up.
TABLES = ("recordings", "files", "hpcp", "embeddings")

#: What is needed in place of something else.
NEED = "need a library, as kinet index add makes it"

#: Of a file: INTEGER has 64 bits there, REAL too. Those of a server are held against these.
STATEMENTS = """
CREATE TABLE library (
    "only" INTEGER PRIMARY KEY CHECK ("only" = 1),
    identity BLOB NOT NULL CHECK (length(identity) = 16),
    model TEXT NOT NULL CHECK (model <> ''),
    digest TEXT NOT NULL CHECK (digest <> ''),
    features TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size = {size}),
    piece INTEGER NOT NULL CHECK (piece > 0),
    hop INTEGER NOT NULL CHECK (hop > 0),
    calibration TEXT NOT NULL,
    changes INTEGER NOT NULL CHECK (changes >= 0),
    checksum INTEGER NOT NULL
);
CREATE TABLE recordings (
    id INTEGER PRIMARY KEY CHECK (id > 0),
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    seconds REAL NOT NULL CHECK (seconds > 0 AND seconds < 1e12),
    checksum INTEGER NOT NULL
);
CREATE TABLE files (
    path BLOB PRIMARY KEY CHECK (length(path) > 0),
    recording INTEGER NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    title TEXT NOT NULL,
    artist TEXT NOT NULL,
    song TEXT NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    modified_ns INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE INDEX files_by_recording ON files (recording);
CREATE TABLE hpcp (
    recording INTEGER PRIMARY KEY REFERENCES recordings (id) ON DELETE CASCADE,
    vectors INTEGER NOT NULL CHECK (vectors > 0),
    content BLOB NOT NULL CHECK (length(content) = vectors * 48),
    checksum INTEGER NOT NULL
);
CREATE TABLE embeddings (
    recording INTEGER PRIMARY KEY REFERENCES recordings (id) ON DELETE CASCADE,
    pieces INTEGER NOT NULL CHECK (pieces > 0),
    content BLOB NOT NULL CHECK (length(content) = pieces * {size} * 4),
    checksum INTEGER NOT NULL
);
CREATE TABLE totals (
    name TEXT PRIMARY KEY,
    rows INTEGER NOT NULL,
    checksums INTEGER NOT NULL
);
"""


class Conflict(DataError):
    """The database gave a change up for that of another; the same change may succeed now."""


class Database(Protocol):
    """An open database with the tables of a library.

    Whatever goes wrong is a `DataError` of one line. Values are bound to the ``?`` of a statement.

    """

    @property
    def is_in_transaction(self) -> bool:
        """Between a beginning and its end."""

    def select(self, statement: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement that gives some."""

    def scan(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement that gives many, of which few are held at a time."""

    def change(self, statement: str, values: Sequence[object] = ()) -> None:
        """Do what gives no rows."""

    def insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Put whole rows into a table."""

    def begin(self, is_writing: bool) -> None:
        """From now on all is of one moment; who writes is the only one."""

    def commit(self) -> None:
        """Keep what was changed; when this returns it survives everything."""

    def rollback(self) -> None:
        """Forget what was changed; raises nothing."""

    def faults(self) -> list[str]:
        """What the database itself finds wrong, a line for each fault."""

    def size(self) -> int:
        """Bytes of the library."""

    def compact(self) -> None:
        """Give back the room of what was removed."""

    def cache(self, identity: bytes) -> Path:
        """A file for what can be made again from the library of that identity."""

    def close(self) -> None:
        """No more is to be done."""


def checksum(*values: object) -> int:
    """CRC-32 of the values of a row, none of which is mistaken for a part of its neighbour.

    Parameters
    ----------
    *values : int, float, str or bytes
        Everything in the row but the checksum.

    Examples
    --------
    >>> checksum("ab", "c") == checksum("a", "bc")
    False
    """
    fields = [len(value) if isinstance(value, bytes) else value for value in values]
    crc = zlib.crc32(json.dumps(fields).encode())
    for value in values:
        if isinstance(value, bytes):
            crc = zlib.crc32(value, crc)
    return crc


def damaged(path: PathLike, what: str) -> DataError:
    """The error for a library whose content is not what was written."""
    why = " ".join(what.split())
    return DataError(
        f"{show_path(path)} is damaged ({why}); kinet index check tells where, and a library can "
        "be made again from its recordings"
    )


def other_version(path: PathLike, version: object) -> DataError:
    """The error for a library that this kinet does not know."""
    return DataError(
        f"{show_path(path)} is a library of version {version}; allowed: {VERSION}, or a kinet "
        "that knows the other"
    )
