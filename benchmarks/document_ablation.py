"""The section that tells what each step of the fast form gives."""

from __future__ import annotations

from collections.abc import Sequence

from ablation import ALL, ORIGINAL, PIECES, TRANSFORMED
from tables import SIZE, Cell, distinct, models, name_of, number, of_model, table, times

STEPS = (
    *("12 rows", "joined attention", TRANSFORMED, "Fourier", "pitch Fourier"),
    *("minimal filtering", PIECES),
)
ABOUT = ("model", "batch", "load", "embeddings /s")
OTHERS = ("OpenVINO float32", "OpenVINO bfloat16", ORIGINAL)


def ablation_section(cells: Sequence[Cell]) -> str:
    """A table for each backend and size of the network."""
    found = [c for c in cells if "failed" not in c]
    parts = []
    for backend, attention, channels, vectors in distinct(found, "backend", *SIZE):
        size = {"attention": attention, "channels": channels, "vectors": vectors}
        rows = []
        for block, stages in models():
            cell = of_model(found, block, stages, backend=backend, **size)
            if cell:
                gains = [_gain(cell, name) for name in (*STEPS, *OTHERS)]
                rate = number(cell["embeddings_per_second"][ALL])
                load = number(cell["load_average"])
                rows.append([name_of(block, stages), cell["batch"], load, rate, *gains])
        title = f"### {backend}: {channels} channels, T = {vectors}, attention {attention}\n\n"
        parts.append(title + table([*ABOUT, *STEPS, *OTHERS], rows))
    about = (
        "How many times the fast form is as fast as the same without one step, in turns in one "
        "process; in brackets by processor time, which other work on the machine disturbs less, "
        "but which does not see whether both cores are busy. The load is how many programs wanted "
        "the machine's cores at the start: the larger, the rougher the figures. An empty place is "
        "a step that changes nothing there. Transformed convolutions are Fourier, pitch Fourier "
        "and minimal filtering together. Without attention the network comes with 23 rows; with "
        "attention 23 rows are another function. The last columns: how many times an OpenVINO "
        "file of the same network, and the original's structure one track at a time.\n\n"
    )
    return "## What each step gives\n\n" + about + "\n".join(parts) if parts else ""


def _gain(cell: Cell, name: str) -> str | None:
    """How many times the whole is as fast, in brackets by processor time."""
    gain = times(cell["over"].get(name))
    spent = cell.get("processor_seconds", {})
    return f"{gain} ({number(spent[name] / spent[ALL])})" if gain and name in spent else gain
