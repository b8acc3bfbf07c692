"""Files in an object store: their addresses told from paths, read, written and listed.

What speaks to a store is fsspec (BSD licence), through which Dask and pandas read as well, with one
package for each kind of store. It is loaded when there is such an address, and not before.

Stores have no locks and no renames. They need none of these: a put is atomic, so a reader gets the
old object or the new one, and one that is broken off leaves nothing that can be read.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from kinet.errors import DataError
from kinet.remote.stores import STORES, Status, asked, status_in

_HERE = "file"
_NEED = "need a path of this machine, s3://bucket/path or gs://bucket/path"
# Two letters at least: one is a drive of Windows.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Url(os.PathLike[str]):
    """An object of a store, or what stands for a folder there.

    It can be asked what a `pathlib.Path` is asked in kinet, and compared with one by its text.

    Attributes
    ----------
    scheme : str
        One of `kinet.remote.stores.STORES`.
    place : str
        Bucket and path in it.
    listed : Status, optional
        What the listing said in which it was found.

    Examples
    --------
    >>> url = Url("s3", "music/Help/live.mp3")
    >>> print(url, url.name, url.stem, url.suffix, url.parent, url.relative_to(Url("s3", "music")))
    s3://music/Help/live.mp3 live.mp3 live .mp3 s3://music/Help Help/live.mp3
    >>> print(Url("s3", "music") / "../demo.wav")
    Traceback (most recent call last):
    kinet.errors.DataError: '../demo.wav' leads out of s3://music; need a path in its bucket
    """

    scheme: str
    place: str
    listed: Status | None = field(default=None, compare=False, repr=False)

    def __fspath__(self) -> str:
        return f"{self.scheme}://{self.place}"

    def __str__(self) -> str:
        return self.__fspath__()

    def __lt__(self, other: os.PathLike[str]) -> bool:
        return os.fspath(self) < os.fspath(other)

    def __gt__(self, other: os.PathLike[str]) -> bool:
        return os.fspath(self) > os.fspath(other)

    def __truediv__(self, name: str) -> Url:
        joined = posixpath.normpath(posixpath.join(self.place, name))
        if joined.split("/")[0] != self.place.split("/")[0]:
            raise DataError(f"{name!r} leads out of {self}; need a path in its bucket")
        return Url(self.scheme, joined)

    @property
    def name(self) -> str:
        """The last part."""
        return PurePosixPath(self.place).name

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(self.place).stem

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""
        return PurePosixPath(self.place).suffix

    @property
    def parent(self) -> Url:
        """What stands for its folder."""
        return Url(self.scheme, posixpath.dirname(self.place))

    def is_relative_to(self, other: os.PathLike[str]) -> bool:
        """Whether it is below another one, or that one itself."""
        return f"{self}/".startswith(f"{os.fspath(other)}/")

    def relative_to(self, other: os.PathLike[str]) -> PurePosixPath:
        """Its path from one that it is below; raises ValueError where it is not."""
        if not self.is_relative_to(other):
            raise ValueError(f"{self} is not below {os.fspath(other)}")
        return PurePosixPath(os.fspath(self)[len(os.fspath(other)) :].lstrip("/"))

    def is_dir(self) -> bool:
        """Whether there are objects below it; raises OSError if nobody can tell."""
        return self._kind() == "directory"

    def exists(self) -> bool:
        """Whether it is there; raises OSError if nobody can tell."""
        return self._kind() is not None

    def _kind(self) -> str | None:
        try:
            with asked(self.scheme, self.place) as store:
                return str(store.info(self.place)["type"])
        except FileNotFoundError:
            return None


AnyPath = Path | Url


def is_url(text: str) -> bool:
    """Whether a text is an address, right or wrong, and no path.

    Examples
    --------
    >>> is_url("s3://music/a.wav"), is_url("music/a.wav"), is_url("C:/music")
    (True, False, False)
    """
    return _ADDRESS.match(text) is not None


def path_or_url(where: str | os.PathLike[str]) -> AnyPath:
    """A path of this machine, or an address in a store.

    Parameters
    ----------
    where : path, str or Url
        ``s3://bucket/path`` and ``gs://bucket/path`` are addresses, ``file:///path`` is a path.

    Raises
    ------
    DataError
        If it begins like an address and is none. The message does not repeat it: where a name and
        a password were in it, nobody else should see them.

    Examples
    --------
    >>> path_or_url("s3://music/Help/")
    Url(scheme='s3', place='music/Help')
    >>> path_or_url("file:///music/a.wav").as_posix()
    '/music/a.wav'
    >>> path_or_url("s3://ann:secret@music/Help")
    Traceback (most recent call last):
    kinet.errors.DataError: s3://... has no name of a bucket that is one; need a path of this \
machine, s3://bucket/path or gs://bucket/path, and credentials in the environment
    """
    if isinstance(where, Url):
        return where
    text = os.fspath(where)
    found = _ADDRESS.match(text)
    if found is None:
        return Path(where)
    scheme, place = found[1].lower(), found[2].rstrip("/")
    if scheme == _HERE and place.startswith("/"):
        return Path(place)
    if scheme not in STORES:
        raise DataError(
            f"{scheme}://... is no address that kinet reads; {_NEED}; a library may be in "
            "postgresql://host/database too"
        )
    if not _BUCKET.fullmatch(place.split("/")[0]):
        raise DataError(
            f"{scheme}://... has no name of a bucket that is one; {_NEED}, and credentials in the "
            "environment"
        )
    return Url(scheme, place)


def inside(folder: str | os.PathLike[str], name: str) -> AnyPath:
    """A file of a folder, wherever that is.

    Examples
    --------
    >>> print(inside("s3://music/features", "list"))
    s3://music/features/list
    """
    place = path_or_url(folder)
    return place / name


def absolute(path: AnyPath) -> AnyPath:
    """A path that does not depend on the folder that one is in.

    Examples
    --------
    >>> print(absolute(Url("s3", "music/a.wav")))
    s3://music/a.wav
    """
    return path if isinstance(path, Url) else Path(os.path.abspath(path))


def is_there(path: AnyPath) -> bool:
    """Whether a file or a folder is there; raises OSError if a store does not answer.

    Examples
    --------
    >>> is_there(Path("nowhere"))
    False
    """
    return path.exists() if isinstance(path, Url) else os.path.exists(path)


def is_folder(path: AnyPath) -> bool:
    """Whether a folder is there; raises OSError if a store does not answer.

    Examples
    --------
    >>> is_folder(Path("nowhere"))
    False
    """
    return path.is_dir() if isinstance(path, Url) else os.path.isdir(path)


def url_status(url: Url) -> Status:
    """Size and time of an object, as the store says now; raises OSError."""
    with asked(url.scheme, url.place) as store:
        told = store.info(url.place)
    if told["type"] != "file":
        raise OSError(0, "a folder", os.fspath(url))
    return status_in(told)


def get(url: Url) -> bytes:
    """The content of an object; raises OSError."""
    with asked(url.scheme, url.place) as store:
        return bytes(store.cat_file(url.place))


def put(url: Url, content: bytes) -> None:
    """Create or replace an object; raises OSError.

    A large one goes in parts, which become an object with the last of them, in one step too.
    """
    with asked(url.scheme, url.place) as store:
        store.pipe_file(url.place, content)


def urls_below(url: Url) -> list[Url]:
    """All objects below an address, sorted, each with its `Status`; raises OSError."""
    try:
        with asked(url.scheme, url.place) as store:
            found: Mapping[str, Any] = store.find(url.place, detail=True)
    except FileNotFoundError:
        return []
    return [
        Url(url.scheme, place.lstrip("/"), status_in(told))
        for place, told in sorted(found.items())
        # Consoles make an empty object for what they show as a folder.
        if told["type"] == "file" and not place.endswith("/")
    ]


@contextlib.contextmanager
def local_copy(path: AnyPath) -> Iterator[Path]:
    """A file of this machine with the content of `path`: itself, or a copy that goes afterwards.

    Decoders open files by name and jump to and fro in them, which a store is slow at.

    Raises
    ------
    OSError
        If it cannot be fetched.
    """
    if isinstance(path, Path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="kinet-") as folder:
        copy = Path(folder, f"copy{path.suffix}")
        fetch([path], [copy])
        yield copy


def fetch(urls: list[Url], targets: list[Path]) -> None:
    """Copy objects of one store to files, several at a time; raises OSError."""
    if not urls:
        return
    with asked(urls[0].scheme, urls[0].place) as store:
        store.get([url.place for url in urls], [os.fspath(target) for target in targets])
