"""What a library finds: rankings of all queries of a list, and how sure it is of its answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import click
import numpy as np

from kinet.data.tracks import read_tracks
from kinet.evaluation import ranks_without_query
from kinet.extraction.sources import Source
from kinet.library import Library
from kinet.library.finding import Shelf, compared, one_thread
from kinet.library.pieces import HOP, PIECE, embed_pieces
from kinet.library.shortlisting import Query, length_of_shortlist, shortlist
from kinet.metrics import from_ranks

SECONDS: tuple[int | None, ...] = (None, 60, 30, 15, 10)
THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8)
# Parts of the range of probabilities, of which it is counted how many pairs are versions.
BINS = 10


def found_in(
    library: Library,
    list_file: str,
    data_dir: str,
    aligned: int | None,
    is_aligned: bool,
    seed: int,
) -> dict[str, Any]:
    """Of an empty library: what it finds of a list, for queries of all lengths."""
    tracks = read_tracks(list_file, data_dir)
    library.add([Source(t.path, t.song_id, t.version_id) for t in tracks], workers=1)
    counts = length_of_shortlist if aligned is None else lambda vectors: aligned
    report = {}
    with library._store.reading():
        shelf = library._shelf()
        for seconds in SECONDS:
            name = "whole" if seconds is None else f"{seconds} s"
            own = counts if is_aligned else lambda vectors: 0
            report[name] = of_length(library, shelf, seconds, own, seed)
            click.echo(f"{name}: {summary(report[name])}", err=True)
    return report


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
    sure: list[tuple[float, bool]] = []
    spent = {"embedding": 0.0, "alignment": 0.0}
    for own, query in queries_of(library, shelf, seconds, seed):
        started = time.process_time()
        listed = shortlist(snapshot, query, len(numbers))
        spent["embedding"] += time.process_time() - started
        similar = snapshot.similarities([query.embeddings])[0]
        ways = {
            "embedding of the whole track": wholes @ query.embeddings[0],
            "windows": similar,
            "windows, hubs corrected": -query.behind(similar, snapshot.hubs),
        }
        aligned = counts(len(query.hpcp))
        if aligned:
            started = time.process_time()
            with one_thread():
                matches = {p: compared(shelf, query.hpcp, p, s) for p, s in listed[:aligned]}
            spent["alignment"] += time.process_time() - started
            ways["aligned"] = realigned(listed, {p: m.score for p, m in matches.items()})
            if shelf.calibration:
                probable = {p: m.confidence for p, m in matches.items()}
                ways["aligned, by probability"] = realigned(listed, probable)
                sure += [(each, bool(songs[p] == songs[own])) for p, each in probable.items()]
        for name, scores in ways.items():
            rankings.setdefault(name, []).append(np.asarray(scores, np.float32))
    found: dict[str, Any] = {
        name: metrics(np.stack(rows), songs).to_dict() for name, rows in rankings.items()
    }
    if "aligned" in rankings:
        found["thresholds"] = reached(np.stack(rankings["aligned"]), songs)
    if sure:
        by_probability = np.stack(rankings["aligned, by probability"])
        found["probabilities"] = reached(by_probability, songs)
        found["reliability"] = reliability(*map(np.array, zip(*sure, strict=True)))
    for name, total in spent.items():
        found[f"{name}_cpu_ms_per_query"] = round(1e3 * total / len(numbers), 2)
    return found


def queries_of(
    library: Library, shelf: Shelf, seconds: int | None, seed: int, every: int = 1
) -> Iterator[tuple[int, Query]]:
    """Every so many recordings, or cuts of them at random, as queries of their own content.

    With their places.
    """
    embedder = library._embed()
    rng = np.random.default_rng(seed)
    digests = {number: digest for number, digest, _ in library._store.recordings()}
    for place, number in list(enumerate(map(int, shelf.snapshot.numbers)))[::every]:
        hpcp = shelf.hpcp(number)
        if seconds is not None:
            length = min(len(hpcp), round(seconds / shelf.features.seconds_per_vector))
            start = int(rng.integers(len(hpcp) - length + 1))
            hpcp = hpcp[start : start + length]
        yield place, Query(hpcp, embed_pieces(embedder, hpcp, PIECE, HOP), digests[number])


def realigned(listed: list[tuple[int, float]], aligned: dict[int, float]) -> np.ndarray:
    """Scores whose order is that of `find`: the aligned by their own, then the others as listed.

    Of the query itself, which is not listed, nothing.
    """
    scores = np.full(len(listed) + 1, -np.inf, np.float32)
    for rank, (place, _) in enumerate(listed):
        scores[place] = aligned.get(place, -1 - rank)
    return scores


def reliability(probabilities: np.ndarray, is_version: np.ndarray) -> dict[str, Any]:
    """How often pairs that are given a probability are versions, and the Brier score."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    return {
        "pairs": len(probabilities),
        "versions": int(is_version.sum()),
        "brier": round(float(np.mean((probabilities - is_version) ** 2)), 4),
        "brier_of_their_share": round(float(np.var(is_version)), 4),
        "bins": [
            {
                "from": each / BINS,
                "pairs": int((bins == each).sum()),
                "mean_probability": round(float(probabilities[bins == each].mean()), 4),
                "versions": round(float(is_version[bins == each].mean()), 4),
            }
            for each in range(BINS)
            if (bins == each).any()
        ],
    }


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
    ways = {k: v for k, v in found.items() if isinstance(v, dict) and "map" in v}
    parts = [f"{k} {v['map']:.3f}/{v['hit1']:.3f}" for k, v in ways.items()]
    return ", ".join(parts)
