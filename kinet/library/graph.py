"""The nearest recordings of a library in a file: a graph of usearch.

It lies in the user's folder for what can be made again, not beside the library: what one gets from
others is not given to the library that walks the graph.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from kinet.errors import DataError, SettingsError
from kinet.files import path_in_cache, write_atomically
from kinet.library.cache import take_snapshot
from kinet.library.snapshot import Snapshot
from kinet.library.store import Store
from kinet.reading import show_path

_HEADER = 4096
# Links of a row, and rows that are looked at to find them.
_LINKS, _LOOKED_AT = 16, 128
_AT_ONCE = 10_000


class Graph:
    """The index of a library in a file.

    Parameters
    ----------
    store : Store
        Of a path.

    Raises
    ------
    SettingsError
        If usearch is not installed.
    """

    def __init__(self, store: Store) -> None:
        try:
            from usearch.index import Index
        except ImportError as error:
            raise SettingsError(
                f"an index of {show_path(store.path)} needs usearch; allowed: pip install "
                "'mulkinet[approximate]', or a search without an index"
            ) from error
        self._index = Index
        self._store = store
        self._snapshot: Snapshot | None = None
        # The graph is walked where it is mapped; usearch does not keep that for itself.
        self._mapped: memoryview | None = None
        self._graph: Any = None

    def make(self, progress: Callable[[int, int], object] | None = None) -> Snapshot:
        """Make it of the library as it is now, in place of an older one; of what it is made."""
        snapshot = take_snapshot(self._store)
        count, size = snapshot.vectors.shape
        graph = self._index(
            ndim=size, metric="ip", dtype="f32", connectivity=_LINKS, expansion_add=_LOOKED_AT
        )
        for begin in range(0, count, _AT_ONCE):
            end = min(begin + _AT_ONCE, count)
            graph.add(np.arange(begin, end), snapshot.vectors[begin:end])
            if progress:
                progress(end, count)
        content = graph.save()
        header = {
            "kinet": "graph of a library",
            "usearch": _version(),
            "of": _print_of(snapshot),
            "crc": zlib.crc32(content),
        }

        def write(file: BinaryIO) -> None:
            file.write(json.dumps(header).encode().ljust(_HEADER))
            file.write(content)

        try:
            write_atomically(path_in_cache(self._name()), write)
        except OSError as error:
            raise DataError(f"cannot write the index: {error}") from error
        return snapshot

    def why_not(self) -> str:
        """Why it cannot be looked into now, as of `kinet.library.nearest.Index`."""
        here = self._store.identity()
        if self._snapshot is not None and self._snapshot.key == (here.identity, here.changes):
            return ""
        try:
            content = np.memmap(path_in_cache(self._name()), np.uint8, "r")
            said = json.loads(content[:_HEADER].tobytes())
            of, crc, version = said["of"], said["crc"], said["usearch"]
        except FileNotFoundError:
            return "is not there"
        except (OSError, ValueError, KeyError, TypeError):
            return "is damaged"
        if version != _version():
            return f"is of another version of usearch, {version}"
        snapshot = take_snapshot(self._store)
        if of != _print_of(snapshot):
            return "was made before the last change"
        body = content[_HEADER:].data
        if zlib.crc32(body) != crc:
            return "is damaged"
        self._graph = self._index.restore(body, view=True)
        self._mapped, self._snapshot = body, snapshot
        return ""

    def nearest(
        self, rows: NDArray[np.float32], count: int
    ) -> Iterator[Sequence[tuple[int, float]]]:
        """For each row ``(D,)`` of some, recordings of the nearest, with minus the product."""
        snapshot = self._opened()
        for row in rows:
            found = self._graph.search(row, count)
            places = np.searchsorted(snapshot.starts, found.keys.astype(np.int64), "right") - 1
            # usearch's distance is one minus the product.
            distances = (found.distances - 1).tolist()
            yield list(zip(snapshot.numbers[places].tolist(), distances, strict=True))

    def hub(self, number: int) -> float:
        """`Snapshot.hubs` of a recording."""
        snapshot = self._opened()
        return float(snapshot.hubs[np.searchsorted(snapshot.numbers, number)])

    def _opened(self) -> Snapshot:
        assert self._snapshot is not None, "why_not is asked first"
        return self._snapshot

    def _name(self) -> str:
        return f"{self._store.identity().identity.hex()}-graph"


def _version() -> str:
    """Of the library whose form the graph has, which says nothing of other versions."""
    return importlib.metadata.version("usearch")


def _print_of(snapshot: Snapshot) -> str:
    """What tells embeddings of one library from those of another, or of another time.

    Embeddings are a function of the recordings' contents, and where one of them stands is what the
    graph knows.
    """
    digest = hashlib.sha256(snapshot.key[0])
    for array in (snapshot.starts, snapshot.numbers, snapshot.hashes):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
