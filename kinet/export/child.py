"""What runs in a child process: ``python -m kinet.export.child JOB``.

A process has one Keras backend, and the one that can write a format is often not the caller's.
JOB is a folder with ``job.json``. What a task gives goes into the same folder.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinet.config import PITCH_CLASSES
from kinet.embeddings import Embedder, as_embedder
from kinet.errors import ExportError, KinetError
from kinet.export.formats import FULL_PRECISION, Format, get_format
from kinet.export.network import dynamic_axes, load_network, sample_batches
from kinet.plugins import import_file

REPORT = "report.json"
ERROR = "error.json"
TRACKS = "tracks.npy"
ROUNDING = "rounding.npy"
WRITE, REFERENCE = "write", "reference"
_BATCH = 16


@dataclass(frozen=True)
class Order:
    """What to write: in which format and precision, where, and what lies beside it.

    Attributes
    ----------
    form : Format
        The format.
    precision : str
        One of its precisions.
    target : pathlib.Path
        The file or folder to write.
    scratch : pathlib.Path
        A folder for what is in between.
    tracks : ndarray
        HPCP ``(N, T, 12)`` of real tracks; N is 0 where the precision needs none.
    """

    form: Format
    precision: str
    target: Path
    scratch: Path
    tracks: np.ndarray


def main(folder: Path) -> int:
    """Do the tasks of a job; 0, or 3 after an expected error, which is then in ``error.json``."""
    job = json.loads((folder / "job.json").read_text())
    try:
        for file in job["plugins"]:
            import_file(file)
        model, description = load_network(Path(job["model_file"]), job["precision"])
        embedder = as_embedder(model)
        tracks = _tracks(folder, embedder)
        made_up = len(sample_batches(embedder))
        if REFERENCE in job["tasks"]:
            rows = [np.asarray(embedder.embed(batch)) for batch in _batches(embedder, tracks)]
            store(folder, REFERENCE, rows, made_up)
            alone = [embedder.embed(row[None]) for row in sample_batches(embedder)[0]]
            np.save(folder / ROUNDING, np.abs(np.concatenate(alone) - rows[0]).max())
        if WRITE in job["tasks"]:
            form = get_format(job["format"])
            order = Order(form, job["precision"], Path(job["target"]), folder, tracks)
            rows = write_and_run(model, description, order)
            store(folder, WRITE, rows, made_up)
            (folder / REPORT).write_text(json.dumps({"dynamic_axes": dynamic_axes(embedder)}))
    except KinetError as error:
        values = {"type": type(error).__name__, "message": str(error)}
        (folder / ERROR).write_text(json.dumps(values))
        return 3
    return 0


def write_and_run(model: Any, description: str, order: Order) -> list[np.ndarray]:
    """Write the file and embed the sample batches, and then the tracks, with it.

    Raises
    ------
    ExportError
        If the converter fails, or the library that runs the file.
    """
    from kinet.inference.twelve_rows import with_twelve_rows

    form = order.form
    module = importlib.import_module(form.module)
    step = "converted"
    try:
        module.write(with_twelve_rows(model), order.target, description, order.scratch)
        if order.precision != FULL_PRECISION:
            module.reduce_precision(order.target, order.precision, order.tracks, order.scratch)
        step = "run after conversion"
        embed = module.load(order.target)
        return [embed(batch) for batch in _batches(as_embedder(model), order.tracks)]
    except Exception as error:  # foreign converters raise whatever they like
        # The whole story, for --debug, goes to stderr, which the parent keeps.
        sys.excepthook(type(error), error, error.__traceback__)
        lines = str(error).strip().splitlines() or ["no message"]
        raise ExportError(
            f"the model cannot be {step} to {form.title} ({type(error).__name__}: {lines[0]}); "
            "try another --format, or --debug for the whole message"
        ) from error


def _tracks(folder: Path, embedder: Embedder) -> np.ndarray:
    """The tracks of the job, ``(N, T, 12)``; none where it has none."""
    file = folder / TRACKS
    if not file.is_file():
        return np.zeros((0, embedder.vectors, PITCH_CLASSES), np.float32)
    return np.asarray(np.load(file, mmap_mode="r"))


def _batches(embedder: Embedder, tracks: np.ndarray) -> list[np.ndarray]:
    """The made-up batches and then the tracks."""
    return [
        *sample_batches(embedder),
        *(np.array(tracks[start : start + _BATCH]) for start in range(0, len(tracks), _BATCH)),
    ]


def store(folder: Path, task: str, rows: Sequence[np.ndarray], made_up: int) -> None:
    """Keep the embeddings of the `made_up` first batches, and apart from them those of tracks."""
    np.savez(folder / f"{task}.npz", *rows[:made_up])
    if rows[made_up:]:
        np.save(folder / f"{task}_{TRACKS}", np.concatenate(rows[made_up:]))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
