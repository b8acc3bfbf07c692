"""A library as a file of SQLite: made in one step, opened if it is one."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kinet.errors import DataError
from kinet.files import write_atomically, writing_to
from kinet.library.schema import (
    APPLICATION_ID,
    NEED,
    STATEMENTS,
    TABLES,
    VERSION,
    WAIT,
    damaged,
    other_version,
)
from kinet.reading import open_regular, reason, show_path

#: Beside the library; may be thrown away at any time.
CACHE_SUFFIX = "-vectors"

_MAGIC = b"SQLite format 3\0"
_HEADER = 100

# A row that is lost, or there twice, by damage to the file is noticed by these.
_TOTALS = """
INSERT INTO totals VALUES ('{table}', 0, 0);
CREATE TRIGGER {table}_came AFTER INSERT ON {table} BEGIN
    UPDATE totals SET rows = rows + 1, checksums = checksums + new.checksum
    WHERE name = '{table}';
END;
CREATE TRIGGER {table}_went AFTER DELETE ON {table} BEGIN
    UPDATE totals SET rows = rows - 1, checksums = checksums - old.checksum
    WHERE name = '{table}';
END;
CREATE TRIGGER {table}_changed AFTER UPDATE ON {table} BEGIN
    UPDATE totals SET checksums = checksums + new.checksum - old.checksum
    WHERE name = '{table}';
END;
"""


class SqliteDatabase:
    """The file of a library, open; a `kinet.library.schema.Database`.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    DataError
        As `connect`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = connect(path)

    @property
    def is_in_transaction(self) -> bool:
        """Between a beginning and its end."""
        return self._database.in_transaction

    def select(self, statement: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement."""
        with speaking_of(self._path):
            yield from self._database.execute(statement, values)

    scan = select

    def change(self, statement: str, values: Sequence[object] = ()) -> None:
        """Do what gives no rows."""
        with speaking_of(self._path):
            self._database.execute(statement, values)

    def insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Put whole rows into a table."""
        with speaking_of(self._path):
            for row in rows:
                marks = ", ".join("?" * len(row))
                self._database.execute(f"INSERT INTO {table} VALUES ({marks})", row)

    def begin(self, is_writing: bool) -> None:
        """From now on all is of one moment; who writes is the only one."""
        with speaking_of(self._path):
            self._database.execute("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    def commit(self) -> None:
        """Keep what was changed: the log is flushed when this returns."""
        with speaking_of(self._path):
            self._database.execute("COMMIT")

    def rollback(self) -> None:
        """Forget what was changed."""
        with contextlib.suppress(sqlite3.Error):  # after some errors it is rolled back already
            self._database.execute("ROLLBACK")

    def faults(self) -> list[str]:
        """What SQLite itself finds wrong with its file."""
        found = [str(row[0]) for row in self.select("PRAGMA integrity_check")]
        found += [f"{row[0]}: no recording" for row in self.select("PRAGMA foreign_key_check")]
        return [fault for fault in found if fault != "ok"]

    def size(self) -> int:
        """Bytes of the library, what is not in its file yet included."""
        pages, size = (next(self.select(f"PRAGMA page_{what}"))[0] for what in ("count", "size"))
        return int(pages * size)

    def compact(self) -> None:
        """Give back the room of what was removed."""
        with speaking_of(self._path):
            self._database.execute("VACUUM")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def cache(self, identity: bytes) -> Path:
        """Beside the library."""
        return self._path.with_name(self._path.name + CACHE_SUFFIX)

    def close(self) -> None:
        """Close the file; what was written is in it."""
        with speaking_of(self._path):
            self._database.close()


def make_database(path: Path, size: int, library: tuple[object, ...]) -> None:
    """Make the file of an empty library, unless a file of that name is there.

    Parameters
    ----------
    path : pathlib.Path
        Its folder exists.
    size : int
        D, the numbers of an embedding.
    library : tuple
        The row of the table ``library``, in its order.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.executescript(STATEMENTS.format(size=size))
        for table in TABLES:
            database.executescript(_TOTALS.format(table=table))
        marks = ", ".join("?" * len(library))
        database.execute(f"INSERT INTO library VALUES ({marks})", library)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {VERSION}")
        database.commit()
        content = database.serialize()
    whole = path.with_name(f".{path.name}.new")
    with writing_to(path):
        try:
            write_atomically(whole, lambda file: file.write(content))
            _place(whole, path)
        except OSError as error:
            error.filename = path  # not the name in between, which nobody gave
            raise
        finally:
            with contextlib.suppress(OSError):
                whole.unlink(missing_ok=True)


def _place(whole: Path, path: Path) -> None:
    """Give a file its name unless that is taken: another process may have been quicker."""
    try:
        os.link(whole, path)
    except (FileExistsError, FileNotFoundError):
        return
    except OSError:  # a file system without links
        if not path.exists():
            os.replace(whole, path)


def connect(path: Path) -> sqlite3.Connection:
    """Open the file of a library, looked at before SQLite may write to it.

    Raises
    ------
    DataError
        If it is missing, unreadable, of another program or of a later version.
    """
    _require_library(path)
    is_writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    # Without the right to write beside the file, SQLite can share it with nobody.
    mode = "rw" if is_writable else "ro&immutable=1"
    log = path.with_name(f"{path.name}-wal")
    if not is_writable and log.exists() and log.stat().st_size:
        raise DataError(
            f"{show_path(path)} has changes in {log.name} that cannot be read without the right to "
            "write there; need that right, or kinet index compact by who has it"
        )
    with speaking_of(path):
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", WAIT, isolation_level=None, uri=True
        )
        try:
            if is_writable:
                database.execute("PRAGMA journal_mode = WAL").fetchall()
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA foreign_keys = ON")
            # What is damaged must not be worked on, and no function of the schema is trusted.
            database.execute("PRAGMA cell_size_check = ON")
            database.execute("PRAGMA trusted_schema = OFF")
        except BaseException:
            database.close()
            raise
    return database


def _require_library(path: Path) -> None:
    try:
        with open_regular(path) as file:
            header = file.read(_HEADER)
    except OSError as error:
        raise DataError(f"{show_path(path)}: {reason(error)}; {NEED}") from error
    application = int.from_bytes(header[68:72], "big")
    version = int.from_bytes(header[60:64], "big")
    if not header.startswith(_MAGIC) or application != APPLICATION_ID:
        raise DataError(f"{show_path(path)} is no library of kinet's; {NEED}")
    if version != VERSION:
        raise other_version(path, version)


@contextlib.contextmanager
def speaking_of(path: Path) -> Iterator[None]:
    """What SQLite says of a library, as one line.

    Raises
    ------
    DataError
        In place of an error of SQLite within.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text:
            raise DataError(
                f"another process writes to {show_path(path)}, for {WAIT:.0f} s already; wait for "
                "it, and call again"
            ) from error
        if "readonly" in text:
            raise DataError(
                f"{show_path(path)} cannot be written to ({text}); need a file and a folder that "
                "can be"
            ) from error
        if "full" in text or "disk I/O" in text or "unable to open" in text:
            raise DataError(
                f"{show_path(path)} cannot be read or written ({text}); what was added stays"
            ) from error
        raise damaged(path, text) from error
    except (sqlite3.Error, OverflowError, UnicodeError) as error:
        raise damaged(path, str(error)) from error
