"""Other programs that search the embeddings of a library: faiss and usearch."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from index_speed import BLOCK, Measure, drawn, in_rounds, open_library, timed

from kinet.library.cache import take_snapshot
from kinet.library.nearest import build, index_of, recall_of, rows_of
from kinet.library.shortlisting import ALIGNED
from kinet.library.store import Store

NEAREST = 10
# Rows, beside those for which `kinet find --approximate` asks.
LOOKED_FOR = (10, 50, 100)
WANTED_RECALL = 0.99


def others(is_approximate: bool) -> dict[str, Measure]:
    """Those that are installed, by name."""
    found: dict[str, Measure] = {}
    if importlib.util.find_spec("faiss"):
        found["faiss_exact"] = faiss_exact
        if is_approximate:
            found["faiss_approximate"] = faiss_approximate
    if is_approximate and importlib.util.find_spec("usearch"):
        found["usearch_approximate"] = usearch_approximate
        found["kinet_index"] = kinet_index
    return found


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


def kinet_index(path: Path, repeats: int) -> dict[str, Any]:
    """The index of `kinet index build`, which says itself how good it is, and with fewer rows."""
    os.environ["XDG_CACHE_HOME"] = str(path.parent)
    store = Store(path)
    try:
        index = index_of(store)
        made = build(store, index)
        snapshot = take_snapshot(store)
        with store.reading():
            fewer = {count: recall_of(index, snapshot, count) for count in LOOKED_FOR}
    finally:
        store.close()
    reached = fewer | {rows_of(ALIGNED): (made.recall, made.milliseconds)}
    return {
        "seconds_to_build": round(made.seconds, 1),
        "looked_for": [
            {"rows": count, "recall_at_10": round(recall, 4), "one_query_ms": round(spent, 3)}
            for count, (recall, spent) in sorted(reached.items())
        ],
    }


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
