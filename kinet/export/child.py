"""What runs in a child process: ``python -m kinet.export.child JOB``.

A process has one Keras backend, and the one that can write a format is often not the caller's.
JOB is a folder with ``job.json``. What a task gives goes into the same folder.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kinet.errors import ExportError, KinetError
from kinet.export.formats import get_format
from kinet.export.network import Network, load_network

REPORT = "report.json"
ERROR = "error.json"
WRITE, REFERENCE = "write", "reference"


def main(folder: Path) -> int:
    """Do the tasks of a job; 0, or 3 after an expected error, which is then in ``error.json``."""
    job = json.loads((folder / "job.json").read_text())
    try:
        network, description = load_network(Path(job["model_file"]))
        if REFERENCE in job["tasks"]:
            store(folder / f"{REFERENCE}.npz", network.run(network.batches()))
        if WRITE in job["tasks"]:
            target = Path(job["target"])
            rows = write_and_run(network, description, job["format"], target, folder)
            store(folder / f"{WRITE}.npz", rows)
            (folder / REPORT).write_text(json.dumps({"dynamic_axes": network.dynamic_axes}))
    except KinetError as error:
        values = {"type": type(error).__name__, "message": str(error)}
        (folder / ERROR).write_text(json.dumps(values))
        return 3
    return 0


def write_and_run(
    network: Network, description: str, format_name: str, target: Path, scratch: Path
) -> list[np.ndarray]:
    """Write the file and embed the sample batches with it.

    Raises
    ------
    ExportError
        If the converter fails, or the library that runs the file.
    """
    form = get_format(format_name)
    module = importlib.import_module(form.module)
    step = "converted"
    try:
        module.write(network, target, description, scratch)
        step = "run after conversion"
        rows: list[np.ndarray] = module.run(target, network.batches())
    except Exception as error:  # foreign converters raise whatever they like
        # The whole story, for --debug, goes to stderr, which the parent keeps.
        sys.excepthook(type(error), error, error.__traceback__)
        lines = str(error).strip().splitlines() or ["no message"]
        raise ExportError(
            f"the model cannot be {step} to {form.title} ({type(error).__name__}: {lines[0]}); "
            "try another --format, or --debug for the whole message"
        ) from error
    return rows


def store(path: Path, rows: Sequence[np.ndarray]) -> None:
    """Keep the embeddings of the sample batches, in their order."""
    np.savez(path, *rows)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
