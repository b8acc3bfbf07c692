"""`kinet.library`: how fast it scans, grows, groups and reads, and what it finds. Writes JSON.

    python benchmarks/index.py scan --approximate --out benchmarks/results/index-scan.json
    python benchmarks/index.py add --out benchmarks/results/index-add.json
    python benchmarks/index.py pairs --out benchmarks/results/index-pairs.json
    python benchmarks/index.py groups --out benchmarks/results/index-groups.json
    python benchmarks/index.py folder --out benchmarks/results/index-folder.json
    python benchmarks/index.py accuracy LIST --data-dir DIR --model small \\
        --out benchmarks/results/index-accuracy-NAME.json
    python benchmarks/index.py calibrate PACK... --card kinet/weights/small.json

`accuracy` takes each recording of a list for a query, whole and as cuts of 10, 15, 30 and 60
seconds at random places; its own recording is not looked at. MAP, P@10, MR1 and hit@1 are those of
`kinet.evaluation` over the ranking of all other recordings. `calibrate` learns what scores mean,
from made versions of works that the model was not trained on.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import click
from index_accuracy import found_in
from index_calibration import learned, read_works
from index_growth import grouped, grown, paired, read_folder
from index_others import others
from index_speed import scan_one
from machine import write_report
from train_small import material_of

from kinet.files import write_text_atomically
from kinet.library import Library

LIBRARIES = ("numpy", "scipy", "keras", "jax", "tensorflow", "torch", "faiss-cpu", "usearch")


# Recordings, embeddings of each, and the numbers of one.
SIZES = ((1_000_000, 1, 128), (100_000, 10, 128))


@click.group()
def main() -> None:
    """Figures of libraries."""


@main.command()
@click.option("--repeats", type=int, default=9)
@click.option("--size", "sizes", type=(int, int, int), multiple=True, default=SIZES)
@click.option("--approximate", "is_approximate", is_flag=True, help="Build indexes beside it.")
@click.option("--out", type=click.Path(path_type=Path))
def scan(
    repeats: int, sizes: tuple[tuple[int, int, int], ...], is_approximate: bool, out: Path | None
) -> None:
    """Search in made-up libraries: recordings, embeddings of each, numbers of one."""
    rows = [scan_one(*size, repeats, others(is_approximate)) for size in sizes]
    write_report({"scan": rows}, LIBRARIES, out)


@main.command()
@click.option("--there", default=100_000, show_default=True)
@click.option("--more", default=10_000, show_default=True)
@click.option("--out", type=click.Path(path_type=Path))
def add(there: int, more: int, out: Path | None) -> None:
    """Add to a library, and compare the pages of its file."""
    write_report({"add": grown(there, more, 128)}, LIBRARIES, out)


@main.command()
@click.option("--size", type=(int, int, int), default=(100_000, 10, 128), show_default=True)
@click.option("--seconds", default=1800.0, show_default=True, help="Measure a part beyond that.")
@click.option("--out", type=click.Path(path_type=Path))
def pairs(size: tuple[int, int, int], seconds: float, out: Path | None) -> None:
    """Compare all embeddings with all, as `kinet duplicates` does first."""
    write_report({"pairs": paired(*size, seconds)}, LIBRARIES, out)


@main.command()
@click.option("--tracks", default=10_000, show_default=True)
@click.option("--out", type=click.Path(path_type=Path))
def groups(tracks: int, out: Path | None) -> None:
    """`kinet duplicates` with alignment of the candidates."""
    write_report({"groups": grouped(tracks)}, LIBRARIES, out)


@main.command()
@click.option("--files", default=20, show_default=True)
@click.option("--minutes", default=3.0, show_default=True)
@click.option("--model", default="small", show_default=True)
@click.option("--out", type=click.Path(path_type=Path))
def folder(files: int, minutes: float, model: str, out: Path | None) -> None:
    """Read a folder of made-up recordings into a library, on one core."""
    write_report({"folder": read_folder(files, minutes, model)}, LIBRARIES, out)


@main.command()
@click.argument("list_file", metavar="LIST")
@click.option("--data-dir", required=True)
@click.option("--model", default="fourier")
@click.option("--aligned", type=int, help="Recordings that are aligned; by default as find.")
@click.option("--no-alignment", is_flag=True)
@click.option("--seed", type=int, default=0)
@click.option("--out", type=click.Path(path_type=Path))
def accuracy(
    list_file: str,
    data_dir: str,
    model: str,
    aligned: int | None,
    no_alignment: bool,
    seed: int,
    out: Path | None,
) -> None:
    """Each recording of LIST is a query in turn."""
    report = {"list": Path(list_file).name, "model": model, "aligned": aligned}
    with (
        tempfile.TemporaryDirectory() as place,
        Library.create(Path(place, "library.sqlite"), model) as library,
    ):
        report |= found_in(library, list_file, data_dir, aligned, not no_alignment, seed)
    write_report(report, LIBRARIES, out)


@main.command()
@click.argument("packs", metavar="PACK...", nargs=-1, required=True, type=Path)
@click.option("--model", default="small")
@click.option("--seed", type=int, default=0)
@click.option("--card", type=Path, help="The card of the model, which keeps what is learned.")
def calibrate(packs: tuple[Path, ...], model: str, seed: int, card: Path | None) -> None:
    """Learn what scores mean from made versions of the works of PACK."""
    works = read_works(packs)
    with (
        tempfile.TemporaryDirectory() as place,
        Library.create(Path(place, "library.sqlite"), model) as library,
    ):
        calibration = learned(library, works, Path(place), seed)
    found = {
        "calibration": asdict(calibration),
        "calibrated_on": material_of([work.record for work in works]),
    }
    if card:
        whole = json.loads(card.read_text(encoding="utf-8")) | found
        write_text_atomically(card, json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    click.echo(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
