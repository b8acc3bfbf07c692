"""An exported file as an embedder, and what it says of itself."""

from __future__ import annotations

import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

from kinet.embeddings import Embedder
from kinet.errors import ExportError
from kinet.export.formats import FORMATS, Format


def load_export(path: str | Path) -> Embedder:
    """Load an exported file with the library that runs it, on the CPU.

    Parameters
    ----------
    path : path
        A ``.onnx``, ``.tflite`` or ``.xml`` file, or the folder of a SavedModel.

    Returns
    -------
    Embedder
        For `kinet.embeddings.embed_tracks`, in the precision that the file says.

    Raises
    ------
    ExportError
        If it is not an export of kinet's, or the library that runs it is not installed.

    Examples
    --------
    >>> embedder = load_export("models/a/best.xml")  # doctest: +SKIP
    >>> embedder.embed(np.zeros((16, 400, 12), np.float32)).shape  # doctest: +SKIP
    (16, 128)
    """
    said = read_export_metadata(path)
    form = _format_of(Path(path))
    try:
        embed = importlib.import_module(form.module).load(Path(path))
    except ImportError as error:
        raise _missing(path, error, form) from error
    vectors, axes = said["input"]["vectors"], said["input"]["dynamic"]
    return Embedder(
        embed=embed,
        size=said["output"]["size"],
        vectors=vectors,
        minimum_vectors=said["input"]["minimum_vectors"],
        fixed_vectors=None if "T" in axes else vectors,
    )


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
        features), ``plugins``, ``precision``, ``input`` (its name, axes, T) and ``output``.

    Raises
    ------
    ExportError
        If it is not an export of kinet's, or, for ONNX, onnxruntime is not installed.
    """
    path = Path(path)
    form = _format_of(path)
    try:
        text = importlib.import_module(form.module).read(path)
    except ImportError as error:
        raise _missing(path, error, form) from error
    except (OSError, ValueError, zipfile.BadZipFile, RuntimeError) as error:
        raise ExportError(f"{path} cannot be read ({error}); {_WANTED}") from error
    if not text:
        raise ExportError(f"{path} says nothing of kinet; {_WANTED}")
    values: dict[str, Any] = json.loads(text)
    return values


_WANTED = "expected a .onnx, .tflite or .xml file or a SavedModel folder that kinet exported"


def _format_of(path: Path) -> Format:
    form = next((f for f in FORMATS.values() if not f.is_folder and path.suffix == f.ending), None)
    if form is None and path.is_dir():
        form = FORMATS["savedmodel"]
    if form is None or not path.exists():
        raise ExportError(f"no export {path}; {_WANTED}")
    return form


def _missing(path: str | Path, error: ImportError, form: Format) -> ExportError:
    return ExportError(
        f"{path} cannot be read without {error.name}; "
        f'install it with: pip install "mulkinet[{form.extra}]"'
    )
