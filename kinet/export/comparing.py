"""Whether a file that was written stands for its model: by its rows, or by the MAP of a list."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kinet.errors import ExportError
from kinet.evaluation import evaluate
from kinet.export.child import REFERENCE, ROUNDING, TRACKS, WRITE

# Of any coordinate of unit rows, in float32.
TOLERANCE = 1e-4
# Where a model by itself differs by more than that is worth, between one batch and another, its
# file may differ this many times as much: order of summation differs more between two libraries.
ROUNDINGS = 5
# By how much the MAP of a list may be lower with a file in a narrower precision.
MAP_LOSS = 0.005


@dataclass(frozen=True)
class Comparison:
    """A file beside its model, on the same inputs.

    Attributes
    ----------
    difference, spread : float
        The largest difference between file and model, and between any two inputs.
    rounding : float or None
        The largest difference between the model and itself, with the inputs one by one.
    map, model_map : float or None
        MAP of the tracks by the file and by the model; None where there were none.
    """

    difference: float
    spread: float
    rounding: float | None = None
    map: float | None = None
    model_map: float | None = None


def compare_rows(folder: Path, title: str) -> Comparison:
    """Compare the embeddings of made-up inputs.

    Raises
    ------
    ExportError
        If any coordinate differs by more than `TOLERANCE`, and by more than `ROUNDINGS` times what
        the model differs by from itself.
    """
    written, reference = (_random_rows(folder / f"{task}.npz") for task in (WRITE, REFERENCE))
    rounding = float(np.load(folder / ROUNDING))
    found = dataclasses.replace(_comparison(written, reference, title), rounding=rounding)
    allowed = max(TOLERANCE, ROUNDINGS * rounding)
    if not found.difference <= allowed:  # not >, which NaN would pass
        raise ExportError(
            f"the {title} file differs from the model by {found.difference:.1e}; allowed: "
            f"{allowed:.1e}, the model itself rounds by {rounding:.1e}; nothing was "
            "put in place; try another --format"
        )
    return found


def compare_maps(folder: Path, title: str, songs: Sequence[str], allowed: float) -> Comparison:
    """Compare the embeddings of tracks, and the MAP that they give.

    Raises
    ------
    ExportError
        If the MAP is lower by more than `allowed`, or an embedding is not finite.
    DataError
        If the tracks cannot be ranked.
    """
    written, reference = (np.load(folder / f"{task}_{TRACKS}") for task in (WRITE, REFERENCE))
    found = _comparison(written, reference, title)
    if not np.isfinite(found.difference):
        raise ExportError(
            f"the {title} file gives embeddings that are not finite; nothing was put in place; "
            "try another --precision"
        )
    by_file, by_model = (float(evaluate(rows, songs).map) for rows in (written, reference))
    if by_model - by_file > allowed:
        raise ExportError(
            f"the {title} file has MAP {by_file:.4f} on {len(songs)} tracks, the model "
            f"{by_model:.4f}: {by_model - by_file:.4f} less; allowed: {allowed:g}; nothing was "
            "put in place; try another --precision, or allow more with --allowed-map-loss"
        )
    return dataclasses.replace(found, map=by_file, model_map=by_model)


def _comparison(written: np.ndarray, reference: np.ndarray, title: str) -> Comparison:
    if written.shape != reference.shape:
        raise ExportError(
            f"the {title} file gives embeddings of shape {written.shape}, the model of "
            f"{reference.shape}; nothing was put in place"
        )
    return Comparison(
        difference=float(np.abs(written - reference).max()),
        spread=float(np.ptp(reference, axis=0).max()),
    )


def _random_rows(path: Path) -> np.ndarray:
    with np.load(path) as arrays:
        return np.concatenate([arrays[name] for name in arrays.files])
