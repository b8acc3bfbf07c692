"""All embeddings of a library in one matrix, as of one moment, and a cache of it on disk."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinet.errors import KinetError
from kinet.files import write_atomically
from kinet.library.identity import Identity
from kinet.library.schema import damaged
from kinet.library.store import Store

# Bytes from which on reading rows takes longer than a person notices.
_CACHED_FROM = 2**25
_HEADER = 4096
# Rows that are compared at once, at most, and products that stay in the processor's caches.
_BLOCK, _PRODUCTS = 2**15, 2**21
# For the correction of hubs: nearest recordings that are looked at, and recordings to be nearest.
_NEIGHBOURS = 10
_SAMPLE = 500
# Recordings whose similarities to all of these are held at once.
_AT_ONCE = 2**16


@dataclass(frozen=True)
class Snapshot:
    """What is searched.

    Attributes
    ----------
    key : tuple of (bytes, int)
        Which library, after how many changes.
    vectors : ndarray of float32, shape (N, D)
        The embeddings of all pieces of all recordings.
    starts : ndarray of int64, shape (R + 1,)
        Row of the whole of each recording, which its windows follow; and N.
    numbers : ndarray of int64, shape (R,)
        Numbers of the recordings.
    hashes : ndarray of uint64, shape (R,)
        The first bytes of their SHA-256.
    hubs : ndarray of float32, shape (R,)
        How near each is to its nearest others in the mean: what is near to all says little.
    """

    key: tuple[bytes, int]
    vectors: NDArray[np.float32]
    starts: NDArray[np.int64]
    numbers: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    hubs: NDArray[np.float32]

    def similarities(self, queries: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """How like each recording is to each query.

        For every piece of the query the nearest piece of the recording counts, and the mean of
        these cosines is what is given.

        Parameters
        ----------
        queries : sequence of ndarray, shape (pieces, D)

        Returns
        -------
        ndarray of float32, shape (len(queries), R)
            Exact: everything is compared with everything, block by block.
        """
        found = np.empty((len(queries), len(self.numbers)), np.float32)
        stacked = np.concatenate(queries).T
        counts = np.array([len(rows) for rows in queries])
        firsts = np.cumsum(counts) - counts
        for begin, end in self.blocks(min(_BLOCK, 1 + _PRODUCTS // stacked.shape[1])):
            products = self.vectors[self.starts[begin] : self.starts[end]] @ stacked
            if len(products) > end - begin:
                products = largest(products, self.starts[begin : end + 1])
            if len(firsts) < products.shape[1]:
                products = np.add.reduceat(products, firsts, axis=1) / counts
            found[:, begin:end] = products.T
        return found

    def part(self, begin: int, end: int) -> Snapshot:
        """The recordings from one place to before another."""
        first, last = self.starts[begin], self.starts[end]
        return Snapshot(
            *(self.key, self.vectors[first:last], self.starts[begin : end + 1] - first),
            *(self.numbers[begin:end], self.hashes[begin:end], self.hubs[begin:end]),
        )

    def blocks(self, rows: int, begin: int = 0) -> Iterator[tuple[int, int]]:
        """First recordings and ends of so many rows at a time, or of one recording."""
        while begin < len(self.numbers):
            after = int(np.searchsorted(self.starts, self.starts[begin] + rows, "right")) - 1
            end = max(begin + 1, after)
            yield begin, end
            begin = end


def largest(products: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """For each recording the largest value of each column in its rows, which begin at `starts`."""
    # Not `np.maximum.reduceat`, which takes longer than the products themselves.
    firsts, counts = starts[:-1] - starts[0], np.diff(starts)
    longest = int(counts.max())
    if counts.min() == longest:
        alike: NDArray[np.float32] = products.reshape(len(counts), longest, -1).max(axis=1)
        return alike
    found = products[firsts]
    for step in range(1, longest):
        longer = np.flatnonzero(counts > step)
        found[longer] = np.maximum(found[longer], products[firsts[longer] + step])
    return found


def prefix_of(sha256: bytes) -> np.uint64:
    """What `Snapshot.hashes` holds of a SHA-256."""
    return np.frombuffer(sha256[:8], np.uint64)[0]


def take_snapshot(store: Store) -> Snapshot:
    """The snapshot of a library as it is now, from its cache if that is of now.

    Raises
    ------
    DataError
        If the library is damaged.
    """
    with store.reading():
        now = store.identity()
        cache = store.cache()
        # Whatever is wrong with a cache, it can be made again.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return _cached(cache, now)
        snapshot = _read(store, now)
    if snapshot.vectors.nbytes >= _CACHED_FROM:
        with contextlib.suppress(OSError, KinetError):
            _keep(cache, snapshot)
    return snapshot


def _read(store: Store, now: Identity) -> Snapshot:
    hashes = {number: digest[:8] for number, digest, _ in store.recordings()}
    count = store.count_of_embeddings()
    vectors = np.empty((count, now.size), np.float32)
    starts, numbers = [0], []
    for number, rows in store.embeddings():
        end = starts[-1] + len(rows)
        if end > count:
            break
        vectors[starts[-1] : end] = rows
        starts.append(end)
        numbers.append(number)
    if starts[-1] != count or list(hashes) != numbers:
        raise damaged(store.path, "recordings and embeddings are not of each other")
    prefixes = np.frombuffer(b"".join(hashes.values()), np.uint64)
    bare = Snapshot(
        *((now.identity, now.changes), vectors, np.array(starts, np.int64)),
        *(np.array(numbers, np.int64), prefixes, np.zeros(len(numbers), np.float32)),
    )
    drawn = sample_of(len(numbers))
    wholes = vectors[bare.starts[drawn]]
    return replace(bare, hubs=hubs_of(bare, wholes, drawn))


def sample_of(count: int) -> NDArray[np.int64]:
    """Places, of so many, of the recordings that others are held against to know hubs."""
    return np.sort(np.random.default_rng(0).permutation(count)[:_SAMPLE])


def hubs_of(
    snapshot: Snapshot, sample: NDArray[np.float32], places: NDArray[np.int64]
) -> NDArray[np.float32]:
    """For each recording the mean similarity of its nearest, of some drawn at random.

    After A. Conneau et al., "Word Translation Without Parallel Data", ICLR 2018 (CSLS).

    Parameters
    ----------
    snapshot : Snapshot
        Its `hubs` are not looked at.
    sample : ndarray, shape (K, D)
        The embeddings of whole recordings.
    places : ndarray of int, shape (K,)
        Where each of them is in the snapshot; -1 for those of other libraries.

    Returns
    -------
    ndarray of float32, shape (R,)
        0 if there is nothing but the recording itself.
    """
    found = np.zeros(len(snapshot.numbers), np.float32)
    kept = min(_NEIGHBOURS, len(sample) - 1)
    for begin in range(0, len(found) if kept > 0 else 0, _AT_ONCE):
        end = min(begin + _AT_ONCE, len(found))
        near = snapshot.part(begin, end).similarities([row[None] for row in sample])
        own = np.flatnonzero((places >= begin) & (places < end))
        near[own, places[own] - begin] = -np.inf  # none is its own neighbour
        found[begin:end] = np.partition(near, -kept, axis=0)[-kept:].mean(axis=0)
    return found


def _arrays(snapshot: Snapshot) -> list[NDArray[Any]]:
    names = ("vectors", "starts", "numbers", "hashes", "hubs")
    return [np.ascontiguousarray(getattr(snapshot, name)) for name in names]


def _keep(cache: Path, snapshot: Snapshot) -> None:
    arrays = _arrays(snapshot)
    crc = 0
    for array in arrays:
        crc = zlib.crc32(array.data, crc)
    header = {
        "kinet": "vectors of a library",
        "identity": snapshot.key[0].hex(),
        "changes": snapshot.key[1],
        "rows": len(snapshot.vectors),
        "size": snapshot.vectors.shape[1],
        "recordings": len(snapshot.numbers),
        "crc": crc,
    }

    def write(file: Any) -> None:
        file.write(json.dumps(header).encode().ljust(_HEADER))
        for array in arrays:
            file.write(array.data)

    write_atomically(cache, write)


def _cached(cache: Path, now: Identity) -> Snapshot:
    """Raises whatever is wrong with the cache."""
    with open(cache, "rb") as file:
        said = json.loads(file.read(_HEADER))
    if (said["identity"], said["changes"]) != (now.identity.hex(), now.changes):
        raise ValueError("of another time")
    rows, count = said["rows"], said["recordings"]
    shapes = [
        *((np.float32, (rows, now.size)), (np.int64, (count + 1,)), (np.int64, (count,))),
        *((np.uint64, (count,)), (np.float32, (count,))),
    ]
    needed = _HEADER + sum(int(np.prod(shape)) * np.dtype(kind).itemsize for kind, shape in shapes)
    if said["size"] != now.size or os.path.getsize(cache) != needed:
        raise ValueError("of another size")
    mapped = np.memmap(cache, np.uint8, "r")
    if zlib.crc32(mapped[_HEADER:].data) != said["crc"]:
        raise ValueError("damaged")
    arrays, begin = [], _HEADER
    for kind, shape in shapes:
        end = begin + int(np.prod(shape)) * np.dtype(kind).itemsize
        arrays.append(np.asarray(mapped[begin:end]).view(kind).reshape(shape))
        begin = end
    return Snapshot((now.identity, now.changes), *arrays)
