"""Rows of a library with their checksums: written with them, and held against them when read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinet.address import Address
from kinet.library.schema import Database, checksum, damaged


class Tables:
    """The tables of an open database; what is wrong with a row is a `DataError`.

    Parameters
    ----------
    path : pathlib.Path or Address
        What errors name.
    database : kinet.library.schema.Database
    """

    def __init__(self, path: Path | Address, database: Database) -> None:
        self._path, self._database = path, database

    def insert(self, rows: Mapping[str, list[tuple[object, ...]]]) -> None:
        """Put rows into tables, each with its checksum; the lists are empty then."""
        for table, own in rows.items():
            self._database.insert(table, [(*row, checksum(*row)) for row in own])
            own.clear()

    def whole(self, table: str, order: str = "") -> Iterator[tuple[Any, ...]]:
        """All rows of a table, checked one by one, and at the end that none was missing."""
        count = total = 0
        for *values, written in self._database.scan(f"SELECT * FROM {table} {order}"):
            if checksum(*values) != written:
                raise damaged(self._path, f"a row of {table}")
            count, total = count + 1, total + written
            yield tuple(values)
        said = self.unchecked("SELECT rows, checksums FROM totals WHERE name = ?", (table,))
        if said != [(count, total)]:
            raise damaged(self._path, f"{count} rows of {table}, which are not all or too many")

    def rows(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Whole rows, each with its checksum looked at and left out."""
        rows = self.unchecked(statement, values)
        for *row, written in rows:
            if checksum(*row) != written:
                raise damaged(self._path, "a checksum does not fit")
        return [row[:-1] for row in rows]

    def only(self, table: str, key: str, number: int) -> tuple[Any, ...]:
        """The row of a table that belongs to a recording."""
        rows = self.rows(f"SELECT * FROM {table} WHERE {key} = ?", (number,))
        if len(rows) != 1:
            raise damaged(self._path, f"{len(rows)} rows of {table} of recording {number}")
        return rows[0]

    def unchecked(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """What a statement gives that gives no whole rows."""
        return list(self._database.select(statement, values))

    def array(self, read: Any, *values: Any) -> NDArray[np.float32]:
        """What `kinet.library.rows` reads of a blob."""
        try:
            found: NDArray[np.float32] = read(*values)
            return found
        except ValueError as error:
            raise damaged(self._path, str(error)) from error
