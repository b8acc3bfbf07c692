"""Which database holds a library: a file of SQLite, or one of a server's."""

from __future__ import annotations

import os
from pathlib import Path

from kinet.address import Address
from kinet.library import sqlite
from kinet.library.schema import Database


def open_database(place: Path | Address) -> Database:
    """The database of a library that is there.

    Raises
    ------
    DataError
        If there is none, it is another program's, or of a later version.
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
