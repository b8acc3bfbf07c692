"""The tables of a library on PostgreSQL, in a schema of a database that holds nothing else."""

from __future__ import annotations

import contextlib

from kinet.address import Address
from kinet.errors import DataError
from kinet.library.connection import Connection
from kinet.library.migrations import migration
from kinet.library.schema import APPLICATION_ID, NEED, VERSION, WAIT, other_version

# Whatever others named so elsewhere is not meant. A commit is on the disk when it is answered.
_SETTINGS = """
SELECT set_config('search_path', 'kinet', false),
    set_config('lock_timeout', ?, false),
    set_config('bytea_output', 'hex', false),
    CASE current_setting('synchronous_commit')
        WHEN 'off' THEN set_config('synchronous_commit', 'on', false)
    END
"""

# Nobody reads or writes then: whoever does has looked at the version, which holds this lock up.
_ALONE = f"""
BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE;
SET LOCAL search_path TO kinet;
SELECT pg_advisory_xact_lock({APPLICATION_ID});
LOCK TABLE about IN ACCESS EXCLUSIVE MODE;
"""

_ABOUT = ("kinet", "about")
_SAID = "SELECT application, version_num FROM kinet.about"

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
        If pg8000 or Alembic is not installed.
    DataError
        If there is no server or no right, or the database holds something else.
    """
    with contextlib.closing(opened(address)) as connection:
        lock(connection)
        if _version(connection) is None:
            _require_empty(connection, address)
            if not connection.run("SELECT 1 FROM pg_namespace WHERE nspname = 'kinet'"):
                connection.run("CREATE SCHEMA kinet")
            connection.run(migration(None, size))
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


def require_library(connection: Connection, address: Address) -> None:
    """Refuse a database without a library, or with one of another version.

    Raises
    ------
    DataError
        In one of these cases, or without the right to look.
    """
    if _known_version(connection, address) < VERSION:
        raise DataError(
            f"{address} is a library of an earlier kinet; who made it brings it to the tables of "
            f"this one with: kinet index upgrade {address}"
        )


def require_same_version(connection: Connection, address: Address) -> None:
    """Refuse what `require_library` let in, if somebody has changed the tables since; in one step.

    Until the end of a transaction nobody else does.
    """
    if connection.run(_SAID) != [(APPLICATION_ID, str(VERSION))]:
        require_library(connection, address)


def upgrade_database(address: Address) -> int:
    """Bring the tables of an earlier version to this one, wholly or not at all.

    Returns
    -------
    int
        The version that they had; one of now is left as it is.

    Raises
    ------
    SettingsError
        If pg8000 or Alembic is not installed.
    DataError
        If there is no server, no library, one of a later version, or not the right; or if others
        use it all the time.
    """
    with contextlib.closing(opened(address)) as connection:
        found = _known_version(connection, address)
        if found < VERSION:
            connection.run(_ALONE)
            found = _known_version(connection, address)  # another one may have been quicker
            if found < VERSION:
                connection.run(migration(found, _size(connection)))
            connection.run("COMMIT")
        return found


def upgrade_script(address: Address) -> str:
    """The SQL that `upgrade_database` would run, which raises the same; nothing if none."""
    with contextlib.closing(opened(address)) as connection:
        found = _known_version(connection, address)
        if found == VERSION:
            return ""
        return f"{_ALONE.lstrip()}\n{migration(found, _size(connection))}COMMIT;\n"


def _version(connection: Connection) -> tuple[int, str] | None:
    """Program and version of the tables that are there; None without any of that name."""
    if not connection.run("SELECT 1 FROM pg_tables WHERE (schemaname, tablename) = (?, ?)", _ABOUT):
        return None
    rows = connection.run(_SAID)
    return (rows[0][0], rows[0][1]) if len(rows) == 1 else (0, "")


def _known_version(connection: Connection, address: Address) -> int:
    """The version of a library, which is this one or an earlier one."""
    program, version = _version(connection) or (0, "")
    if program != APPLICATION_ID:
        raise DataError(f"{address} has no library of kinet's; {NEED}")
    if version not in map(str, range(1, VERSION + 1)):
        raise other_version(address, version)
    return int(version)


def _size(connection: Connection) -> int:
    """D, the numbers of an embedding."""
    [(size,)] = connection.run("SELECT size FROM library")
    return int(size)


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
