"""The page that compares networks trained alike on versions of scores."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tables import Cell, distinct, machine_line, models, name_of, number, table

ABOUT = """\
# Trained on versions of scores

Networks that saw the same works and the same number of versions of them, ranked on lists of real
tracks that none was trained on: the first 400 vectors of a track, one embedding, the query
removed, no descriptor beside it. The last epoch counts. mAP, with 95 % intervals over queries.
Made by `benchmarks/levers.py`. The budget is small: what is trained for longer comes out higher,
as the curve in [Models that come with kinet](../models.md) shows.
"""
FAMILY = "## Every block and S\n"
LEVERS = """\
## One lever at a time

Each line changes one setting of the first, or two. Means over seeds; in brackets from the lowest to
the highest end of the seeds' intervals.
"""
LEVER = ("block", "stages", "attention", "loss", "pooling", "channels", "head")


def training_page(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """All of it; nothing where nothing was measured."""
    if not reports:
        return ""
    parts = [ABOUT]
    for start, title, show in (
        ("training-family", FAMILY, _family),
        ("training-levers", LEVERS, _levers),
    ):
        own = [report for name, report in sorted(reports.items()) if name.startswith(start)]
        cells = [cell for report in own for cell in report["cells"] if "failed" not in cell]
        if cells:
            parts += [title, machine_line(own[0]), _budget(cells), show(cells)]
    return "\n".join(parts)


def _budget(cells: Sequence[Cell]) -> str:
    seen = " or ".join(f"{count:,}" for (count,) in distinct(cells, "samples"))
    return f"{seen} versions each.\n"


def _family(cells: Sequence[Cell]) -> str:
    lists = list(cells[0]["lists"])
    rows = []
    for block, stages in models():
        own = [c for c in cells if c["stages"] == stages and (stages == 1 or c["block"] == block)]
        for cell in own[:1]:
            rate = cell["samples"] / cell["processor_seconds"]
            found = [_with_interval(cell["lists"][name]) for name in lists]
            rows.append(
                [name_of(block, stages), f"{cell['parameters']:,}", *found, number(rate, 2)]
            )
    return table(["model", "parameters", *lists, "versions per processor second"], rows)


def _with_interval(metrics: Mapping[str, Any]) -> str:
    low, high = metrics["map_interval"]
    return f"{metrics['map']:.3f} ({low:.3f} to {high:.3f})"


def _levers(cells: Sequence[Cell]) -> str:
    lists = list(cells[0]["lists"])
    first = {name: cells[0].get(name) for name in LEVER}
    rows = []
    for settings in distinct(cells, *LEVER):
        own = [c for c in cells if tuple(c.get(name) for name in LEVER) == settings]
        changed = {
            name: value for name, value in zip(LEVER, settings, strict=True) if value != first[name]
        }
        named = (changed or first).items()
        shown = ", ".join(f"{name} {value}" for name, value in named if value is not None)
        rows.append([shown, len(own), *_over_seeds(own, lists)])
    return table(["setting", "seeds", *lists], rows)


def _over_seeds(cells: Sequence[Cell], lists: Sequence[str]) -> Iterator[str]:
    for name in lists:
        own = [cell["lists"][name] for cell in cells]
        mean = statistics.mean(metrics["map"] for metrics in own)
        low = min(metrics["map_interval"][0] for metrics in own)
        high = max(metrics["map_interval"][1] for metrics in own)
        yield f"{mean:.3f} ({low:.3f} to {high:.3f})"
