"""Search among 10,000 to ten million rows: as the library does it, and over int8 numbers.

Rows are drawn with mean and covariance of the embeddings that a model gives for made versions,
of which the directions that vary most are kept, turned at random: a network's numbers are alike.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np
from index_others import nearest
from index_speed import BLOCK

import kinet
from kinet.backend import cores
from kinet.data.tracks import read_tracks
from kinet.embeddings import as_embedder
from kinet.library.pieces import HOP, PIECE, embed_pieces
from kinet.library.shortlisting import Query, shortlist
from kinet.library.snapshot import Snapshot
from kinet.versions.chorales import write_corpus

SONGS, VERSIONS = 60, 4
NEAREST = 10
LISTED = 20
QUERIES = 50
# The nearest by int8 of which ten are chosen by float32.
AGAIN = 50
# Rows of which the int8 scan keeps the largest product alone.
BLOCK_OF_SCAN = 1024


def embeddings_of_versions(model: str) -> np.ndarray:
    """Embeddings (N, D) of chorales in several versions, whole and in windows."""
    return np.concatenate(pieces_of_versions(model))


def pieces_of_versions(model: str) -> list[np.ndarray]:
    """As `embeddings_of_versions`, those of each recording by themselves."""
    network = as_embedder(kinet.load(model))
    with tempfile.TemporaryDirectory() as folder:
        corpus = write_corpus(folder, songs=SONGS, versions=VERSIONS, seed=5, workers=1)
        lists = (corpus.train_list, corpus.val_list, corpus.test_list)
        tracks = [np.load(t.path) for path in lists for t in read_tracks(path, corpus.data_dir)]
    return [embed_pieces(network, hpcp, PIECE, HOP) for hpcp in tracks]


class Distribution:
    """Mean and covariance of embeddings in the directions in which they vary most."""

    def __init__(self, embeddings: np.ndarray, size: int) -> None:
        mean = embeddings.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(embeddings.T))
        kept = np.argsort(values)[::-1][:size]
        self.size = len(kept)
        self.share_kept = float(values[kept].sum() / values.sum())
        self._kept = vectors[:, kept]
        self._deviations = np.sqrt(np.maximum(values[kept], 0)).astype(np.float32)
        self._mean = (mean @ self._kept).astype(np.float32)
        turned = np.random.default_rng(3).normal(size=(self.size, self.size))
        self._turn = np.linalg.qr(turned)[0].astype(np.float32)

    def draw(self, count: int, seed: int) -> np.ndarray:
        """Unit rows (count, size)."""
        rng = np.random.default_rng(seed)
        rows = rng.standard_normal((count, self.size), np.float32) * self._deviations + self._mean
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows @ self._turn


class PiecesDistribution(Distribution):
    """Such rows of which those of one recording are as alike as the pieces of a real one are.

    A row is its recording's plus what is its own: two normal distributions, whose covariances add
    up to that of all rows.
    """

    def __init__(self, recordings: Sequence[np.ndarray], size: int) -> None:
        super().__init__(np.concatenate(recordings), size)
        several = [rows @ self._kept for rows in recordings if len(rows) > 1]
        own = np.concatenate([rows - rows.mean(axis=0) for rows in several])
        within = own.T @ own / (len(own) - len(several))
        self._own = _root(within)
        self._recording = _root(np.diag(self._deviations.astype(float) ** 2) - within)

    def draw_pieces(self, count: int, pieces: int, seed: int) -> np.ndarray:
        """Unit rows (count, pieces, size) of so many recordings."""
        rng = np.random.default_rng(seed)
        recordings = rng.standard_normal((count, 1, self.size), np.float32) @ self._recording
        own = rng.standard_normal((count, pieces, self.size), np.float32) @ self._own
        rows = recordings + own + self._mean
        rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
        return rows @ self._turn


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric matrix whose square it is, where what is below nought counts as nought."""
    values, vectors = np.linalg.eigh(covariance)
    return ((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T).astype(np.float32)


def filled(distribution: Distribution, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows in float32, and in int8: times 127, divided by the largest number of the first."""
    rows = np.empty((count, distribution.size), np.float32)
    short = np.empty((count, distribution.size), np.int8)
    for number, begin in enumerate(range(0, count, BLOCK)):
        part = slice(begin, min(begin + BLOCK, count))
        rows[part] = distribution.draw(part.stop - begin, number)
        short[part] = to_int8(rows[part], largest(rows))
    return rows, short


def largest(rows: np.ndarray) -> float:
    """Of the first rows, for the scale of all."""
    return float(np.abs(rows[: min(BLOCK, len(rows))]).max())


def to_int8(rows: np.ndarray, top: float) -> np.ndarray:
    """Numbers of -127 to 127."""
    return np.clip(np.rint(rows * (127 / top)), -127, 127).astype(np.int8)


def searched(model: str, size: int, counts: tuple[int, ...], repeats: int) -> dict[str, Any]:
    """All figures; the largest count first decides what is in memory."""
    made = embeddings_of_versions(model)
    distribution = Distribution(made, size)
    rows, short = filled(distribution, max(counts))
    queries = distribution.draw(QUERIES, 2**31)
    found = [_at(rows[:n], short[:n], queries, repeats) for n in sorted(counts)]
    return {
        "model": model,
        "embeddings": len(made),
        "numbers_of_the_model": made.shape[1],
        "size": size,
        "share_of_variance": round(distribution.share_kept, 4),
        "threads": cores(),
        "rows": found,
        "beside": list(_beside(short, to_int8(queries, largest(rows)), repeats)),
        "looked_at_again": AGAIN,
        "recall_at_10": recall_of_int8(rows, short, queries, NEAREST),
        "recall_at_10_looked_at_again": recall_of_int8(rows, short, queries, AGAIN),
    }


def _at(rows: np.ndarray, short: np.ndarray, queries: np.ndarray, repeats: int) -> dict[str, Any]:
    count = len(rows)
    snapshot = Snapshot(
        *((b"", 0), rows, np.arange(count + 1), np.arange(count)),
        *(np.ones(count, np.uint64), np.zeros(count, np.float32), np.ones(count, np.int64)),
    )
    query = Query(np.zeros((400, 12), np.float32), queries[:1], bytes(32))
    asked = to_int8(queries[0], largest(rows))
    scan = Scan()
    steps: dict[str, Callable[[], object]] = {
        "float32_products": lambda: snapshot.similarities([query.embeddings]),
        "float32_shortlist": lambda: shortlist(snapshot, query, LISTED),
        "float32_products_of_16": lambda: snapshot.similarities([queries[:16]]),
        "int8_nearest": lambda: scan.nearest(short, asked),
        "int8_nearest_one_thread": lambda: scan.nearest(short, asked, 1),
        "int8_read": lambda: read(short, cores()),
        "int8_read_one_thread": lambda: read(short, 1),
        "float32_read": lambda: read(rows, cores()),
    }
    return {"rows": count} | {name: best_of(step, repeats) for name, step in steps.items()}


def best_of(step: Callable[[], object], repeats: int) -> float:
    """Seconds of the quickest call after one that is not counted."""
    step()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return float(f"{min(seconds):.4g}")


def read(array: np.ndarray, threads: int) -> int:
    """Every byte of an array, once, and nothing else: sums of 64 bits by NumPy."""
    parts = np.array_split(array.reshape(-1).view(np.uint64), threads)
    if threads == 1:
        return int(parts[0].sum())
    with ThreadPoolExecutor(threads) as pool:
        return int(sum(map(int, pool.map(np.sum, parts))))


class Scan:
    """Products of int8 rows, all of them, by a loop that numba compiles for the processor."""

    def __init__(self) -> None:
        import numba

        def maxima(rows: Any, query: Any, found: Any) -> None:
            for block in numba.prange(len(found)):
                top = np.int32(-(2**31) + 1)
                for row in range(
                    block * BLOCK_OF_SCAN, min(len(rows), (block + 1) * BLOCK_OF_SCAN)
                ):
                    product = np.int32(0)
                    for i in range(rows.shape[1]):
                        product += np.int32(rows[row, i]) * np.int32(query[i])
                    top = max(top, product)
                found[block] = top

        self._set_threads = numba.set_num_threads
        self._maxima = numba.njit(maxima, parallel=True, fastmath=True)

    def nearest(
        self, rows: np.ndarray, query: np.ndarray, threads: int = 0, count: int = NEAREST
    ) -> np.ndarray:
        """The numbers of the ten rows, or more, with the largest products, of equals the first.

        What is kept of all are the largest products of blocks. The ten best are in blocks that
        reach the tenth largest of these, which are few and are looked at again.
        """
        self._set_threads(threads or cores())
        found = np.empty(-(-len(rows) // BLOCK_OF_SCAN), np.int32)
        self._maxima(rows, query.astype(np.int16), found)
        kept = min(count, len(found))
        blocks = np.flatnonzero(found >= np.partition(found, -kept)[-kept])
        numbers = (blocks[:, None] * BLOCK_OF_SCAN + np.arange(BLOCK_OF_SCAN)).ravel()
        numbers = numbers[numbers < len(rows)]
        products = rows[numbers].astype(np.int32) @ query.astype(np.int32)
        return numbers[np.argsort(-products, kind="stable")[:count]]


def recall_of_int8(rows: np.ndarray, short: np.ndarray, queries: np.ndarray, count: int) -> float:
    """Of the ten nearest rows by float32, how many are among so many by int8, in the mean."""
    scan, top = Scan(), largest(rows)
    wanted = nearest(rows, queries)
    hits = [
        len(set(own.tolist()) & set(scan.nearest(short, to_int8(query, top), 0, count).tolist()))
        for own, query in zip(wanted, queries, strict=True)
    ]
    return round(sum(hits) / wanted.size, 4)


def _beside(short: np.ndarray, queries: np.ndarray, repeats: int) -> Iterator[dict[str, Any]]:
    """Other programs that compare a query with all int8 rows."""
    for name, make in (("faiss", _faiss), ("usearch", _usearch), ("torch", _torch)):
        if find_spec(name):
            step = make(short, queries[:1])
            yield {"program": name, "rows": len(short), "seconds": best_of(step, repeats)}


def _faiss(short: np.ndarray, query: np.ndarray) -> Callable[[], object]:
    """Its scalar quantizer, 8bit_direct_signed; one query has one thread."""
    import faiss

    index = faiss.IndexScalarQuantizer(
        *(short.shape[1], faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT)
    )
    for begin in range(0, len(short), BLOCK):
        index.add(short[begin : begin + BLOCK].astype(np.float32))
    asked = query.astype(np.float32)
    return lambda: index.search(asked, NEAREST)


def _usearch(short: np.ndarray, query: np.ndarray) -> Callable[[], object]:
    """Its exact search."""
    from usearch.index import MetricKind, search

    return lambda: search(short, query, NEAREST, MetricKind.IP, exact=True, threads=cores())


def _torch(short: np.ndarray, query: np.ndarray) -> Callable[[], object]:
    """Its product of int8, by oneDNN; products alone."""
    import torch

    rows, column = torch.from_numpy(short), torch.from_numpy(query.T.copy())
    return lambda: torch._int_mm(rows, column)
