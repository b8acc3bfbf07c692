"""Open files that are there, and say in one wording why others are not."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterable
from typing import BinaryIO, TypeVar

from kinet.remote import AnyPath, Url, get, url_status
from kinet.remote.stores import Status

T = TypeVar("T")
PathLike = str | os.PathLike[str]
_NOT_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def show_path(path: PathLike) -> str:
    """A path that can be printed, whatever bytes are in its name.

    Examples
    --------
    >>> show_path("caf\\udce9.wav")
    'caf�.wav'
    """
    return os.fsencode(path).decode("utf-8", "replace")


def as_list(given: PathLike | Iterable[T]) -> list[PathLike | T]:
    """What is given, one path or several: a text is no sequence of its letters.

    One of the letters of a path is ``/``, all that there is.

    Examples
    --------
    >>> as_list("music/a.wav"), as_list(["a.wav", "b.wav"])
    (['music/a.wav'], ['a.wav', 'b.wav'])
    """
    return [given] if isinstance(given, str | os.PathLike) else list(given)


class NotRegularError(OSError):
    """What is neither a file nor an object, as a folder or a pipe."""


def reason(error: OSError) -> str:
    """Why a file cannot be read, in the words that all messages use.

    Examples
    --------
    >>> reason(FileNotFoundError()), reason(PermissionError(13, "Permission denied"))
    ('missing', 'unreadable (Permission denied)')
    """
    if isinstance(error, FileNotFoundError):
        return "missing"
    if isinstance(error, NotRegularError):
        return "not a regular file; need an audio file"
    return f"unreadable ({error.strerror or error})"


def open_regular(path: PathLike) -> BinaryIO:
    """Open a file for reading, if it is one: a pipe would be waited for, a device has no end.

    Of an object in a store the content is fetched as a whole.

    Raises
    ------
    OSError
        If it cannot be opened, or is no regular file.

    Examples
    --------
    >>> try:
    ...     open_regular(os.devnull)
    ... except OSError as error:
    ...     print(error.strerror)
    not a regular file
    """
    if isinstance(path, Url):
        return io.BytesIO(get(path))
    try:
        # Not to wait for the other end of a pipe; with regular files it means nothing.
        descriptor = os.open(path, os.O_RDONLY | _NOT_WAITING)
    except ValueError as error:  # a null character in the name
        raise OSError(0, str(error), os.fspath(path)) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        why = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise OSError(0, why, os.fspath(path))
    return os.fdopen(descriptor, "rb")


def read_text(path: PathLike) -> str:
    """The text of a regular file, UTF-8 with or without a byte order mark, line ends as ``\\n``.

    Raises
    ------
    OSError
        As `open_regular`.
    UnicodeDecodeError
        If it is not UTF-8.
    """
    with io.TextIOWrapper(open_regular(path), "utf-8-sig") as file:
        return file.read()


def status_of(path: AnyPath) -> Status:
    """Size and time of change of a file, as they are now.

    Raises
    ------
    OSError
        If it cannot be looked at, or is no regular file; a null character in the name is one, too.
    """
    if isinstance(path, Url):
        return url_status(path)
    try:
        status = os.stat(path)
    except ValueError as error:
        raise OSError(0, str(error), os.fspath(path)) from error
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(0, "not a regular file", os.fspath(path))
    return Status(status.st_size, status.st_mtime_ns)


def known_status(path: AnyPath) -> Status:
    """As `status_of`, but of what was found in a listing what that said a moment ago."""
    return (path.listed if isinstance(path, Url) else None) or status_of(path)
