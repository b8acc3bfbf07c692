"""A connection to a PostgreSQL server: opened, spoken through, and what it says in one line.

The driver is pg8000: BSD licence, where psycopg has the LGPL, and all of it is Python and does one
thing after the other, where asyncpg (Apache) needs an event loop, which notebooks have already.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from kinet.address import Address
from kinet.errors import DataError, SettingsError
from kinet.library.schema import NEED, WAIT, Conflict, damaged

# Codes of PostgreSQL, or how they begin, https://www.postgresql.org/docs/current/errcodes-appendix.
SERIALIZATION, DEADLOCK = "40001", "40P01"
LOCKED = "55P03"
NO_TABLE = "42P01"
_NO_RIGHT = ("42501", "25006")  # not granted, and a server that only follows another
_NO_SERVER = ("28", "3D", "57P03", "53300")  # a password, a database, one that starts, no place
# Of the machine or its keepers, not of the content.
_PASSING = ("08", "53", "54", "57", "58", "25P")
# Of a connection whose other end says nothing: seconds until it is asked whether it is there, from
# one asking to the next, how often; and milliseconds in which what was sent must have come.
_SILENCE = {
    "TCP_KEEPIDLE": 30,
    "TCP_KEEPALIVE": 30,  # as macOS calls the first
    "TCP_KEEPINTVL": 10,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 60_000,
}
# COPY in its binary form: a header, rows of fields with their lengths, an end.
_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = struct.pack("!h", -1)


class Connection:
    """A connection that says what goes wrong in one line, and is closed when it cannot go on.

    Parameters
    ----------
    address : Address

    Raises
    ------
    SettingsError
        If pg8000 is not installed.
    DataError
        If there is no server, or it refuses.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._driver: Any = _connected(address)

    @property
    def is_open(self) -> bool:
        """Whether it was neither closed nor lost."""
        return self._driver is not None

    def run(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement, with values bound to each ``?`` of it; its rows.

        Raises
        ------
        Conflict
            If the server gave the transaction up for another one.
        DataError
            If it refuses, or is gone.
        """
        numbers = count()
        named = re.sub(r"\?", lambda _: f":v{next(numbers)}", statement) if values else statement
        with self._speaking() as driver:
            rows = driver.run(named, **{f"v{i}": value for i, value in enumerate(values)})
        return [tuple(row) for row in rows or ()]

    def copy(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Put rows into a table at once; raises as `run`."""
        content = b"".join([_COPY_HEADER, *map(_copied, rows), _COPY_END])
        with self._speaking() as driver:
            driver.run(f"COPY {table} FROM STDIN (FORMAT binary)", stream=[content])

    def notices(self) -> list[str]:
        """What the server said beside answers since the last call."""
        said = [notice.get(b"M", b"").decode("utf-8", "replace") for notice in self._driver.notices]
        self._driver.notices.clear()
        return said

    def close(self) -> None:
        """Close it; what was not committed is forgotten."""
        driver, self._driver = self._driver, None
        if driver is not None:
            from pg8000.exceptions import InterfaceError

            with contextlib.suppress(InterfaceError, OSError, ValueError):
                driver.close()

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[Any]:
        from pg8000.exceptions import DatabaseError

        if self._driver is None:
            raise self._lost("it was closed")
        try:
            yield self._driver
        except DatabaseError as error:  # an answer, after which the next statement is heard
            raise said_by_server(self._address, error) from error
        except Exception as error:
            self.close()
            raise self._lost(str(error)) from error
        except BaseException:  # Ctrl-C: where the answer is is not known any more
            self.close()
            raise

    def _lost(self, why: str) -> DataError:
        return DataError(
            f"{self._address}: the connection is lost ({_line(why)}); what was added stays, and "
            "the same command goes on"
        )


def said_by_server(address: Address, error: Exception) -> DataError:
    """The error for what a server answered."""
    said: dict[str, str] = error.args[0] if isinstance(error.args[0], dict) else {}
    code, text = said.get("C", ""), _line(said.get("M", str(error)))
    if code in (SERIALIZATION, DEADLOCK):
        return Conflict(f"{address}: others change the same all the time ({text}); call again")
    if code == LOCKED:
        return DataError(
            f"another process writes to {address}, or reads it, for {WAIT:.0f} s already; wait for "
            "it, and call again"
        )
    if code in _NO_RIGHT:
        return DataError(
            f"{address} cannot be read or written to by this user ({text}); need the rights that "
            "docs/howto/postgresql.md names"
        )
    if code == NO_TABLE:
        return DataError(f"{address} has no library of kinet's ({text}); {NEED}")
    if code.startswith(_NO_SERVER):
        return DataError(
            f"{address} cannot be opened ({text}); need a database and a user that are there, and "
            "its password, in PGPASSWORD or the address"
        )
    if code.startswith(_PASSING):
        return DataError(f"{address} cannot be read or written ({text}); what was added stays")
    return damaged(address, f"{text}, {code}")


def _connected(address: Address) -> Any:
    try:
        from pg8000 import native
        from pg8000.exceptions import DatabaseError, InterfaceError
    except ImportError as error:
        raise SettingsError(
            f"a library on PostgreSQL needs {error.name}, which is not installed; install it with: "
            'pip install "mulkinet[postgres]"'
        ) from error
    try:
        spoken_through = _socket(address)
        try:
            made = native.Connection(
                address.user,
                host=address.host,
                database=address.database,
                password=address.password,
                sock=spoken_through,
                ssl_context=_encryption(address),
                application_name="kinet",
            )
        except BaseException:
            spoken_through.close()
            raise
        # A statement may take long. Encryption has put a socket in place of ours.
        made._usock.settimeout(None)
        return made
    except DatabaseError as error:
        raise said_by_server(address, error) from error
    except (OSError, InterfaceError, ValueError, struct.error) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        why = getattr(cause, "strerror", None) or str(cause)
        raise DataError(
            f"{address} cannot be reached ({_line(why)}); need a PostgreSQL server that listens "
            "there"
        ) from error


def _socket(address: Address) -> socket.socket:
    if address.is_socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(WAIT)
        try:
            made.connect(f"{address.host}/.s.PGSQL.{address.port}")
        except BaseException:
            made.close()
            raise
        return made
    made = socket.create_connection((address.host, address.port), WAIT)
    # What is small is sent at once: else it waits until the server has confirmed what was before,
    # for which it takes 40 ms.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # The server's system answers while a statement takes long; one that is gone does not.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _SILENCE.items():
        if hasattr(socket, name):  # not on every system
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


def _encryption(address: Address) -> ssl.SSLContext | bool | None:
    """As pg8000 takes it: never, if the server can, or in this way."""
    if address.is_socket or address.sslmode == "disable":
        return False
    if address.sslmode == "prefer":
        return None
    if address.sslmode == "require":
        return True
    try:
        context = ssl.create_default_context(cafile=address.sslrootcert or None)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{address}: sslrootcert {address.sslrootcert!r} cannot be used "
            f"({getattr(error, 'strerror', None) or _line(str(error))}); need a file of "
            "certificates, PEM"
        ) from error
    context.check_hostname = address.sslmode == "verify-full"
    return context


def _copied(row: tuple[object, ...]) -> bytes:
    fields = [_bytes_of(value) for value in row]
    parts = [struct.pack("!h", len(fields))]
    for field in fields:
        parts += [struct.pack("!i", len(field)), field]
    return b"".join(parts)


def _bytes_of(value: object) -> bytes:
    """A value of a column of its type: BIGINT, DOUBLE PRECISION, BYTEA or TEXT."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, float):
        return struct.pack("!d", value)
    if isinstance(value, int):
        return struct.pack("!q", value)
    return str(value).encode()


def _line(text: str) -> str:
    return " ".join(text.split())
