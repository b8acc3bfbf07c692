"""Model and tracks to embeddings ``(N, D)``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np

from kinet.batches import first_vectors, fit_length
from kinet.config import PITCH_CLASSES
from kinet.errors import DataError
from kinet.layers import PitchRows
from kinet.tracks import Track


def embed_tracks(
    model: keras.Model,
    tracks: Sequence[Track],
    frames: int | None = None,
    batch_size: int = 32,
    progress: Callable[[int, int], object] | None = None,
) -> np.ndarray:
    """Embed the first `frames` vectors of each track.

    Parameters
    ----------
    model : keras.Model
        An embedder.
    tracks : sequence of Track
        Shorter tracks are padded with zeros at the end.
    frames : int, optional
        By default the length that the model was built for.
    batch_size : int
        Tracks that go through the network at once.
    progress : callable, optional
        Called with the number of tracks done and of all.

    Returns
    -------
    ndarray
        ``(N, D)`` float32 unit rows.

    Raises
    ------
    DataError
        If a track cannot be read or `frames` is not a length that the model takes.
    """
    frames = usable_frames(model, frames)
    size = min(batch_size, max(1, len(tracks)))
    rows = [np.zeros((0, model.output_shape[-1]), np.float32)]
    for start in range(0, len(tracks), size):
        batch = first_vectors(tracks[start : start + size], frames)
        rows.append(_embed_batch(model, batch, size))
        if progress:
            progress(start + len(batch), len(tracks))
    return np.concatenate(rows)


def embed_arrays(
    model: keras.Model, hpcp: Iterable[np.ndarray], frames: int | None, batch_size: int
) -> np.ndarray:
    """As `embed_tracks`, from arrays ``(T, 12)`` in memory."""
    frames = usable_frames(model, frames)
    fitted = [fit_length(check_hpcp(values), frames) for values in hpcp]
    rows = [np.zeros((0, model.output_shape[-1]), np.float32)]
    for start in range(0, len(fitted), batch_size):
        batch = np.stack(fitted[start : start + batch_size])
        rows.append(_embed_batch(model, batch, min(batch_size, len(fitted))))
    return np.concatenate(rows)


def _embed_batch(model: keras.Model, batch: np.ndarray, size: int) -> np.ndarray:
    """Embed up to `size` tracks; a smaller batch is filled up, so that one shape is compiled."""
    filled = np.resize(batch, (size, *batch.shape[1:]))
    return np.asarray(model.predict_on_batch(filled))[: len(batch)]


def check_hpcp(values: np.ndarray) -> np.ndarray:
    """`values` as an array, if it is HPCP.

    Raises
    ------
    DataError
        If it is not finite ``(T, 12)`` with T of at least 1.
    """
    array = np.asarray(values)
    if array.ndim != 2 or array.shape[1] != PITCH_CLASSES or not len(array):
        hint = ": transposed" if array.ndim == 2 and array.shape[0] == PITCH_CLASSES else ""
        raise DataError(f"HPCP is an array of shape {array.shape}{hint}; expected (T, 12)")
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise DataError(f"HPCP of type {array.dtype} has values that are not finite numbers")
    return array


def usable_frames(model: keras.Model, frames: int | None) -> int:
    """`frames`, or the length that the model was built for.

    Raises
    ------
    DataError
        If the model does not take `frames` vectors.
    """
    rows = next(layer for layer in model.layers if isinstance(layer, PitchRows))
    fixed = model.input_shape[1]
    if frames is None:
        return int(rows.frames)
    if fixed is not None and frames != fixed:
        raise DataError(
            f"T = {frames} vectors was asked for, but temporal attention ties this model to "
            f"T = {fixed}"
        )
    if frames < rows.minimum_frames:
        raise DataError(
            f"T = {frames} vectors was asked for; this model needs at least {rows.minimum_frames}"
        )
    return frames
