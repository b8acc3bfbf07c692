"""`kinet.library`: how fast it scans, opens and adds, and what it finds. Writes JSON.

    python benchmarks/index.py scan --out benchmarks/results/index-scan.json
    python benchmarks/index.py accuracy LIST --data-dir DIR --model small \\
        --out benchmarks/results/index-accuracy-NAME.json

`scan` compares the search with a plain product of NumPy's over the same bytes, in turns. `accuracy`
takes each recording of a list for a query, whole and as cuts of 10, 15, 30 and 60 seconds at random
places; its own recording is not looked at. MAP, P@10, MR1 and hit@1 are those of `kinet.evaluation`
over the ranking of all other recordings.
"""

from __future__ import annotations

import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from machine import in_a_process, peak_mib, write_report

from kinet.data.tracks import read_tracks
from kinet.evaluation import ranks_without_query
from kinet.extraction.sources import Source
from kinet.library import Library
from kinet.library.finding import Query, Shelf, length_of_shortlist, one_thread, shortlist
from kinet.library.models import find_model
from kinet.library.pieces import HOP, PIECE, embed_pieces
from kinet.library.rows import File, Sound
from kinet.library.snapshot import Snapshot, take_snapshot
from kinet.library.store import Store
from kinet.matching import align
from kinet.metrics import from_ranks

# Recordings, embeddings of each, and the numbers of one.
SIZES = ((100_000, 1, 256), (100_000, 10, 128))
QUERIES = 100
SECONDS: tuple[int | None, ...] = (None, 60, 30, 15, 10)
THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8)
LIBRARIES = ("numpy", "scipy", "keras", "jax", "tensorflow", "torch")


@click.group()
def main() -> None:
    """Figures of libraries."""


# Speed


@main.command()
@click.option("--repeats", type=int, default=9)
@click.option("--size", "sizes", type=(int, int, int), multiple=True, default=SIZES)
@click.option("--out", type=click.Path(path_type=Path))
def scan(repeats: int, sizes: tuple[tuple[int, int, int], ...], out: Path | None) -> None:
    """Search in libraries of random embeddings."""
    rows = [in_a_process(scan_one, *size, repeats) for size in sizes]
    write_report({"scan": rows}, LIBRARIES, out)


def scan_one(recordings: int, pieces: int, size: int, repeats: int) -> dict[str, Any]:
    """One library: made, opened with and without its cache, and searched."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "library.sqlite")
        made, _ = timed(lambda: make_library(path, recordings, pieces, size))
        store = Store(path)
        without_cache, _ = timed(lambda: take_snapshot(store))
        opened = [timed(lambda: open_library(path))[0] for _ in range(3)]
        snapshot = take_snapshot(store)
        figures = searched(snapshot, pieces, repeats)
        store.close()
        megabytes = path.stat().st_size / 1e6
    return {
        "recordings": recordings,
        "embeddings": recordings * pieces,
        "size": size,
        "library_megabytes": round(megabytes, 1),
        "seconds_to_make": round(made, 1),
        "seconds_to_open_without_cache": round(without_cache, 2),
        "seconds_to_open": round(statistics.median(opened), 3),
        **figures,
        "peak_rss_mib": round(peak_mib(), 1),
    }


def make_library(path: Path, recordings: int, pieces: int, size: int) -> None:
    """A library of random unit rows, 1,000 recordings in a transaction."""
    model = find_model("fourier")
    store = Store.create(path, model, size, PIECE, HOP)
    rng = np.random.default_rng(0)
    hpcp = np.ones((1, 12), np.float32)
    for begin in range(0, recordings, 1000):
        with store.writing():
            for number in range(begin, min(begin + 1000, recordings)):
                rows = rng.normal(size=(pieces, size)).astype(np.float32)
                rows /= np.linalg.norm(rows, axis=1, keepdims=True)
                place = store.add_sound(Sound(secrets.token_bytes(32), 1.0, hpcp, rows))
                store.put_file(File(Path(f"/{number}.wav"), place, f"{number}", "", "", 1, 1))
    store.compact()
    store.close()


def open_library(path: Path) -> Snapshot:
    store = Store(path)
    try:
        return take_snapshot(store)
    finally:
        store.close()


def searched(snapshot: Snapshot, pieces: int, repeats: int) -> dict[str, Any]:
    """Milliseconds of one query and of each of 100, beside products of NumPy on the same rows."""
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(QUERIES, snapshot.vectors.shape[1])).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    queries = [row[None] for row in drawn]
    rows = np.array(snapshot.vectors)
    block = 2**15

    def plain(columns: np.ndarray) -> None:
        for begin in range(0, len(rows), block):
            rows[begin : begin + block] @ columns

    steps: dict[str, Callable[[], object]] = {
        "one": lambda: snapshot.similarities(queries[:1]),
        "one_numpy": lambda: rows @ drawn[0],
        "many": lambda: snapshot.similarities(queries),
        "many_numpy": lambda: plain(drawn.T),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            seconds[name].append(timed(step)[0])
    ratios = {
        name: statistics.median(
            ours / theirs
            for ours, theirs in zip(seconds[name], seconds[f"{name}_numpy"], strict=True)
        )
        for name in ("one", "many")
    }
    best = {name: min(values) for name, values in seconds.items()}
    return {
        "one_query_ms": round(1e3 * best["one"], 2),
        "one_query_numpy_ms": round(1e3 * best["one_numpy"], 2),
        "one_query_over_numpy": round(ratios["one"], 2),
        "each_of_100_ms": round(1e3 * best["many"] / QUERIES, 3),
        "each_of_100_numpy_ms": round(1e3 * best["many_numpy"] / QUERIES, 3),
        "each_of_100_over_numpy": round(ratios["many"], 2),
    }


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what the function gives."""
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


# Accuracy


@main.command()
@click.argument("list_file", metavar="LIST")
@click.option("--data-dir", required=True)
@click.option("--model", default="fourier")
@click.option("--aligned", type=int, help="Recordings that are aligned; by default as find.")
@click.option("--no-alignment", is_flag=True)
@click.option("--seed", type=int, default=0)
@click.option("--out", type=click.Path(path_type=Path))
def accuracy(
    list_file: str,
    data_dir: str,
    model: str,
    aligned: int | None,
    no_alignment: bool,
    seed: int,
    out: Path | None,
) -> None:
    """Each recording of LIST is a query in turn."""
    tracks = read_tracks(list_file, data_dir)
    sources = [Source(track.path, track.song_id, track.version_id) for track in tracks]
    report: dict[str, Any] = {"list": Path(list_file).name, "model": model, "aligned": aligned}
    with tempfile.TemporaryDirectory() as folder:
        library = Library.create(Path(folder, "library.sqlite"), model)
        with library:
            library.add(sources, workers=1)
            with library._store.reading():
                shelf = library._shelf()
                for seconds in SECONDS:
                    name = "whole" if seconds is None else f"{seconds} s"
                    counts = (lambda vectors: 0) if no_alignment else length_of_shortlist
                    if aligned is not None:
                        counts = lambda vectors: aligned  # noqa: E731
                    report[name] = of_length(library, shelf, seconds, counts, seed)
                    click.echo(f"{name}: {summary(report[name])}", err=True)
    write_report(report, LIBRARIES, out)


def of_length(
    library: Library,
    shelf: Shelf,
    seconds: int | None,
    counts: Callable[[int], int],
    seed: int,
) -> dict[str, Any]:
    """Metrics of all ways of ranking, for queries of a length."""
    snapshot = shelf.snapshot
    numbers = [int(number) for number in snapshot.numbers]
    songs = np.array([shelf.files[number][0].song for number in numbers])
    wholes = snapshot.vectors[snapshot.starts[:-1]]
    rankings: dict[str, list[np.ndarray]] = {}
    spent = {"embedding": 0.0, "alignment": 0.0}
    for query in queries_of(library, shelf, seconds, seed):
        started = time.process_time()
        listed = shortlist(snapshot, query, len(numbers))
        spent["embedding"] += time.process_time() - started
        similar = snapshot.similarities([query.embeddings])[0]
        ways = {
            "embedding of the whole track": wholes @ query.embeddings[0],
            "windows": similar,
            "windows, hubs corrected": 2 * similar - snapshot.hubs,
        }
        aligned = counts(len(query.hpcp))
        if aligned:
            started = time.process_time()
            with one_thread():
                ways["aligned"] = realigned(shelf, query, listed, aligned)
            spent["alignment"] += time.process_time() - started
        for name, scores in ways.items():
            rankings.setdefault(name, []).append(np.asarray(scores, np.float32))
    found: dict[str, Any] = {
        name: metrics(np.stack(rows), songs).to_dict() for name, rows in rankings.items()
    }
    if "aligned" in rankings:
        found["thresholds"] = reached(np.stack(rankings["aligned"]), songs)
    for name, total in spent.items():
        found[f"{name}_cpu_ms_per_query"] = round(1e3 * total / len(numbers), 2)
    return found


def queries_of(library: Library, shelf: Shelf, seconds: int | None, seed: int) -> Iterator[Query]:
    """Each recording, or a cut of it at random, as a query of its own content."""
    embedder = library._embed()
    rng = np.random.default_rng(seed)
    digests = {number: digest for number, digest, _ in library._store.recordings()}
    for number in map(int, shelf.snapshot.numbers):
        hpcp = shelf.hpcp(number)
        if seconds is not None:
            length = min(len(hpcp), round(seconds / shelf.features.seconds_per_vector))
            start = int(rng.integers(len(hpcp) - length + 1))
            hpcp = hpcp[start : start + length]
        yield Query(hpcp, embed_pieces(embedder, hpcp, PIECE, HOP), digests[number])


def realigned(
    shelf: Shelf, query: Query, listed: list[tuple[int, float]], aligned: int
) -> np.ndarray:
    """Scores whose order is that of `find`: the aligned by their score, then the others."""
    scores = np.full(len(shelf.snapshot.numbers), -np.inf, np.float32)
    for rank, (place, _) in enumerate(listed):
        if rank < aligned:
            number = int(shelf.snapshot.numbers[place])
            scores[place] = align(query.hpcp, shelf.hpcp(number), shelf.features).score
        else:
            scores[place] = -rank
    return scores


def reached(scores: np.ndarray, songs: np.ndarray) -> list[dict[str, float]]:
    """For scores as thresholds: how many queries have a version, and a wrong song, that reach them.

    A query of a song that the library does not have would be answered with its wrong songs.
    """
    same = songs[:, None] == songs
    others = np.where(same, -np.inf, scores).max(axis=1)
    np.fill_diagonal(same, False)
    versions = np.where(same, scores, -np.inf).max(axis=1)
    has_version = same.any(axis=1)
    return [
        {
            "threshold": threshold,
            "versions": round(float((versions[has_version] >= threshold).mean()), 4),
            "false_alarms": round(float((others >= threshold).mean()), 4),
        }
        for threshold in THRESHOLDS
    ]


def metrics(scores: np.ndarray, songs: np.ndarray) -> Any:
    """Of the scores of all queries with all recordings, their own left out."""
    everyone = np.arange(len(songs))
    versions = [np.flatnonzero((songs == songs[i]) & (everyone != i)) for i in everyone]
    queries = [int(i) for i in everyone if len(versions[i])]
    ranks = [ranks_without_query(scores[i], i, versions[i]) for i in queries]
    return from_ranks(ranks, queries, tracks=len(songs), songs=len(set(songs)))


def summary(found: dict[str, Any]) -> str:
    parts = [f"{k} {v['map']:.3f}/{v['hit1']:.3f}" for k, v in found.items() if isinstance(v, dict)]
    return ", ".join(parts)


if __name__ == "__main__":
    main()
