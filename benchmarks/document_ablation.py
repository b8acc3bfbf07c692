"""The section that tells what each step of the fast form gives."""

from __future__ import annotations

from collections.abc import Sequence

from ablation import ALL, ORIGINAL, PIECES, TRANSFORMED
from tables import SIZE, Cell, distinct, models, name_of, number, of_model, table, times

STEPS = (
    *("12 rows", "folding", "joined attention", TRANSFORMED, "Fourier", "pitch Fourier"),
    *("minimal filtering", PIECES),
)
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
                gains = [times(cell["over"].get(name)) for name in (*STEPS, *OTHERS)]
                rate = number(cell["embeddings_per_second"][ALL])
                rows.append([name_of(block, stages), rate, *gains])
        title = f"### {backend}: {channels} channels, T = {vectors}, attention {attention}\n\n"
        parts.append(title + table(["model", "embeddings /s", *STEPS, *OTHERS], rows))
    about = (
        "How many times the fast form is as fast as the same without one step, in turns in one "
        "process, in batches; an empty place where the step changes nothing. Transformed "
        "convolutions are Fourier, pitch Fourier and minimal filtering together. Without "
        "attention the network comes with 23 rows; with attention 23 rows are another function. "
        "The last columns: how many times an OpenVINO file of the same network, and the "
        "original's structure one track at a time.\n\n"
    )
    return "## What each step gives\n\n" + about + "\n".join(parts) if parts else ""
