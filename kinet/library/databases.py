"""Which database holds a library: a file of SQLite, or one of a server's."""

from __future__ import annotations

import os
from pathlib import Path

from kinet.address import Address
from kinet.library import sqlite
from kinet.library.schema import VERSION, Database


def open_database(place: Path | Address) -> Database:
    """The database of a library that is there.

    Raises
    ------
    DataError
        If there is none, it is another program's, or of another version.
    """
    if isinstance(place, Address):
        from kinet.library.postgres import PostgresDatabase

        return PostgresDatabase(place)
    return sqlite.SqliteDatabase(place)


def make_database(place: Path | Address, size: int, library: tuple[object, ...]) -> None:
    """Make the tables of an empty library, unless one is there.

    Parameters
    ----------
    place : pathlib.Path or Address
        A file, whose folder exists, or a database that has no tables.
    size : int
        D, the numbers of an embedding.
    library : tuple
        The row of the table ``library``, in its order.

    Raises
    ------
    DataError
        If it cannot be written, or the database is another program's.
    """
    if isinstance(place, Address):
        from kinet.library import postgres_tables

        postgres_tables.make_database(place, size, library)
    else:
        sqlite.make_database(place, size, library)


def is_taken(place: Path | Address) -> bool:
    """Whether there is something at a place that a library could not be made in.

    Raises
    ------
    DataError
        If a server cannot be asked.
    """
    if isinstance(place, Address):
        from kinet.library import postgres_tables

        return postgres_tables.has_library(place)
    return os.path.exists(place)


def upgrade_database(place: Path | Address) -> int:
    """Bring the tables of a library to this version, wholly or not at all; the one they had.

    Raises
    ------
    SettingsError
        If a package is not installed that a server needs.
    DataError
        If there is no library, it is of a later version, or may not be changed. A file of another
        version is not opened: so far there is one.
    """
    if isinstance(place, Address):
        from kinet.library import postgres_tables

        return postgres_tables.upgrade_database(place)
    open_database(place).close()
    return VERSION


def upgrade_script(place: Path | Address) -> str:
    """The SQL that `upgrade_database` would run, which raises the same; nothing if none."""
    if isinstance(place, Address):
        from kinet.library import postgres_tables

        return postgres_tables.upgrade_script(place)
    open_database(place).close()
    return ""
