"""Training in one process and in two: tracks a second of ``kinet train``, with all that it does.

The same batches, and the same losses to rounding. An epoch is what counts, with its validation and
its files; the first one, which compiles, does not.
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from machine import write_report
from timing import significant

from kinet.config import PITCH_CLASSES

SONGS, VERSIONS, VECTORS = 16, 4, 400
# Threads of every process, None for what JAX takes by itself; processes.
FORMS = ({"threads": 1, "processes": 1}, {"threads": 1, "processes": 2}, {"processes": 1})


@click.command()
@click.option("--block", default="wider")
@click.option("--stages", default=4)
@click.option("--channels", default=32)
@click.option("--batch-size", default=32, help="Of all processes together.")
@click.option("--epochs", default=5)
@click.option("--out", type=Path, help="JSON file; by default to stdout.")
def command(**settings: Any) -> None:
    """Train in one process and in two, one after the other."""
    out = settings.pop("out")
    forms = [{**form, **_measured(form, settings)} for form in FORMS]
    alone, two, threads = forms
    report = {
        "settings": {**settings, "tracks": SONGS * VERSIONS, "vectors": VECTORS},
        "forms": forms,
        "two_over_one": significant(two["tracks_per_second"] / alone["tracks_per_second"]),
        "two_over_threads": significant(two["tracks_per_second"] / threads["tracks_per_second"]),
        "largest_difference_of_a_loss": _difference(alone, two),
        "largest_difference_by_threads": _difference(alone, threads),
    }
    write_report(report, ("keras", "jax", "jaxlib", "numpy"), out)


def _difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    pairs = zip(one["losses"], other["losses"], strict=True)
    return significant(max(abs(a - b) / a for a, b in pairs), 2)


def _measured(form: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    if "threads" in form:
        environment["PJRT_NPROC"] = str(form["threads"])
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder))
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        options += [f"--processes={form['processes']}", f"--vectors={VECTORS}", "--tag=run"]
        subprocess.run(
            [sys.executable, "-m", "kinet.cli", "train", *options],
            cwd=folder,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        table = Path(folder, "log/run/history.csv").read_text()
    rows = list(csv.DictReader(table.splitlines()))
    seconds = [float(row["seconds"]) for row in rows[1:]]
    return {
        "seconds_of_an_epoch": [significant(value) for value in seconds],
        "tracks_per_second": significant(SONGS * VERSIONS / statistics.median(seconds)),
        "losses": [float(row["loss"]) for row in rows],
    }


def _write(folder: Path) -> None:
    """A training list, and a validation list of two songs."""
    rng = np.random.default_rng(0)
    for name in ("data", "meta"):
        (folder / name).mkdir()
    for part, songs in (("TRAIN", range(SONGS)), ("VAL", range(SONGS, SONGS + 2))):
        lines = []
        for song in songs:
            for version in range(VERSIONS):
                hpcp = rng.random((VECTORS, PITCH_CLASSES)).astype(np.float32)
                np.save(folder / "data" / f"{song}_{version}.npy", hpcp)
                lines.append(f"{song} {version}\n")
        (folder / "meta" / f"made-{part}").write_text("".join(lines))


if __name__ == "__main__":
    command()
