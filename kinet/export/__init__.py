"""A model as ONNX, SavedModel, LiteRT or OpenVINO, run and compared before it counts.

The model is converted in a child process under the backend that does it best, TensorFlow where
it is installed, whichever trained the model. The file is run on random HPCP by the library that
its users will run it with. Its output is compared with that of the model under the caller's own
backend, on the CPU in float32, and the file takes its name only if they agree.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinet import errors
from kinet.backend import choose
from kinet.checkpoint import read_metadata
from kinet.errors import ExportError
from kinet.export.formats import FORMATS, Format, choose_road, get_format
from kinet.export.placing import check_target, default_target, place, size, staging

__all__ = ["FORMATS", "TOLERANCE", "Exported", "export", "read_export_metadata"]

TOLERANCE = 1e-4


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
    """

    path: Path
    format: str
    difference: float
    spread: float
    compared_with: str
    written_by: str
    dynamic_axes: tuple[str, ...]
    bytes: int


def export(
    model_file: str | Path, format: str, out: str | Path | None = None, force: bool = False
) -> Exported:
    """Write a model in another format, for HPCP ``(batch, T, 12)`` to unit rows ``(batch, D)``.

    Parameters
    ----------
    model_file : path
        A ``.keras`` file that kinet wrote, under any backend.
    format : {"onnx", "savedmodel", "litert", "openvino"}
        The format.
    out : path, optional
        By default next to the model: ``best.onnx``, ``best_savedmodel``, ``best.tflite``,
        ``best.xml`` with ``best.bin``.
    force : bool
        Replace an export that is there.

    Returns
    -------
    Exported
        Where it is, how large, and how far from the model.

    Raises
    ------
    ExportError
        If the format cannot be written here, the target is there or not writable, or the file
        does not agree with the model; whatever was at the target is then unchanged.
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
    read_metadata(model_file)
    road = choose_road(form)
    caller = choose()
    target = Path(out) if out is not None else default_target(Path(model_file), form)
    check_target(target, form, force)
    with staging(target) as folder:
        staged = folder / "new" / target.name
        for name in ("new", "old"):
            (folder / name).mkdir()
        job = {"model_file": str(Path(model_file).resolve()), "format": format}
        job["target"] = str(staged.resolve())
        # One process per backend; one does both where the backends are the same.
        backends = {road.backend: ["write"]}
        backends.setdefault(caller, []).append("reference")
        for backend, tasks in backends.items():
            _run_child(backend, {**job, "tasks": tasks}, folder, form)
        difference, spread = _compare(folder, form)
        axes = json.loads((folder / "report.json").read_text())["dynamic_axes"]
        check_target(target, form, force)  # conversion takes long enough for things to change
        place(form.files(staged), form.files(target), folder / "old")
    return Exported(
        path=target,
        format=format,
        difference=difference,
        spread=spread,
        compared_with=caller,
        written_by=road.backend,
        dynamic_axes=tuple(axes),
        bytes=size(form.files(target)),
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
    report = folder / "error.json"
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


def _compare(folder: Path, form: Format) -> tuple[float, float]:
    """The largest difference between file and model, and between any two inputs.

    Raises
    ------
    ExportError
        If file and model do not agree.
    """
    written, reference = _rows(folder / "write.npz"), _rows(folder / "reference.npz")
    if written.shape != reference.shape:
        raise ExportError(
            f"the {form.title} file gives embeddings of shape {written.shape}, the model of "
            f"{reference.shape}; nothing was put in place"
        )
    difference = float(np.abs(written - reference).max())
    if not difference <= TOLERANCE:  # not >, which NaN would pass
        raise ExportError(
            f"the {form.title} file differs from the model by {difference:.1e}; allowed: "
            f"{TOLERANCE:.0e}; nothing was put in place; try another --format"
        )
    return difference, float(np.ptp(reference, axis=0).max())


def _rows(path: Path) -> np.ndarray:
    with np.load(path) as arrays:
        return np.concatenate([arrays[name] for name in arrays.files])


def read_export_metadata(path: str | Path) -> dict[str, Any]:
    """What an exported file says of itself.

    Parameters
    ----------
    path : path
        A ``.onnx``, ``.tflite`` or ``.xml`` file, or the folder of a SavedModel.

    Returns
    -------
    dict
        ``kinet`` (version), ``model`` and ``features`` (settings), ``fingerprint`` (of the
        features), ``plugins``, ``input`` (its name, axes, T) and ``output``.

    Raises
    ------
    ExportError
        If it is not an export of kinet's, or, for ONNX, onnxruntime is not installed.
    """
    path = Path(path)
    form = next((f for f in FORMATS.values() if not f.is_folder and path.suffix == f.ending), None)
    if form is None and path.is_dir():
        form = FORMATS["savedmodel"]
    wanted = "expected a .onnx, .tflite or .xml file or a SavedModel folder that kinet exported"
    if form is None or not path.exists():
        raise ExportError(f"no export {path}; {wanted}")
    try:
        text = importlib.import_module(form.module).read(path)
    except ImportError as error:
        raise ExportError(
            f"{path} cannot be read without {error.name}; "
            f'install it with: pip install "mulkinet[{form.extra}]"'
        ) from error
    except (OSError, ValueError, zipfile.BadZipFile, RuntimeError) as error:
        raise ExportError(f"{path} cannot be read ({error}); {wanted}") from error
    if not text:
        raise ExportError(f"{path} says nothing of kinet; {wanted}")
    values: dict[str, Any] = json.loads(text)
    return values
