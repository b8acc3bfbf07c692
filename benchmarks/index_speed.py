"""How fast a library scans, and what stands beside that: NumPy, faiss and usearch.

Embeddings are made-up songs: those of a song are near each other, and all lie near a space of few
dimensions, as learned ones do. Of rows without any order no index finds anything quickly.
"""

from __future__ import annotations

import importlib.util
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from machine import in_a_process, peak_mib

from kinet.library.models import find_model
from kinet.library.pieces import HOP, PIECE
from kinet.library.rows import File, Sound
from kinet.library.snapshot import Snapshot, take_snapshot
from kinet.library.store import Store

QUERIES = 100
NEAREST = 10
WANTED_RECALL = 0.99
_DIMENSIONS, _SONG, _NOISE = 24, 5, 0.35
BLOCK = 2**15


def scan_one(
    recordings: int, pieces: int, size: int, repeats: int, is_approximate: bool
) -> dict[str, Any]:
    """One library: made, opened with and without its cache, and searched."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "library.sqlite")
        made, _ = timed(lambda: in_a_process(make_library, path, recordings, pieces, size))
        first, first_peak = in_a_process(open_once, path)
        opened = [in_a_process(open_once, path)[0] for _ in range(3)]
        figures = in_a_process(searched, path, repeats)
        beside = {
            name: in_a_process(function, path, repeats)
            for name, function in _beside(is_approximate).items()
        }
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
        **figures,
        **beside,
    }


def _beside(is_approximate: bool) -> dict[str, Callable[[Path, int], dict[str, Any]]]:
    found: dict[str, Callable[[Path, int], dict[str, Any]]] = {}
    if importlib.util.find_spec("faiss"):
        found["faiss_exact"] = faiss_exact
        if is_approximate:
            found["faiss_approximate"] = faiss_approximate
    if is_approximate and importlib.util.find_spec("usearch"):
        found["usearch_approximate"] = usearch_approximate
    return found


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


def faiss_exact(path: Path, repeats: int) -> dict[str, Any]:
    """A flat index of faiss."""
    import faiss

    snapshot = open_library(path)
    index = faiss.IndexFlatIP(snapshot.vectors.shape[1])
    index.add(np.ascontiguousarray(snapshot.vectors))
    queries = drawn(snapshot)
    return _of_index(lambda rows: index.search(rows, NEAREST)[1], queries, repeats)


def faiss_approximate(path: Path, repeats: int) -> dict[str, Any]:
    """An inverted file of faiss, of which so many lists are looked at as the recall needs."""
    import faiss

    snapshot = open_library(path)
    rows, queries = np.ascontiguousarray(snapshot.vectors), drawn(snapshot)
    lists = int(4 * np.sqrt(len(rows)))
    index = faiss.index_factory(rows.shape[1], f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
    learned = rows[np.sort(np.random.default_rng(2).permutation(len(rows))[: 64 * lists])]
    built, _ = timed(lambda: (index.train(learned), index.add(rows)))

    def look_at(probes: int) -> Callable[[np.ndarray], np.ndarray]:
        index.nprobe = min(probes, lists)
        return lambda some: index.search(some, NEAREST)[1]

    return {"seconds_to_build": round(built, 1)} | _until_recalled(
        look_at, "lists", rows, queries, repeats
    )


def usearch_approximate(path: Path, repeats: int) -> dict[str, Any]:
    """A graph of usearch, of which so much is looked at as the recall needs."""
    from usearch.index import Index

    snapshot = open_library(path)
    rows, queries = np.ascontiguousarray(snapshot.vectors), drawn(snapshot)
    index = Index(ndim=rows.shape[1], metric="ip", dtype="f32")
    built, _ = timed(lambda: index.add(np.arange(len(rows)), rows))

    def look_at(expansion: int) -> Callable[[np.ndarray], np.ndarray]:
        index.expansion_search = expansion
        return lambda some: index.search(some, NEAREST).keys.reshape(len(some), -1)

    return {"seconds_to_build": round(built, 1)} | _until_recalled(
        look_at, "expansion", rows, queries, repeats
    )


def _until_recalled(
    look_at: Callable[[int], Callable[[np.ndarray], np.ndarray]],
    name: str,
    rows: np.ndarray,
    queries: np.ndarray,
    repeats: int,
) -> dict[str, Any]:
    wanted = nearest(rows, queries)
    found: dict[str, Any] = {}
    for effort in (16, 32, 64, 128, 256, 512, 1024):
        search = look_at(effort)
        here = search(queries)
        hits = [len(set(a) & set(b)) for a, b in zip(wanted.tolist(), here.tolist(), strict=True)]
        found = {name: effort, "recall_at_10": round(sum(hits) / wanted.size, 4)}
        if found["recall_at_10"] >= WANTED_RECALL:
            break
    return found | _of_index(search, queries, repeats)


def nearest(rows: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The numbers of the ten nearest rows of each query, found by looking at all."""
    best = np.full((len(queries), NEAREST), -np.inf, np.float32)
    numbers = np.zeros((len(queries), NEAREST), np.int64)
    for begin in range(0, len(rows), BLOCK):
        products = queries @ rows[begin : begin + BLOCK].T
        values = np.hstack([best, products])
        own = np.broadcast_to(np.arange(begin, begin + products.shape[1]), products.shape)
        order = np.argpartition(-values, NEAREST - 1, axis=1)[:, :NEAREST]
        numbers = np.take_along_axis(np.hstack([numbers, own]), order, axis=1)
        best = np.take_along_axis(values, order, axis=1)
    return numbers


def _of_index(
    search: Callable[[np.ndarray], np.ndarray], queries: np.ndarray, repeats: int
) -> dict[str, Any]:
    steps = {"one": lambda: search(queries[:1]), "many": lambda: search(queries)}
    seconds = in_rounds(steps, repeats)
    return {
        "one_query_ms": round(1e3 * min(seconds["one"]), 3),
        "each_of_100_ms": round(1e3 * min(seconds["many"]) / len(queries), 3),
    }


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what the function gives."""
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result
