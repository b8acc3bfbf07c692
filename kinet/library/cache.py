"""The snapshot of a library: laid out as one file, which is kept beside a large one.

It is written row by row, so that reading a library takes little more memory than its rows, and
mapped when it is complete.
"""

from __future__ import annotations

import contextlib
import io
import json
import zlib
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from kinet.files import write_atomically
from kinet.library.identity import Identity
from kinet.library.schema import damaged
from kinet.library.snapshot import Snapshot, hubs_of, sample_of
from kinet.library.store import Store

# Bytes from which on reading rows takes longer than a person notices.
_CACHED_FROM = 2**25
_HEADER = 4096
# Whatever is wrong with a cache, it can be made again, or done without.
_WRONG = (OSError, ValueError, KeyError, TypeError)


def take_snapshot(store: Store) -> Snapshot:
    """The snapshot of a library as it is now, from its cache if that is of now.

    Raises
    ------
    DataError
        If the library is damaged.
    """
    with store.reading():
        now, cache = store.identity(), store.cache()
        with contextlib.suppress(*_WRONG):
            return _laid_out(np.memmap(cache, np.uint8, "r"), now)
        if store.count_of_embeddings() * now.size * 4 >= _CACHED_FROM:
            with contextlib.suppress(*_WRONG):
                write_atomically(cache, lambda file: _write(file, store, now))
                return _laid_out(np.memmap(cache, np.uint8, "r"), now)
        held = io.BytesIO()
        _write(held, store, now)
    return _laid_out(np.frombuffer(held.getbuffer(), np.uint8), now)


def _shapes(rows: int, size: int, recordings: int) -> list[tuple[Any, tuple[int, ...]]]:
    """Of the arrays of a snapshot, in its order, in which they lie behind the header."""
    return [
        *((np.float32, (rows, size)), (np.int64, (recordings + 1,)), (np.int64, (recordings,))),
        *((np.uint64, (recordings,)), (np.float32, (recordings,)), (np.int64, (recordings,))),
    ]


def _write(file: BinaryIO, store: Store, now: Identity) -> None:
    """Read all of a library, and write it as `_laid_out` takes it."""
    numbers, hashes = _recordings(store)
    drawn = sample_of(len(numbers))
    sample = [store.embeddings_of(int(number))[:1] for number in numbers[drawn]]
    wholes = np.concatenate([np.empty((0, now.size), np.float32), *sample])
    pieces, hubs = [np.zeros(1, np.int64)], [np.empty(0, np.float32)]
    seen = crc = 0
    file.write(bytes(_HEADER))
    for own, counts, rows in store.embeddings():
        end = seen + len(own)
        if not np.array_equal(own, numbers[seen:end]):
            break
        block = _block(now, own, counts, rows)
        hubs.append(hubs_of(block, wholes, drawn - seen))
        pieces.append(counts)
        crc = _append(file, rows, crc)
        seen = end
    starts = np.cumsum(np.concatenate(pieces))
    if seen != len(numbers):
        raise damaged(store.path, "recordings and embeddings are not of each other")
    for array in (starts, numbers, hashes, np.concatenate(hubs), _copies(store, numbers)):
        crc = _append(file, array, crc)
    header = {
        "kinet": "vectors of a library",
        "identity": now.identity.hex(),
        "changes": now.changes,
        "rows": int(starts[-1]),
        "recordings": len(numbers),
        "crc": crc,
    }
    file.seek(0)
    file.write(json.dumps(header).encode().ljust(_HEADER))


def _append(file: BinaryIO, array: NDArray[Any], crc: int) -> int:
    content = array.tobytes()
    file.write(content)
    return zlib.crc32(content, crc)


def _recordings(store: Store) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Numbers of all recordings, and `Snapshot.hashes`."""
    numbers, hashes = [], bytearray()
    for number, digest, _ in store.recordings():
        numbers.append(number)
        hashes += digest[:8]
    return np.array(numbers, np.int64), np.frombuffer(bytes(hashes), np.uint64)


def _copies(store: Store, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many files each recording has."""
    heard = np.fromiter(store.recordings_of_files(), np.int64)
    with_files, counts = np.unique(heard, return_counts=True)
    if not np.array_equal(with_files, numbers):
        raise damaged(store.path, "recordings and files are not of each other")
    return counts.astype(np.int64)


def _block(
    now: Identity, numbers: NDArray[np.int64], pieces: NDArray[np.int64], rows: NDArray[np.float32]
) -> Snapshot:
    """Some recordings, of which nothing but embeddings matters."""
    zeros = np.zeros(len(numbers))
    starts = np.concatenate([[0], np.cumsum(pieces)])
    return Snapshot(
        *((now.identity, now.changes), rows, starts, numbers),
        *(zeros.astype(np.uint64), zeros.astype(np.float32), zeros.astype(np.int64)),
    )


def _laid_out(content: NDArray[np.uint8], now: Identity) -> Snapshot:
    """Raises whatever is wrong with it."""
    said = json.loads(content[:_HEADER].tobytes())
    if (said["identity"], said["changes"]) != (now.identity.hex(), now.changes):
        raise ValueError("of another time")
    shapes = _shapes(said["rows"], now.size, said["recordings"])
    sizes = [int(np.prod(shape)) * np.dtype(kind).itemsize for kind, shape in shapes]
    if len(content) != _HEADER + sum(sizes):
        raise ValueError("of another size")
    if zlib.crc32(content[_HEADER:].data) != said["crc"]:
        raise ValueError("damaged")
    arrays, begin = [], _HEADER
    for (kind, shape), bytes_ in zip(shapes, sizes, strict=True):
        arrays.append(np.asarray(content[begin : begin + bytes_]).view(kind).reshape(shape))
        begin += bytes_
    return Snapshot((now.identity, now.changes), *arrays)
