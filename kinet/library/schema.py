"""The tables of a library, and the file that holds them: made in one step, opened if it is one.

The standard library's sqlite3, not SQLAlchemy: a library needs some twenty statements, all of them
of the SQL that PostgreSQL has too (its ``BLOB`` is ``BYTEA``), and SQLAlchemy takes as long to
import as all of ``kinet --help``.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

from kinet.errors import DataError
from kinet.files import write_atomically, writing_to
from kinet.reading import open_regular, reason, show_path

#: In the file's header, which tells a library from the files of other programs: "kine".
APPLICATION_ID = 0x6B696E65
#: Of the tables. What a later kinet makes otherwise gets a higher one.
VERSION = 1
#: Seconds that a writer waits for another one.
WAIT = 10.0

#: Tables whose rows are counted, and whose checksums are added up.
TABLES = ("recordings", "files", "hpcp", "embeddings")

_MAGIC = b"SQLite format 3\0"
_HEADER = 100
_NEED = "need a library, as kinet index add makes it"

_TABLES = """
CREATE TABLE library (
    only INTEGER PRIMARY KEY CHECK (only = 1),
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
    seconds REAL NOT NULL CHECK (seconds > 0),
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
        database.executescript(_TABLES.format(size=size))
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
        write_atomically(whole, lambda file: file.write(content))
        try:
            _place(whole, path)
        finally:
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
        raise DataError(f"{show_path(path)}: {reason(error)}; {_NEED}") from error
    application = int.from_bytes(header[68:72], "big")
    version = int.from_bytes(header[60:64], "big")
    if not header.startswith(_MAGIC) or application != APPLICATION_ID:
        raise DataError(f"{show_path(path)} is no library of kinet's; {_NEED}")
    if version != VERSION:
        raise DataError(
            f"{show_path(path)} is a library of version {version}; allowed: {VERSION}, or a kinet "
            "that knows the other"
        )


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


def damaged(path: Path, what: str) -> DataError:
    """The error for a library whose content is not what was written."""
    why = " ".join(what.split())
    return DataError(
        f"{show_path(path)} is damaged ({why}); kinet index check tells where, and a library can "
        "be made again from its recordings"
    )
