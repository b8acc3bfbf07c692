"""A model as ONNX, SavedModel, LiteRT or OpenVINO, run and compared before it counts.

The model is converted in a child process under the backend that does it best, TensorFlow where
it is installed, whichever trained the model. The file is run on made-up HPCP by the library that
its users will run it with. Its output is compared with that of the model under the caller's own
backend, on the CPU in float32, and the file takes its name only if they agree. In a narrower
precision they cannot: there the MAP of a list counts.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinet import errors
from kinet.backend import choose
from kinet.checkpoint import read_metadata
from kinet.data.batches import first_vectors
from kinet.data.tracks import Track
from kinet.errors import ExportError
from kinet.export.child import ERROR, REFERENCE, REPORT, TRACKS, WRITE
from kinet.export.comparing import MAP_LOSS, TOLERANCE, compare_maps, compare_rows
from kinet.export.exported import load_export, read_export_metadata
from kinet.export.formats import (
    FORMATS,
    FULL_PRECISION,
    Format,
    check_precision,
    choose_converter,
    get_format,
)
from kinet.export.placing import NEW, OLD, check_target, default_target, place, size, staging
from kinet.plugins import files_of
from kinet.weights import model_path

__all__ = [
    "FORMATS",
    "MAP_LOSS",
    "TOLERANCE",
    "Exported",
    "export",
    "load_export",
    "read_export_metadata",
]


@dataclass(frozen=True)
class Exported:
    """A finished export.

    Attributes
    ----------
    path : pathlib.Path
        The file, or the folder of a SavedModel; with OpenVINO the ``.xml``.
    format : str
        Its format.
    difference : float
        The largest difference between an embedding by the file and by the model, any coordinate
        of unit rows.
    rounding : float or None
        The largest difference between the model's own embeddings of the same inputs, one by one
        and together; None where the MAP was compared.
    spread : float
        The largest difference between two embeddings of the comparison: where it is not far
        above `difference`, the model hardly tells inputs apart and the comparison shows little.
    compared_with : str
        The backend under which the model was run.
    written_by : str
        The backend that held the model while it was converted.
    dynamic_axes : tuple of str
        ``("batch",)`` or ``("batch", "T")``.
    bytes : int
        Size of all its files.
    precision : str
        In which it computes.
    map, model_map : float or None
        MAP of the given tracks with the file, and with the model; None in float32.
    """

    path: Path
    format: str
    difference: float
    spread: float
    compared_with: str
    written_by: str
    dynamic_axes: tuple[str, ...]
    bytes: int
    precision: str = FULL_PRECISION
    rounding: float | None = None
    map: float | None = None
    model_map: float | None = None


def export(
    model_file: str | Path,
    format: str,
    out: str | Path | None = None,
    force: bool = False,
    *,
    precision: str = FULL_PRECISION,
    tracks: Sequence[Track] = (),
    allowed_map_loss: float = MAP_LOSS,
) -> Exported:
    """Write a model in another format, for HPCP ``(batch, T, 12)`` to unit rows ``(batch, D)``.

    Parameters
    ----------
    model_file : path
        A ``.keras`` file that kinet wrote, under any backend, or the name of a model that comes
        with kinet.
    format : {"onnx", "savedmodel", "litert", "openvino"}
        The format.
    out : path, optional
        By default next to the model: ``best.onnx``, ``best_savedmodel``, ``best.tflite``,
        ``best.xml`` with ``best.bin``; of a name in the current folder.
    force : bool
        Replace an export that is there.
    precision : {"float32", "bfloat16", "int8"}
        In which the file computes; below float32 for OpenVINO only.
    tracks : sequence of Track
        For a precision below float32: tracks with several versions of a song, whose MAP must not
        suffer. With int8 the ranges of all values are taken from some of them.
    allowed_map_loss : float
        By how much their MAP may be lower with the file than with the model.

    Returns
    -------
    Exported
        Where it is, how large, and how far from the model.

    Raises
    ------
    ExportError
        If format or precision cannot be written here, the target is there or not writable, or
        the file does not agree with the model; whatever was at the target is then unchanged.
    DataError
        If `tracks` cannot be read or ranked.
    CheckpointError
        If the model file is missing or damaged.
    BackendError
        If the caller's backend is not installed.

    Examples
    --------
    >>> export("models/a/best.keras", "onnx")  # doctest: +SKIP
    Exported(path=PosixPath('models/a/best.onnx'), format='onnx', difference=1.2e-07, ...)
    """
    form = get_format(format)
    check_precision(form, precision)
    source = model_path(model_file)
    metadata = read_metadata(source)
    vectors = metadata.model.vectors
    reduced = precision != FULL_PRECISION
    if reduced and not tracks:
        raise ExportError(
            f"{form.title} in {precision} was asked for without tracks to measure its MAP on; "
            "name a list with several versions of songs: --calibration-list LIST --data-dir DIR"
        )
    converter = choose_converter(form)
    caller = choose()
    target = Path(out) if out is not None else default_target(Path(model_file), form, precision)
    check_target(target, form, force)
    with staging(target) as folder:
        staged = folder / NEW / target.name
        job: dict[str, Any] = {"model_file": str(source.resolve()), "format": format}
        job |= {"target": str(staged.resolve()), "precision": precision}
        job |= {"plugins": [str(file) for file in files_of(metadata.plugins)]}
        if reduced:
            np.save(folder / TRACKS, first_vectors(tracks, vectors))
        # One process per backend; one does both where the backends are the same.
        backends = {converter.backend: [WRITE]}
        backends.setdefault(caller, []).append(REFERENCE)
        for backend, tasks in backends.items():
            _run_child(backend, {**job, "tasks": tasks}, folder, form)
        if reduced:
            songs = [track.song_id for track in tracks]
            found = compare_maps(folder, f"{precision} {form.title}", songs, allowed_map_loss)
        else:
            found = compare_rows(folder, form.title)
        axes = json.loads((folder / REPORT).read_text())["dynamic_axes"]
        check_target(target, form, force)  # conversion takes long enough for things to change
        place(form.files(staged), form.files(target), folder / OLD)
    return Exported(
        path=target,
        format=format,
        compared_with=caller,
        written_by=converter.backend,
        dynamic_axes=tuple(axes),
        bytes=size(form.files(target)),
        precision=precision,
        **dataclasses.asdict(found),
    )


def _run_child(backend: str, job: dict[str, Any], folder: Path, form: Format) -> None:
    """Do the tasks of `job` under `backend`, on the CPU, where float32 is float32."""
    (folder / "job.json").write_text(json.dumps(job))
    surroundings = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    # -P: a file keras.py or a folder onnx where the user stands is not what is meant.
    command = [sys.executable, "-P", "-m", "kinet.export.child", str(folder.resolve())]
    done = subprocess.run(
        command,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return
    report = folder / ERROR
    if report.is_file():
        values = json.loads(report.read_text())
        failure: Exception = getattr(errors, values["type"])(values["message"])
    else:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        failure = ExportError(
            f"the process that exports to {form.title} under {backend} ended with "
            f"{done.returncode} ({last}); -9 mostly means too little memory: close something"
        )
    failure.add_note(done.stderr)
    raise failure
