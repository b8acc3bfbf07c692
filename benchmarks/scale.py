"""What many recordings cost, and how search grows with them. Writes JSON for ``docs/scale.md``.

    python benchmarks/scale.py costs --out benchmarks/results/scale-costs.json
    python benchmarks/scale.py search --out benchmarks/results/scale-search.json

`search` needs 8 GB of memory, numba, and for what stands beside it faiss-cpu, usearch and PyTorch,
where they are installed.
"""

from __future__ import annotations

from pathlib import Path

import click
from machine import in_a_process, write_report
from scale_costs import measured
from scale_search import searched

LIBRARIES = ("numpy", "numba", "faiss-cpu", "usearch", "torch", "keras", "tensorflow", "jax")
COUNTS = (10_000, 31_623, 100_000, 316_228, 1_000_000, 3_162_278, 10_000_000)


@click.group()
def main() -> None:
    """Figures of libraries that are large."""


@main.command()
@click.option("--tracks", default=200, show_default=True)
@click.option("--model", default="small", show_default=True)
@click.option("--out", type=click.Path(path_type=Path))
def costs(tracks: int, model: str, out: Path | None) -> None:
    """Seconds and bytes of a recording."""
    write_report({"costs": in_a_process(measured, tracks, model)}, LIBRARIES, out)


@main.command()
@click.option("--rows", "counts", type=int, multiple=True, default=COUNTS)
@click.option("--size", default=128, show_default=True, help="Numbers of a row.")
@click.option("--model", default="small", show_default=True)
@click.option("--repeats", default=5, show_default=True)
@click.option("--out", type=click.Path(path_type=Path))
def search(counts: tuple[int, ...], size: int, model: str, repeats: int, out: Path | None) -> None:
    """Search among rows that are drawn like embeddings of made versions."""
    found = in_a_process(searched, model, size, counts, repeats)
    write_report({"search": found}, LIBRARIES, out)


if __name__ == "__main__":
    main()
