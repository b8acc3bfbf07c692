"""A library on PostgreSQL: its tables stand in a schema of a database that holds nothing else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from kinet.address import Address
from kinet.errors import DataError
from kinet.library.connection import Connection
from kinet.library.schema import (
    APPLICATION_ID,
    NEED,
    STATEMENTS,
    TABLES,
    VERSION,
    WAIT,
    other_version,
)

# Rows that are fetched at once; one has some ten or hundred kilobytes.
_FETCHED = 100
_TYPES = {"INTEGER": "BIGINT", "REAL": "DOUBLE PRECISION", "BLOB": "BYTEA"}

# Whatever others named so elsewhere is not meant. A commit is on the disk when it is answered.
_SETTINGS = """
SELECT set_config('search_path', 'kinet', false),
    set_config('lock_timeout', ?, false),
    set_config('bytea_output', 'hex', false),
    CASE current_setting('synchronous_commit')
        WHEN 'off' THEN set_config('synchronous_commit', 'on', false)
    END
"""

# Names of any length are different from each other: other indexes end at 2,700 bytes.
_BESIDE = f"""
CREATE TABLE about (application BIGINT NOT NULL, version BIGINT NOT NULL);
INSERT INTO about VALUES ({APPLICATION_ID}, {VERSION});
ALTER TABLE files ADD EXCLUDE USING hash (path WITH =);
CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql SET search_path = kinet AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        UPDATE totals SET rows = rows + (SELECT count(*) FROM came),
            checksums = checksums + (SELECT coalesce(sum(checksum), 0) FROM came)
        WHERE name = TG_TABLE_NAME;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        UPDATE totals SET rows = rows - (SELECT count(*) FROM went),
            checksums = checksums - (SELECT coalesce(sum(checksum), 0) FROM went)
        WHERE name = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;
"""

# A row that is lost, or there twice, by damage is noticed by these.
_TOTALS = """
INSERT INTO totals VALUES ('{table}', 0, 0);
CREATE TRIGGER {table}_came AFTER INSERT ON {table} REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION counted();
CREATE TRIGGER {table}_went AFTER DELETE ON {table} REFERENCING OLD TABLE AS went
    FOR EACH STATEMENT EXECUTE FUNCTION counted();
CREATE TRIGGER {table}_changed AFTER UPDATE ON {table}
    REFERENCING NEW TABLE AS came OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION counted();
"""

_FOREIGN = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema'
    AND n.nspname NOT LIKE 'pg\\_%'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1 LIMIT 1
"""

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
        If there is no server, no library, or one of a later version.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._is_in_transaction = False
        self._cursors = count()
        self._connection = _opened(address)
        try:
            _require_library(self._connection, address)
        except BaseException:
            self._connection.close()
            raise

    @property
    def is_in_transaction(self) -> bool:
        """Between a beginning and its end."""
        return self._is_in_transaction

    def select(self, statement: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement."""
        yield from self._connection.run(statement, values)

    def scan(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement; within a transaction few of them are held at a time."""
        if not self._is_in_transaction:
            yield from self._connection.run(statement)
            return
        cursor = f"rows_{next(self._cursors)}"
        self._connection.run(f"DECLARE {cursor} NO SCROLL CURSOR FOR {statement}")
        while rows := self._connection.run(f"FETCH {_FETCHED} FROM {cursor}"):
            yield from rows
        self._connection.run(f"CLOSE {cursor}")

    def change(self, statement: str, values: Sequence[object] = ()) -> None:
        """Do what gives no rows."""
        self._connection.run(statement, values)

    def insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Put whole rows into a table."""
        if rows:
            self._connection.copy(table, rows)

    def begin(self, is_writing: bool) -> None:
        """From now on all is of one moment; who writes is the only one."""
        if not self._connection.is_open:  # lost, but nothing was at stake since
            self._connection = _opened(self._address)
        if is_writing:
            _lock(self._connection)
        else:
            self._connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        self._is_in_transaction = True

    def commit(self) -> None:
        """Keep what was changed: it is on the server's disk when this returns."""
        self._connection.run("COMMIT")
        self._is_in_transaction = False

    def rollback(self) -> None:
        """Forget what was changed."""
        self._is_in_transaction = False
        with contextlib.suppress(DataError):  # a connection that is lost is rolled back already
            self._connection.run("ROLLBACK")

    def faults(self) -> list[str]:
        """What the server itself finds wrong: it holds its pages against its own checksums."""
        [(flushes,)] = self._connection.run("SELECT current_setting('fsync')")
        lost = "the server does not flush (fsync = off): a power cut may lose what was added"
        return [lost] if flushes == "off" else []

    def size(self) -> int:
        """Bytes of the library."""
        [(found,)] = self._connection.run(_SIZE)
        return int(found)

    def compact(self) -> None:
        """Give back the room of what was removed."""
        for table in (*TABLES, "library", "totals"):
            self._connection.run(f"VACUUM (FULL, ANALYZE) {table}")
            refused = [said for said in self._connection.notices() if "denied" in said]
            if refused:
                raise DataError(
                    f"{self._address}: {refused[0]}; need the user who made the library"
                )

    def cache(self, identity: bytes) -> Path:
        """In the user's folder for what can be made again."""
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "kinet")
        with contextlib.suppress(OSError):
            folder.mkdir(0o700, parents=True, exist_ok=True)
        return folder / f"{identity.hex()}-vectors"

    def close(self) -> None:
        """Close the connection; what was written is on the server."""
        self._connection.close()


def make_database(address: Address, size: int, library: tuple[object, ...]) -> None:
    """Make the tables of an empty library, unless they are there; all of them or none.

    Parameters
    ----------
    address : Address
        Of a database without tables.
    size : int
        D, the numbers of an embedding.
    library : tuple
        The row of the table ``library``, in its order.

    Raises
    ------
    SettingsError
        If pg8000 is not installed.
    DataError
        If there is no server or no right, or the database holds something else.
    """
    with contextlib.closing(_opened(address)) as connection:
        _lock(connection)
        if _version(connection) is None:
            _require_empty(connection, address)
            if not connection.run("SELECT 1 FROM pg_namespace WHERE nspname = 'kinet'"):
                connection.run("CREATE SCHEMA kinet")
            text = STATEMENTS.format(size=size, unique="NOT NULL")
            for here, there in _TYPES.items():
                text = text.replace(f" {here} ", f" {there} ")
            for statements in (text, _BESIDE, *(_TOTALS.format(table=name) for name in TABLES)):
                connection.run(statements)
            connection.copy("library", [library])
        connection.run("COMMIT")


def has_library(address: Address) -> bool:
    """Whether there is a library in a database, of whatever version.

    Raises
    ------
    SettingsError
        If pg8000 is not installed.
    DataError
        If there is no server, or it refuses.
    """
    with contextlib.closing(_opened(address)) as connection:
        return _version(connection) is not None


def _opened(address: Address) -> Connection:
    connection = Connection(address)
    try:
        connection.run(_SETTINGS, (f"{WAIT * 1000:.0f}",))
    except BaseException:
        connection.close()
        raise
    return connection


def _lock(connection: Connection) -> None:
    """Begin a transaction that no other one of kinet's that writes to this database is beside.

    Its statements see what was committed when they begin, which is what the last writer left.
    """
    connection.run("BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE")
    try:
        connection.run("SELECT pg_advisory_xact_lock(?)", (APPLICATION_ID,))
    except BaseException:
        with contextlib.suppress(DataError):
            connection.run("ROLLBACK")
        raise


def _version(connection: Connection) -> tuple[int, int] | None:
    """Program and version of the tables that are there; None without any of that name."""
    if not connection.run("SELECT 1 FROM pg_tables WHERE (schemaname, tablename) = (?, ?)", _ABOUT):
        return None
    rows = connection.run("SELECT application, version FROM kinet.about")
    return (rows[0][0], rows[0][1]) if len(rows) == 1 else (0, 0)


_ABOUT = ("kinet", "about")


def _require_library(connection: Connection, address: Address) -> None:
    found = _version(connection)
    if found is None or found[0] != APPLICATION_ID:
        raise DataError(f"{address} has no library of kinet's; {NEED}")
    if found[1] != VERSION:
        raise other_version(address, found[1])


def _require_empty(connection: Connection, address: Address) -> None:
    tables = connection.run(_FOREIGN)
    if tables:
        raise DataError(
            f"{address} holds tables of something else, the first is {tables[0][0]}; need a "
            "database of its own"
        )
    [(encoding,)] = connection.run("SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        raise DataError(f"{address} is encoded in {encoding}; need a database in UTF8")
