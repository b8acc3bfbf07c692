"""Where something is that need not be a file: the address of a database, told from a path."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from kinet.errors import DataError
from kinet.reading import PathLike

# pathlib makes one slash of two: an address must not be taken for a path then.
_SCHEME = re.compile("postgres(?:ql)?:/(/?)", re.IGNORECASE)
#: How the connection is encrypted, in the words of PostgreSQL.
SSL_MODES = ("disable", "prefer", "require", "verify-ca", "verify-full")
_OPTIONS = ("host", "port", "sslmode", "sslrootcert")
_PORT = 5432


@dataclass(frozen=True)
class Address(os.PathLike[str]):
    """A database of a PostgreSQL server.

    It can stand where a path is only shown; what is shown has no password.

    Attributes
    ----------
    host : str
        Name or number of the machine, or the folder of a socket.
    port : int
    user, database : str
    password : str
        May be empty.
    sslmode : str
        One of `SSL_MODES`.
    sslrootcert : str
        File of certificates that servers are held against; empty for those of the system.
    """

    host: str
    port: int
    user: str
    database: str
    password: str = field(default="", repr=False)
    sslmode: str = "prefer"
    sslrootcert: str = ""

    def __fspath__(self) -> str:
        user, database = quote(self.user), quote(self.database)
        if self.is_socket:
            port = "" if self.port == _PORT else f"&port={self.port}"
            return f"postgresql://{user}@/{database}?host={quote(self.host)}{port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORT else f":{self.port}"
        return f"postgresql://{user}@{host}{port}/{database}"

    def __str__(self) -> str:
        return self.__fspath__()

    @property
    def name(self) -> str:
        """What it is called, as the last part of a path."""
        return self.database

    @property
    def is_socket(self) -> bool:
        """Whether the server is on this machine, behind a socket in a folder."""
        return self.host.startswith(("/", "@"))


def is_address(text: str) -> bool:
    """Whether a text is an address of a database, right or wrong, and not a path.

    Examples
    --------
    >>> is_address("postgresql://localhost/covers"), is_address("music/covers.sqlite")
    (True, False)
    """
    return _SCHEME.match(text) is not None


def place_of(where: PathLike) -> Path | Address:
    """A path, or the address of a database.

    Parameters
    ----------
    where : path, str or Address
        ``postgresql://user:password@host:port/database``, with ``?sslmode=``, ``sslrootcert=`` or
        ``host=/folder/of/a/socket`` if need be, is an address. Without a password that of the
        environment, ``PGPASSWORD``, counts.

    Raises
    ------
    DataError
        If it begins like an address and is none. The message does not show passwords.

    Examples
    --------
    >>> place_of("postgresql://ann:secret@localhost/covers")
    Address(host='localhost', port=5432, user='ann', database='covers', sslmode='prefer', \
sslrootcert='')
    >>> print(place_of("postgresql://ann:secret@localhost:5433/covers"))
    postgresql://ann@localhost:5433/covers
    """
    if isinstance(where, Address):
        return where
    text = os.fspath(where)
    if not is_address(text):
        return Path(where)
    try:
        return _read(text)
    except ValueError as error:
        shown = re.sub(r"/.*@", "//...@", text)
        raise DataError(
            f"{shown} is no address of a database ({error}); need "
            "postgresql://user:password@host:port/database"
        ) from error


def _read(text: str) -> Address:
    """Raises ValueError, whose text shows no password."""
    scheme = _SCHEME.match(text)
    if scheme is None or not scheme[1]:
        raise ValueError("not two slashes, as in a text of which pathlib made a path")
    try:
        parts = urlsplit(text)
        in_front = parts.port
    except ValueError:
        raise ValueError("a port that is no number, or brackets") from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    unknown = options.keys() - set(_OPTIONS)
    if unknown or parts.fragment:
        raise ValueError(f"unknown option; allowed: {', '.join(_OPTIONS)}")
    sslmode = options.get("sslmode", "prefer")
    if sslmode not in SSL_MODES:
        raise ValueError(f"sslmode {sslmode!r}; allowed: {', '.join(SSL_MODES)}")
    host = unquote(parts.hostname or "") or options.get("host", "localhost")
    user, database = unquote(parts.username or ""), unquote(parts.path.removeprefix("/"))
    if not user or not database:
        raise ValueError("no user, or no database")
    if not (host + user + database).isprintable():
        raise ValueError("a name with what cannot be printed")
    port = options.get("port", str(_PORT)) if in_front is None else str(in_front)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise ValueError(f"port {port!r}; allowed: from 1 to 65535")
    return Address(
        host=host,
        port=int(port),
        user=user,
        database=database,
        password=unquote(parts.password or "") or os.environ.get("PGPASSWORD", ""),
        sslmode=sslmode,
        sslrootcert=options.get("sslrootcert", ""),
    )
