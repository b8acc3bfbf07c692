"""Model and tracks to embeddings ``(N, D)``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kinet.backend import can_fuse, compiled_for_inference, on_cpu, tracks_at_once
from kinet.batches import first_vectors, fit_length
from kinet.config import PITCH_CLASSES
from kinet.errors import DataError
from kinet.tracks import Track

if TYPE_CHECKING:
    import keras

# While one piece waits for the small steps between convolutions, another keeps the cores busy.
_STREAMS = 2
# A network with at most these, as all of the family with S = 1, is so short that what every call
# costs counts more than the caches (measured).
_FEW_CONVOLUTIONS = 3


@dataclass(frozen=True)
class Embedder:
    """What embeds batches: a compiled network, or an exported file.

    Attributes
    ----------
    embed : callable
        From HPCP ``(B, T, 12)`` float32 to unit rows ``(B, D)``.
    size : int
        D.
    frames, minimum_frames : int
        The T that it was trained for, and the least.
    fixed_frames : int or None
        The only T that it takes; None where any will do from `minimum_frames`.
    """

    embed: Callable[[np.ndarray], np.ndarray]
    size: int
    frames: int
    minimum_frames: int
    fixed_frames: int | None


def fast_embedder(model: keras.Model) -> Embedder:
    """The inference form of a network, compiled: to embed many tracks with weights that stay.

    Making it takes seconds, as does the first batch of every shape; for a few tracks the network
    itself will do.

    Parameters
    ----------
    model : keras.Model
        An embedder; it is left as it is. What is trained later does not reach the result.

    Returns
    -------
    Embedder
        For `embed_tracks` and `embed_arrays`.

    Examples
    --------
    >>> import kinet
    >>> model = kinet.build("simple", 1, channels=8, attention=(), embedding_size=16)
    >>> embedder = fast_embedder(model)
    >>> embed_arrays(embedder, [np.ones((300, 12)), np.ones((500, 12))], None, 2).shape
    (2, 16)
    """
    from kinet.attended import attention_joined
    from kinet.folding import inference_model
    from kinet.transformed import transformed_convolutions, transformed_model

    fast = attention_joined(inference_model(model))
    if not on_cpu():
        return _of_network(model, compiled_for_inference(fast, fused=False))
    if can_fuse():  # elsewhere transforms do not pay
        fast = transformed_model(fast)
    transformed = transformed_convolutions(fast)
    fused = transformed > 0
    size = tracks_at_once(fused) * (2 if 0 < transformed <= _FEW_CONVOLUTIONS else 1)
    return _of_network(model, _in_pieces(compiled_for_inference(fast, fused), size))


def _in_pieces(
    embed: Callable[[np.ndarray], np.ndarray], size: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Embed a batch in pieces of `size` tracks, some at a time."""
    compiled: set[tuple[int, ...]] = set()

    def in_pieces(batch: np.ndarray) -> np.ndarray:
        pieces = [batch[start : start + size] for start in range(0, len(batch), size)]
        for shape in {piece.shape for piece in pieces} - compiled:
            embed(np.zeros(shape, batch.dtype))  # not by all streams at once
            compiled.add(shape)
        with ThreadPoolExecutor(_STREAMS) as streams:
            return np.concatenate(list(streams.map(embed, pieces)))

    return in_pieces


def _as_embedder(model: keras.Model | Embedder) -> Embedder:
    return model if isinstance(model, Embedder) else _of_network(model, model.predict_on_batch)


def _of_network(model: keras.Model, embed: Callable[[np.ndarray], np.ndarray]) -> Embedder:
    from kinet.layers import PitchRows

    rows = next(layer for layer in model.layers if isinstance(layer, PitchRows))
    return Embedder(
        embed, int(model.output_shape[-1]), rows.frames, rows.minimum_frames, model.input_shape[1]
    )


def embed_tracks(
    model: keras.Model | Embedder,
    tracks: Sequence[Track],
    frames: int | None = None,
    batch_size: int = 32,
    progress: Callable[[int, int], object] | None = None,
) -> np.ndarray:
    """Embed the first `frames` vectors of each track.

    Parameters
    ----------
    model : keras.Model or Embedder
        A network, what `fast_embedder` makes of it, or what `kinet.export.load_export` reads.
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
    embedder = _as_embedder(model)
    frames = usable_frames(embedder, frames)
    size = min(batch_size, max(1, len(tracks)))
    rows = [np.zeros((0, embedder.size), np.float32)]
    for start in range(0, len(tracks), size):
        batch = first_vectors(tracks[start : start + size], frames)
        rows.append(_embed_batch(embedder, batch, size))
        if progress:
            progress(start + len(batch), len(tracks))
    return np.concatenate(rows)


def embed_arrays(
    model: keras.Model | Embedder,
    hpcp: Iterable[np.ndarray],
    frames: int | None,
    batch_size: int,
) -> np.ndarray:
    """As `embed_tracks`, from arrays ``(T, 12)`` in memory."""
    embedder = _as_embedder(model)
    frames = usable_frames(embedder, frames)
    fitted = [fit_length(check_hpcp(values), frames) for values in hpcp]
    rows = [np.zeros((0, embedder.size), np.float32)]
    for start in range(0, len(fitted), batch_size):
        batch = np.stack(fitted[start : start + batch_size])
        rows.append(_embed_batch(embedder, batch, min(batch_size, len(fitted))))
    return np.concatenate(rows)


def _embed_batch(embedder: Embedder, batch: np.ndarray, size: int) -> np.ndarray:
    """Embed up to `size` tracks; a smaller batch is filled up, so that one shape is compiled."""
    filled = np.resize(batch, (size, *batch.shape[1:]))
    return np.asarray(embedder.embed(filled))[: len(batch)]


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


def usable_frames(model: keras.Model | Embedder, frames: int | None) -> int:
    """`frames`, or the length that the model was built for.

    Raises
    ------
    DataError
        If the model does not take `frames` vectors.
    """
    embedder = _as_embedder(model)
    fixed = embedder.fixed_frames
    if frames is None:
        return embedder.frames
    if fixed is not None and frames != fixed:
        raise DataError(
            f"T = {frames} vectors was asked for, but temporal attention ties this model to "
            f"T = {fixed}"
        )
    if frames < embedder.minimum_frames:
        raise DataError(
            f"T = {frames} vectors was asked for; this model needs at least "
            f"{embedder.minimum_frames}"
        )
    return frames
