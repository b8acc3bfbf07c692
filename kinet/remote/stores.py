"""Object stores as fsspec speaks to them, and what they say of an object."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kinet.errors import SettingsError, first_line

#: Object stores by the scheme of their addresses, and the package for each. Others, as of servers
#: that are reached by SSH, are left out: a file that is written there can be seen half.
STORES = {"s3": "s3fs", "gs": "gcsfs", "memory": "fsspec"}  # the last one is for tests
# When an object was written, as the packages for stores call it.
_TIMES = ("LastModified", "mtime", "created")


@dataclass(frozen=True)
class Status:
    """What tells that a file is another one now: bytes, and nanoseconds since 1970."""

    size: int
    modified_ns: int


@contextlib.contextmanager
def asked(scheme: str, place: str) -> Iterator[Any]:
    """The store of an address; what it refuses becomes an OSError that names the address.

    Packages for stores raise errors of their own, of three libraries below them.

    Raises
    ------
    SettingsError
        If the package for the store is not installed.
    OSError
        In place of what is raised within.
    """
    try:
        import fsspec

        # Another process may have changed what a listing said.
        store = fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError as error:
        raise SettingsError(
            f"{scheme}://... needs {STORES[scheme]}, which is not installed; install it with: pip "
            'install "mulkinet[remote]"'
        ) from error
    try:
        yield store
    except FileNotFoundError as error:
        raise FileNotFoundError(2, "missing", f"{scheme}://{place}") from error
    except Exception as error:
        raise OSError(0, first_line(error), f"{scheme}://{place}") from error


def status_in(told: Mapping[str, Any]) -> Status:
    """Size and time in what a store tells of an object.

    Examples
    --------
    >>> status_in({"size": 7, "LastModified": datetime.datetime(1970, 1, 1, 0, 0, 2)})
    Status(size=7, modified_ns=2000000000)
    """
    time = next((told[name] for name in _TIMES if told.get(name) is not None), 0.0)
    if isinstance(time, datetime.datetime):
        aware = time if time.tzinfo else time.replace(tzinfo=datetime.UTC)
        time = aware.timestamp()
    # A float of seconds holds whole microseconds, and nothing finer.
    return Status(int(told["size"]), round(time * 1e6) * 1000)
