"""Markdown tables of figures; what nothing was measured of is left out."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kinet.config import STAGE_COUNTS

Cell = Mapping[str, Any]
BLOCKS = ("simple", "bottleneck", "wider")


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; None becomes an empty place, a column of nothing else is left out."""
    rows = list(rows)
    kept = [i for i in range(len(headings)) if any(row[i] is not None for row in rows)]
    lines = [[str(headings[i]) for i in kept], ["---"] * len(kept)]
    lines += [["" if row[i] is None else str(row[i]) for i in kept] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


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


def models() -> list[tuple[str, int]]:
    """Blocks with their S; S = 1, where the blocks are one network, stands once."""
    own = [(block, stages) for block in BLOCKS for stages in STAGE_COUNTS if stages > 1]
    return [(BLOCKS[0], 1), *own]


def name_of(block: str, stages: int) -> str:
    """A model as readers see it."""
    return "S = 1" if stages == 1 else f"{block}, S = {stages}"


def of_model(cells: Iterable[Cell], block: str, stages: int, **wanted: object) -> Cell:
    """As `first`, of a model; of S = 1, which may stand there once per block, the middle one."""
    if stages > 1:
        return first(cells, block=block, stages=stages, **wanted)
    found = [cell for b in BLOCKS if (cell := first(cells, block=b, stages=1, **wanted))]
    return sorted(found, key=_rate)[len(found) // 2] if found else {}


def _rate(cell: Cell) -> float:
    return best_rate(cell) or cell.get("samples_per_second", 0.0)


def best_rate(cell: Cell) -> float | None:
    """Embeddings per second in the best batch."""
    if "best_batch" not in cell:
        return None
    rate: float = cell["embeddings_per_second"][cell["best_batch"]]
    return rate


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
    special = ", ".join(machine.get("instructions", ()))
    cpu = f"{machine['cpu']} with {special}" if special else machine["cpu"]
    return f"{cpu}, {machine['cores']} cores, {report['date']}; {versions}.\n"
