"""A library on PostgreSQL: statements, transactions, and what is special to a server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from kinet.address import Address
from kinet.errors import DataError
from kinet.files import path_in_cache
from kinet.library.postgres_tables import lock, opened, require_library, require_same_version
from kinet.library.schema import TABLES

# Rows that are fetched at once; one has some ten or hundred kilobytes.
_FETCHED = 100

_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
WHERE relnamespace = 'kinet'::regnamespace AND relkind = 'r'
"""


class PostgresDatabase:
    """A library on a server; a `kinet.library.schema.Database`.

    Parameters
    ----------
    address : Address

    Raises
    ------
    SettingsError
        If pg8000 is not installed.
    DataError
        If there is no server, no library, or one of another version.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._is_in_transaction = self._is_closed = False
        self._cursors = count()
        self._connection = opened(address)
        try:
            require_library(self._connection, address)
        except BaseException:
            self._connection.close()
            raise

    @property
    def is_in_transaction(self) -> bool:
        """Between a beginning and its end."""
        return self._is_in_transaction

    def select(self, statement: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement."""
        yield from self._run(statement, values)

    def scan(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement; within a transaction few of them are held at a time."""
        if not self._is_in_transaction:
            yield from self._run(statement)
            return
        cursor = f"rows_{next(self._cursors)}"
        self._run(f"DECLARE {cursor} NO SCROLL CURSOR FOR {statement}")
        while rows := self._run(f"FETCH {_FETCHED} FROM {cursor}"):
            yield from rows
        self._run(f"CLOSE {cursor}")

    def change(self, statement: str, values: Sequence[object] = ()) -> None:
        """Do what gives no rows."""
        self._run(statement, values)

    def insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Put whole rows into a table."""
        if rows:
            self._connection.copy(table, rows)

    def begin(self, is_writing: bool) -> None:
        """From now on all is of one moment; who writes is the only one."""
        if is_writing:
            self._reopen()
            lock(self._connection)
        else:
            self._run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        self._is_in_transaction = True
        try:
            require_same_version(self._connection, self._address)
        except BaseException:
            self.rollback()
            raise

    def commit(self) -> None:
        """Keep what was changed: it is on the server's disk when this returns."""
        self._run("COMMIT")
        self._is_in_transaction = False

    def rollback(self) -> None:
        """Forget what was changed."""
        self._is_in_transaction = False
        with contextlib.suppress(DataError):  # a connection that is lost is rolled back already
            self._connection.run("ROLLBACK")

    def _run(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        if not self._is_in_transaction:
            self._reopen()
        return self._connection.run(statement, values)

    def _reopen(self) -> None:
        """Replace a connection that was lost: nothing is at stake between transactions."""
        if not (self._connection.is_open or self._is_closed):
            self._connection = opened(self._address)

    def faults(self) -> list[str]:
        """What the server itself finds wrong: it holds its pages against its own checksums."""
        [(flushes,)] = self._run("SELECT current_setting('fsync')")
        lost = "the server does not flush (fsync = off): a power cut may lose what was added"
        return [lost] if flushes == "off" else []

    def size(self) -> int:
        """Bytes of the library."""
        [(found,)] = self._run(_SIZE)
        return int(found)

    def compact(self) -> None:
        """Give back the room of what was removed."""
        for table in (*TABLES, "library", "totals"):
            self._run(f"VACUUM (FULL, ANALYZE) {table}")
            refused = [said for said in self._connection.notices() if "denied" in said]
            if refused:
                raise DataError(
                    f"{self._address}: {refused[0]}; need the user who made the library"
                )

    def cache(self, identity: bytes) -> Path:
        """In the user's folder for what can be made again."""
        return path_in_cache(f"{identity.hex()}-vectors")

    def close(self) -> None:
        """Close the connection; what was written is on the server."""
        self._is_closed = True
        self._connection.close()
