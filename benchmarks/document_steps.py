"""The section of ``docs/benchmarks.md`` that tells where the time of an embedding goes."""

from __future__ import annotations

from collections.abc import Sequence

from document_models import SETTINGS
from tables import Cell, distinct, number, table

HEADINGS = {
    "products_transformed": "products of transformed convolutions",
    "products_1x1": "products of 1x1 convolutions and head",
    "direct_convolutions": "direct convolutions",
    "passes_over_memory": "passes over memory",
}


def steps_section(cells: Sequence[Cell]) -> str:
    """Milliseconds per track by kind of step, and how fast the 1x1 convolutions are."""
    found = [c for c in cells if c["part"] == "steps" and "failed" not in c]
    parts = []
    for settings in distinct(found, *SETTINGS):
        own = [c for c in found if tuple(c[name] for name in SETTINGS) == settings]
        backend, precision, attention, channels, frames = settings
        title = f"### {backend}, {precision}: {channels} channels, T = {frames}"
        rows = [_row(cell) for cell in own]
        headings = ["model", "ms per track", *HEADINGS.values(), "between", "1x1, 1e9 /s"]
        parts.append(f"{title}, attention {attention}\n\n" + table(headings, rows))
    if not parts:
        return ""
    about = (
        "Milliseconds per track, one at a time, of the steps of the compiled network, from the "
        "profiler. Passes over memory are attention, activations, pooling and the sums that "
        "transform a convolution; between the steps the cores wait or call. Beside them the "
        "multiply-adds per second of the 1x1 convolutions.\n\n"
    )
    return "## Where the time goes\n\n" + about + "\n".join(parts)


def _row(cell: Cell) -> list[str | None]:
    spent = cell["milliseconds_of"]
    products = spent["products_1x1"]
    done = cell["multiply_adds_1x1"]
    return [
        f"{cell['block']} {cell['stages']} {cell['pitch_axis']}",
        number(cell["milliseconds"]),
        *(number(spent[kind]) for kind in HEADINGS),
        number(max(0.0, cell["milliseconds"] - sum(spent.values()))),
        number(done / (products / 1000) / 1e9) if done else "",
    ]
