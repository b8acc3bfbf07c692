"""The page that tells how well alignment finds versions, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tables import machine_line, number, table

from kinet.metrics import TITLES

ABOUT = """\
# Alignment

`kinet.align` on all pairs of a list, the first 400 vectors of each recording, the query removed;
made by `benchmarks/alignment.py`. The settings, which kinet has as constants, were chosen by
looking at these lists: on others the figures can be lower.
"""
BASELINE = (
    "Essentia's alignment (optimal transposition index, cross recurrence, Qmax) was measured "
    "elsewhere on the same features and lists: mAP 0.926 on ASAP-DEV at about 30 ms a pair, 0.460 "
    "on ANTHEMS-DEV."
)
CHANCE = """\
## Scores by chance

The score is how much of the shorter recording the longest path covers. So many of a hundred pairs
have at most this score. kinet says so where a score is below the 99th percentile of other songs in
ANTHEMS-DEV, whose recordings are short: the shorter they are, the higher is chance.
"""
SPEED = """\
## Milliseconds a pair

Of processor time on one core, the least of many calls, on made-up recordings of equal length. The
score needs the last three columns. Of `align` the rest is tracing the path and looking for further
passages.
"""
VARIED = """\
## Other settings

mAP with one setting changed.
"""


def alignment_page(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """All of it; nothing where nothing was measured."""
    if not reports:
        return ""
    lists = [found for report in reports.values() for found in report["lists"]]
    parts = [ABOUT, machine_line(next(iter(reports.values())))]
    parts += [table(["list", "score", *TITLES], _accuracy(lists)), BASELINE + "\n"]
    parts += [CHANCE, table(["list", "pairs", "50", "90", "95", "99"], _chance(lists))]
    parts += [SPEED, _speed(reports)]
    if varied := [found for found in lists if found["map_of_variations"]]:
        parts += [VARIED, table(["list", "setting", "mAP"], _varied(varied))]
    return "\n".join(parts)


def _accuracy(lists: list[Mapping[str, Any]]) -> Iterator[list[object]]:
    for found in lists:
        for name in ("share of the shorter recording", "Qmax / sqrt(length of the candidate)"):
            values = [f"{found[name][key]:.3f}" for key in TITLES.values()]
            yield [f"{found['list']}, {found['tracks']} recordings", name, *values]


def _chance(lists: list[Mapping[str, Any]]) -> Iterator[list[object]]:
    for found in lists:
        for name, shares in found["score_percentiles"].items():
            yield [found["list"], name, *(f"{value:.2f}" for value in shares.values())]


def _speed(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """The least of all reports: they were measured one after the other on one machine."""
    least: dict[tuple[int, str], float] = {}
    for report in reports.values():
        for found in report["speed"]:
            for step, value in found["milliseconds_of_processor"].items():
                key = (found["vectors"], step)
                least[key] = min(value, least.get(key, value))
    steps = list(dict.fromkeys(step for _, step in least))
    lengths = list(dict.fromkeys(length for length, _ in least))
    rows = [[length, *(number(least[length, step]) for step in steps)] for length in lengths]
    return table(["vectors", *(f"`{step}`" for step in steps)], rows)


def _varied(lists: list[Mapping[str, Any]]) -> Iterator[list[object]]:
    for found in lists:
        whole = found["share of the shorter recording"]["map"]
        yield [found["list"], "as it is", f"{whole:.3f}"]
        for name, value in found["map_of_variations"].items():
            yield [found["list"], name, f"{value:.3f}"]
