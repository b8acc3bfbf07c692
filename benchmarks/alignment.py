"""Alignment of all pairs of a list: metrics, chance, and milliseconds a pair.

    python benchmarks/alignment.py --list asap/ASAP-DEV asap/hpcp \\
        --out benchmarks/results/alignment-asap.json
    python benchmarks/alignment.py --vary --list anthems/ANTHEMS-DEV anthems/hpcp \\
        --out benchmarks/results/alignment-anthems.json

``--vary`` measures other settings too, on lists of up to 150 tracks.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import click
import numpy as np
from machine import write_report
from threadpoolctl import threadpool_limits
from timing import significant

from kinet.config import PITCH_CLASSES
from kinet.data.tracks import Track, read_tracks
from kinet.evaluation import ranks_without_query
from kinet.matching import align, paths, recurrence
from kinet.metrics import Metrics, from_ranks

FIRST = 400
SIZES = (120, 400)
SMALL_LIST = 150
SHARES = (50, 90, 95, 99)
# What differs from the settings of kinet: where it stands, and the value there.
VARIATIONS: Mapping[str, tuple[Any, str, Any]] = {
    "moments of 4 vectors": (recurrence, "MOMENT", 4),
    "moments of 9 vectors": (recurrence, "MOMENT", 9),
    "7 % neighbours": (recurrence, "_NEIGHBOURS", 0.07),
    "12 % neighbours": (recurrence, "_NEIGHBOURS", 0.12),
    "gaps cost 0.25": (paths, "_WHOLE", 4),
    "gaps cost 1": (paths, "_WHOLE", 1),
}


def key_of_means(a: np.ndarray, b: np.ndarray) -> int:
    """The usual optimal transposition index: the rotation under which mean vectors agree best."""
    means = a.mean(axis=0), b.mean(axis=0)
    return int(np.argmax([means[0] @ np.roll(means[1], by) for by in range(PITCH_CLASSES)]))


def longest(a: np.ndarray, b: np.ndarray, key: Any = None) -> float:
    """Qmax of two recordings in one key, in vectors."""
    rotation = (key or recurrence.common_key)(a, b)
    cells = recurrence.cross_recurrence(a, np.roll(b, rotation, axis=1))
    return float(paths.path_lengths(cells).max()) / paths._WHOLE


def all_pairs(hpcp: Sequence[np.ndarray], key: Any = None) -> np.ndarray:
    """`longest` of every pair; it is the same the other way round."""
    found = np.zeros((len(hpcp), len(hpcp)))
    pairs = list(itertools.combinations(range(len(hpcp)), 2))
    with click.progressbar(pairs, label="pairs", update_min_steps=100) as bar:
        for i, j in bar:
            found[i, j] = found[j, i] = longest(hpcp[i], hpcp[j], key)
    return found


def ranked(similarities: np.ndarray, songs: np.ndarray) -> Metrics:
    """Metrics of a matrix of similarities, the query removed."""
    everyone = np.arange(len(songs))
    versions = [np.flatnonzero((songs == songs[i]) & (everyone != i)) for i in everyone]
    queries = [int(i) for i in everyone if len(versions[i])]
    rows = similarities.astype(np.float32)
    ranks = [ranks_without_query(rows[i], i, versions[i]) for i in queries]
    return from_ranks(ranks, queries, tracks=len(songs), songs=len(set(songs)))


def measure(tracks: Sequence[Track], vary: bool) -> dict[str, Any]:
    """Accuracy and chance over all pairs of a list."""
    hpcp = [np.asarray(track.read(0, FIRST)) for track in tracks]
    songs = np.array([track.song_id for track in tracks])
    started = time.thread_time()
    found = all_pairs(hpcp)
    spent = time.thread_time() - started
    scores = found / _moments(hpcp)
    other = scores[songs[:, None] != songs]
    same = scores[(songs[:, None] == songs) & ~np.eye(len(songs), dtype=bool)]
    values = np.sqrt([len(x) for x in hpcp])
    pairs = len(hpcp) * (len(hpcp) - 1) / 2
    return {
        "tracks": len(tracks),
        "milliseconds_of_processor_a_pair": significant(1e3 * spent / pairs),
        "share of the shorter recording": ranked(scores, songs).to_dict(),
        "Qmax / sqrt(length of the candidate)": ranked(found / values, songs).to_dict(),
        "score_percentiles": {
            name: {str(share): round(float(np.percentile(x, share)), 3) for share in SHARES}
            for name, x in (("other songs", other), ("versions", same))
        },
        "map_of_variations": dict(_variations(hpcp, songs)) if vary else {},
    }


def _moments(hpcp: Sequence[np.ndarray]) -> np.ndarray:
    """By what the path is divided: moments of the shorter recording of each pair."""
    counts = np.array([len(x) - recurrence.MOMENT + 1 for x in hpcp])
    return np.minimum.outer(counts, counts)


def _variations(hpcp: Sequence[np.ndarray], songs: np.ndarray) -> Iterator[tuple[str, float]]:
    scores = all_pairs(hpcp, key_of_means) / _moments(hpcp)
    yield "key of mean vectors", round(ranked(scores, songs).map, 4)
    for name, (module, setting, value) in VARIATIONS.items():
        with mock.patch.object(module, setting, value):
            yield name, round(ranked(all_pairs(hpcp) / _moments(hpcp), songs).map, 4)


def speed(length: int, seconds: float) -> dict[str, Any]:
    """Milliseconds of one pair of recordings of so many vectors, whole and step by step."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((length, PITCH_CLASSES), np.float32) for _ in range(2))
    cells = recurrence.cross_recurrence(a, b)
    steps = {
        "align": partial(align, a, b),
        "common_key": partial(recurrence.common_key, a, b),
        "cross_recurrence": partial(recurrence.cross_recurrence, a, b),
        "path_lengths": partial(paths.path_lengths, cells),
    }
    spent = {name: significant(1e3 * _least(step, seconds)) for name, step in steps.items()}
    return {"vectors": length, "milliseconds_of_processor": spent}


def _least(step: Callable[[], object], budget: float) -> float:
    """Least processor time of a call, in seconds: what else the machine does disturbs it least."""
    started, times = time.perf_counter(), []
    while not times or time.perf_counter() - started < budget:
        before = time.thread_time()
        step()
        times.append(time.thread_time() - before)
    return min(times)


@click.command()
@click.option(
    "--list",
    "lists",
    nargs=2,
    multiple=True,
    metavar="LIST DATA-DIR",
    help="A list and the folder of its features; can be given several times.",
)
@click.option("--vary", is_flag=True, help="Measure other settings too, on small lists.")
@click.option("--seconds", default=2.0, show_default=True, help="For each step of the speed.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the JSON here, not to stdout.")
def command(
    lists: tuple[tuple[str, str], ...], vary: bool, seconds: float, out: str | None
) -> None:
    """Align all pairs of the first 400 vectors, on one core."""
    with threadpool_limits(1):
        report = {
            "what": f"kinet.matching, all pairs, first {FIRST} vectors, one thread",
            "speed": [speed(length, seconds) for length in SIZES],
            "lists": [
                {"list": Path(name).name, **measure(tracks, vary and len(tracks) <= SMALL_LIST)}
                for name, folder in lists
                if (tracks := read_tracks(name, folder))
            ],
        }
    write_report(report, ("numpy", "scipy"), out)


if __name__ == "__main__":
    command()
