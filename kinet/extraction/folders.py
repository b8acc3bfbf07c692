"""The folder that features go to, on this machine or in an object store: what of it is there."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Protocol

from numpy.lib import format as npy

from kinet.config import PITCH_CLASSES
from kinet.data.feature_files import FeatureError, load_hpcp
from kinet.remote import AnyPath, Url, urls_below

# What `write_atomically` leaves behind when its process is killed.
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")


class Folder(Protocol):
    """What is asked of a folder that is being filled."""

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""

    def is_whole(self, name: str, vectors: int) -> bool:
        """Whether there is a feature file of so many vectors."""

    def tidy(self) -> None:
        """Remove what killed processes were writing."""


class LocalFolder:
    """A folder of this machine; a `Folder`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return os.path.isfile(self._path / name)

    def is_whole(self, name: str, vectors: int) -> bool:
        """Whether there is a feature file of so many vectors."""
        try:
            return len(load_hpcp(self._path / name)) == vectors
        except FeatureError:
            return False

    def tidy(self) -> None:
        """Remove what killed processes were writing."""
        for name in os.listdir(self._path):
            if _TEMPORARY.fullmatch(name):
                Path(self._path, name).unlink(missing_ok=True)


class StoreFolder:
    """What stands for a folder in an object store, listed once; a `Folder`.

    An object there is whole: a put is atomic. So its size tells enough, and a million of them need
    not be fetched to go on with what was begun.

    Raises
    ------
    OSError
        If the store does not answer.
    """

    def __init__(self, url: Url) -> None:
        found = (each for each in urls_below(url) if each.parent == url)
        self._sizes = {each.name: each.listed.size for each in found if each.listed}

    def has(self, name: str) -> bool:
        """Whether there was an object of this name."""
        return name in self._sizes

    def is_whole(self, name: str, vectors: int) -> bool:
        """Whether the object had the size of so many vectors."""
        return self._sizes.get(name) == _bytes_of(vectors)

    def tidy(self) -> None:
        """Nothing is left by a put that was broken off."""


def folder_of(path: AnyPath) -> Folder:
    """The folder at a path; raises OSError if a store does not answer."""
    return StoreFolder(path) if isinstance(path, Url) else LocalFolder(path)


def _bytes_of(vectors: int) -> int:
    """Of a .npy file with HPCP of float32."""
    header = io.BytesIO()
    shape = (vectors, PITCH_CLASSES)
    npy.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return header.tell() + 4 * vectors * PITCH_CLASSES
