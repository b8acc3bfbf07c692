"""Markdown tables of figures; what is not there is "not measured"."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

NOT_MEASURED = "not measured"
Cell = Mapping[str, Any]


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; None becomes "not measured"."""
    lines = [headings, ["---"] * len(headings), *([_text(v) for v in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _text(value: object) -> str:
    return NOT_MEASURED if value is None else str(value)


def number(value: float | None, digits: int = 3) -> str | None:
    """`value` with so many significant digits, never as a power of ten."""
    if value is None:
        return None
    rounded = float(f"{value:.{digits}g}")
    decimals = len(f"{rounded:.12f}".rstrip("0").split(".")[1])
    return f"{rounded:,.{decimals}f}"


def times(value: float | None) -> str | None:
    """A ratio, with what stands for "times"."""
    return None if value is None else f"{number(value)} x"


def percent(value: float | None) -> str | None:
    """A share."""
    return None if value is None else f"{100 * value:.0f} %"


def first(cells: Iterable[Cell], **wanted: object) -> Cell:
    """The cell with these values that was measured; an empty one if there is none."""
    for cell in cells:
        if "failed" not in cell and all(cell.get(name) == v for name, v in wanted.items()):
            return cell
    return {}


def distinct(cells: Iterable[Cell], *names: str) -> list[tuple[Any, ...]]:
    """The combinations of values that occur, in the order of their first occurrence."""
    return list(dict.fromkeys(tuple(cell.get(name) for name in names) for cell in cells))


SIZE = ("attention", "channels", "vectors")
SETTINGS = ("backend", "precision", *SIZE)


def by_settings(cells: Sequence[Cell]) -> Iterator[tuple[str, list[Cell]]]:
    """The cells of each backend, precision and size of the network, under a heading."""
    for settings in distinct(cells, *SETTINGS):
        own = [c for c in cells if tuple(c.get(name) for name in SETTINGS) == settings]
        backend, precision, attention, channels, vectors = settings
        title = f"### {backend}, {precision}: {channels} channels, T = {vectors}"
        yield f"{title}, attention {attention}\n\n", own


def mean_of(cells: Sequence[Cell], name: str) -> float | None:
    """Mean of a figure; None without cells."""
    return statistics.mean(cell[name] for cell in cells) if cells else None


def machine_line(report: Mapping[str, Any]) -> str:
    """On what and with what a report was measured."""
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    return f"{machine['cpu']}, {machine['cores']} cores, {report['date']}; {versions}.\n"
