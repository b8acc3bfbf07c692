"""How fast a library is opened and scanned, beside NumPy.

Embeddings are made-up songs: those of a song are near each other, and all lie near a space of few
dimensions, as learned ones do. Of rows without any order no index finds anything quickly.
"""

from __future__ import annotations

import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from machine import in_a_process, peak_mib

from kinet.embeddings import Embedder
from kinet.library import Library
from kinet.library.cache import take_snapshot
from kinet.library.finding import TOP
from kinet.library.models import find_model
from kinet.library.pieces import HOP, PIECE
from kinet.library.rows import File, Sound
from kinet.library.snapshot import Snapshot
from kinet.library.sounds import SoundFile
from kinet.library.store import Store

QUERIES = 100
_DIMENSIONS, _SONG, _NOISE = 24, 5, 0.35
BLOCK = 2**15

#: From the path of a library and a number of repeats to figures.
Measure = Callable[[Path, int], dict[str, Any]]


def scan_one(
    recordings: int, pieces: int, size: int, repeats: int, others: Mapping[str, Measure]
) -> dict[str, Any]:
    """One library: made, opened with and without its cache, and searched, by others too."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "library.sqlite")
        made, _ = timed(lambda: in_a_process(make_library, path, recordings, pieces, size))
        first, first_peak = in_a_process(open_once, path)
        opened = [in_a_process(open_once, path)[0] for _ in range(3)]
        finding = in_a_process(find_once, path, repeats)
        figures = in_a_process(searched, path, repeats)
        beside = {name: in_a_process(other, path, repeats) for name, other in others.items()}
        megabytes = path.stat().st_size / 1e6
    return {
        "recordings": recordings,
        "embeddings": recordings * pieces,
        "size": size,
        "library_megabytes": round(megabytes, 1),
        "seconds_to_make": round(made, 1),
        "seconds_to_open_without_cache": round(first, 2),
        "peak_rss_mib_to_open_without_cache": first_peak,
        "seconds_to_open": round(statistics.median(opened), 3),
        **finding,
        **figures,
        **beside,
    }


def made_up(recordings: int, pieces: int, size: int) -> Iterator[np.ndarray]:
    """Unit rows (pieces, size) of one recording after the other."""
    rng = np.random.default_rng(0)
    space = rng.normal(size=(_DIMENSIONS, size)).astype(np.float32)
    for begin in range(0, recordings, _SONG):
        song = rng.normal(size=_DIMENSIONS)
        for _ in range(min(_SONG, recordings - begin)):
            places = song + _NOISE * rng.normal(size=(pieces, _DIMENSIONS))
            rows = places.astype(np.float32) @ space
            rows += 0.3 * rng.normal(size=rows.shape).astype(np.float32)
            yield rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_library(path: Path, recordings: int, pieces: int, size: int) -> None:
    """A library of made-up embeddings, 1,000 recordings in a transaction."""
    store = Store.create(path, find_model("fourier"), size, PIECE, HOP)
    put_in(store, made_up(recordings, pieces, size), 1000, "/")
    store.compact()
    store.close()


def put_in(store: Store, rows: Iterator[np.ndarray], at_once: int, folder: str) -> None:
    """Recordings of these embeddings, so many in a transaction."""
    hpcp = np.ones((1, 12), np.float32)
    number = 0
    while (first := next(rows, None)) is not None:
        with store.writing():
            for own in _with(first, rows, at_once):
                place = store.add_sound(Sound(secrets.token_bytes(32), 1.0, hpcp, own))
                store.put_file(
                    File(Path(f"{folder}{number}.wav"), place, f"{number}", "", "", 1, 1)
                )
                number += 1


def _with(first: np.ndarray, rows: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    yield first
    for _ in range(count - 1):
        if (following := next(rows, None)) is None:
            return
        yield following


def open_library(path: Path) -> Snapshot:
    """The snapshot of a library."""
    store = Store(path)
    try:
        return take_snapshot(store)
    finally:
        store.close()


def open_once(path: Path) -> tuple[float, float]:
    """Seconds, and peak memory of the process in MiB."""
    seconds, _ = timed(lambda: open_library(path))
    return seconds, round(peak_mib(), 1)


def find_once(path: Path, repeats: int) -> dict[str, float]:
    """What `kinet find` takes without reading, embedding and alignment, and the memory of it.

    That of a fresh process, which opens the library and finds once, and of a further query.
    """
    started = time.perf_counter()
    with Library.open(path) as library:
        size = library._store.identity().size
        row = np.full((1, size), size**-0.5, np.float32)
        library._embedder = Embedder(lambda batch: row.repeat(len(batch), 0), size, PIECE, 1, None)
        read = SoundFile(secrets.token_bytes(32), 1, 1, "", "", np.ones((PIECE, 12)), 60.0)

        def find() -> None:
            found = library.find_read(Path("query"), read)
            assert len(found.matches) == min(TOP, len(library._snapshot.numbers))

        find()
        first = time.perf_counter() - started
        later = [timed(find)[0] for _ in range(repeats)]
    return {
        "seconds_to_open_and_find": round(first, 3),
        "seconds_to_find": round(statistics.median(later), 4),
        "peak_rss_mib_to_find": round(peak_mib(), 1),
    }


def drawn(snapshot: Snapshot) -> np.ndarray:
    """Queries (100, D): rows that lie a little beside some of the library's."""
    rng = np.random.default_rng(1)
    rows = snapshot.vectors[np.sort(rng.integers(len(snapshot.vectors), size=QUERIES))]
    rows = rows + 0.02 * rng.normal(size=rows.shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def searched(path: Path, repeats: int) -> dict[str, Any]:
    """As `searched_in`, of a library on disk."""
    return searched_in(open_library(path), repeats)


def searched_in(snapshot: Snapshot, repeats: int) -> dict[str, Any]:
    """Milliseconds of one query and of each of 100, beside products of NumPy on the same rows."""
    rows, columns = snapshot.vectors, drawn(snapshot)
    queries = [row[None] for row in columns]

    def plain() -> None:
        for begin in range(0, len(rows), BLOCK):
            rows[begin : begin + BLOCK] @ columns.T

    steps: dict[str, Callable[[], object]] = {
        "one": lambda: snapshot.similarities(queries[:1]),
        "many": lambda: snapshot.similarities(queries),
    }
    for step in steps.values():
        step()
    peak = peak_mib()  # before anything else takes memory
    steps |= {"one_numpy": lambda: rows @ columns[0], "many_numpy": plain}
    seconds = in_rounds(steps, repeats)
    best = {name: min(values) for name, values in seconds.items()}
    found: dict[str, Any] = {"peak_rss_mib": round(peak, 1)}
    for name, what, count in (("one", "one_query", 1), ("many", "each_of_100", QUERIES)):
        numpy = seconds[f"{name}_numpy"]
        ratios = [ours / theirs for ours, theirs in zip(seconds[name], numpy, strict=True)]
        found[f"{what}_ms"] = round(1e3 * best[name] / count, 3)
        found[f"{what}_numpy_ms"] = round(1e3 * best[f"{name}_numpy"] / count, 3)
        found[f"{what}_over_numpy"] = round(statistics.median(ratios), 2)
    return found


def in_rounds(steps: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every step, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            seconds[name].append(timed(step)[0])
    return seconds


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what the function gives."""
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result
