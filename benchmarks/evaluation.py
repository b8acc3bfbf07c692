"""Seconds and peak memory of `kinet.evaluation.evaluate` on seeded, clustered embeddings.

Run as `python benchmarks/evaluation.py --tracks 10547 --tracks 100000 --out FILE`. Every size runs
in a process of its own, so that one size's peak memory does not hide another's.
"""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import Any

import click
import numpy as np
from machine import in_a_process, peak_mib, write_report
from timing import in_turns, ratio, significant

from kinet.evaluation import evaluate

VERSIONS_PER_SONG = 6
SIZE = 128
NOISE = 2.0
LOOP_SECONDS = 1.0


def made_up(tracks: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (tracks, 128) float32 scattered around one centre per song, and the songs."""
    rng = np.random.default_rng(0)
    songs = np.arange(tracks) // VERSIONS_PER_SONG
    centres = rng.standard_normal((songs[-1] + 1, SIZE), dtype=np.float32)
    scatter = rng.standard_normal((tracks, SIZE), dtype=np.float32)
    return centres[songs] + NOISE * scatter, songs


def measure(tracks: int) -> dict[str, Any]:
    """Run once and tell seconds, memory and the result."""
    embeddings, songs = made_up(tracks)
    before = peak_mib()
    start = time.perf_counter()
    metrics = evaluate(embeddings, songs)
    seconds = time.perf_counter() - start
    return {
        "tracks": tracks,
        "seconds": round(seconds, 3),
        "peak_rss_mib": round(peak_mib(), 1),
        "peak_rss_mib_before": round(before, 1),
        "map": metrics.map,
        "p10": metrics.p10,
        "mr1": metrics.mr1,
    }


def double_loop(embeddings: np.ndarray, songs: np.ndarray) -> dict[str, float]:
    """The metrics by walking through every ranked list, as one would write them first."""
    units = embeddings.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    cosines = (units @ units.T).astype(np.float32)
    precisions, at_10, first = [], [], []
    for query in range(len(songs)):
        hits: list[int] = []
        rank = 0
        for track in np.argsort(-cosines[query], kind="stable"):
            if track == query:
                continue
            rank += 1
            if songs[track] == songs[query]:
                hits.append(rank)
        if hits:
            precisions.append(sum((i + 1) / r for i, r in enumerate(hits)) / len(hits))
            at_10.append(sum(r <= 10 for r in hits) / 10)
            first.append(hits[0])
    means = (float(np.mean(values)) for values in (precisions, at_10, first))
    return dict(zip(("map", "p10", "mr1"), means, strict=True))


def compare(tracks: int) -> dict[str, Any]:
    """Seconds of the double loop and how far its values are from those of `evaluate`.

    The loop makes no intervals, `evaluate` does.
    """
    embeddings, songs = made_up(tracks)
    expected, metrics = double_loop(embeddings, songs), evaluate(embeddings, songs)
    steps = {
        "loop": partial(double_loop, embeddings, songs),
        "evaluate": partial(evaluate, embeddings, songs),
    }
    times = in_turns(steps, LOOP_SECONDS)
    return {
        "tracks": tracks,
        "double_loop_seconds": significant(statistics.median(times["loop"])),
        "evaluate_seconds": significant(statistics.median(times["evaluate"])),
        "double_loop_over_evaluate": ratio(times["loop"], times["evaluate"]),
        "largest_difference": max(abs(getattr(metrics, k) - v) for k, v in expected.items()),
    }


@click.command()
@click.option(
    "--tracks",
    "sizes",
    type=click.IntRange(2),
    multiple=True,
    default=(10547, 100000),
    show_default=True,
    help="Length of the list; can be given several times.",
)
@click.option(
    "--loop",
    type=click.IntRange(2),
    default=10547,
    show_default=True,
    help="Length of the list on which a plain double loop is compared.",
)
@click.option("--out", type=click.Path(dir_okay=False), help="Write the JSON here, not to stdout.")
def command(sizes: tuple[int, ...], loop: int, out: str | None) -> None:
    """Measure ranking and metrics of lists of made-up embeddings."""
    report = {
        "what": f"kinet.evaluation.evaluate, {SIZE} values a track, {VERSIONS_PER_SONG} a song",
        "double_loop": in_a_process(compare, loop),
        "runs": [in_a_process(measure, size) for size in sizes],
    }
    write_report(report, ("numpy", "scipy"), out)


if __name__ == "__main__":
    command()
