"""The section that tells where the time of an embedding goes."""

from __future__ import annotations

from collections.abc import Sequence

from tables import Cell, by_settings, models, name_of, number, of_model, table

HEADINGS = {
    "products_transformed": "products of transformed convolutions and attention",
    "products_1x1": "products of 1x1 convolutions and head",
    "direct_convolutions": "direct convolutions",
    "passes_over_memory": "passes over memory",
}


def steps_section(cells: Sequence[Cell]) -> str:
    """Milliseconds per track by kind of step, and how fast the 1x1 convolutions are."""
    found = [c for c in cells if c["part"] == "steps" and "failed" not in c]
    headings = ["model", "ms per track", *HEADINGS.values(), "rest", "1x1, 1e9 /s"]
    parts = []
    for title, own in by_settings(found):
        rows = [_row(cell) for model in models() if (cell := of_model(own, *model))]
        parts.append(title + table(headings, rows))
    if not parts:
        return ""
    about = (
        "Milliseconds per track, one at a time and under the profiler, which slows it, of the "
        "steps of the compiled network. Passes over memory are attention, activations, pooling "
        "and the sums that transform a convolution; the rest is what no step accounts for: calls "
        "and waiting. The last column has the multiply-adds per second of the 1x1 convolutions.\n\n"
    )
    return "## Where the time goes\n\n" + about + "\n".join(parts)


def _row(cell: Cell) -> list[str | None]:
    spent = cell["milliseconds_of"]
    products = spent["products_1x1"]
    done = cell["multiply_adds_1x1"]
    return [
        name_of(cell["block"], cell["stages"]),
        number(cell["milliseconds"]),
        *(number(spent[kind]) for kind in HEADINGS),
        number(cell["milliseconds"] - sum(spent.values())),
        number(done / (products / 1000) / 1e9) if done and products else "",
    ]
