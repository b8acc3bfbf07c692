"""The tables of a library on PostgreSQL, in a schema of a database that holds nothing else."""

from __future__ import annotations

import contextlib

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
    with contextlib.closing(opened(address)) as connection:
        lock(connection)
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
    with contextlib.closing(opened(address)) as connection:
        return _version(connection) is not None


def opened(address: Address) -> Connection:
    """A connection with the settings that a library needs; raises as `Connection`."""
    connection = Connection(address)
    try:
        connection.run(_SETTINGS, (f"{WAIT * 1000:.0f}",))
    except BaseException:
        connection.close()
        raise
    return connection


def lock(connection: Connection) -> None:
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


def require_library(connection: Connection, address: Address) -> None:
    """Refuse a database without a library, or with one of another version.

    Raises
    ------
    DataError
        In one of these cases, or without the right to look.
    """
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
