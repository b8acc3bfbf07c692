"""Model and tracks to embeddings ``(N, D)``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kinet.backend import can_fuse, compiled_for_inference, on_cpu, tracks_at_once
from kinet.data.batches import first_vectors, fit_length
from kinet.data.feature_files import as_hpcp
from kinet.data.tracks import Track
from kinet.errors import DataError

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
    vectors, minimum_vectors : int
        The T that it was trained for, and the least.
    fixed_vectors : int or None
        The only T that it takes; None where any will do from `minimum_vectors`.
    """

    embed: Callable[[np.ndarray], np.ndarray]
    size: int
    vectors: int
    minimum_vectors: int
    fixed_vectors: int | None


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
    from kinet.inference.convolutions import transformed_convolutions, transformed_model
    from kinet.inference.folding import inference_model
    from kinet.inference.joined_attention import attention_joined

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
        embed, int(model.output_shape[-1]), rows.vectors, rows.minimum_vectors, model.input_shape[1]
    )


def embed_tracks(
    model: keras.Model | Embedder,
    tracks: Sequence[Track],
    vectors: int | None = None,
    batch_size: int = 32,
    progress: Callable[[int, int], object] | None = None,
) -> np.ndarray:
    """Embed the first `vectors` vectors of each track.

    Parameters
    ----------
    model : keras.Model or Embedder
        A network, what `fast_embedder` makes of it, or what `kinet.export.load_export` reads.
    tracks : sequence of Track
        Shorter tracks are padded with zeros at the end.
    vectors : int, optional
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
        If a track cannot be read or `vectors` is not a length that the model takes.
    """
    embedder = _as_embedder(model)
    vectors = usable_vectors(embedder, vectors)
    size = min(batch_size, max(1, len(tracks)))
    rows = [np.zeros((0, embedder.size), np.float32)]
    for start in range(0, len(tracks), size):
        batch = first_vectors(tracks[start : start + size], vectors)
        rows.append(_embed_batch(embedder, batch, size))
        if progress:
            progress(start + len(batch), len(tracks))
    return np.concatenate(rows)


def embed_arrays(
    model: keras.Model | Embedder,
    hpcp: Iterable[np.ndarray],
    vectors: int | None,
    batch_size: int,
) -> np.ndarray:
    """As `embed_tracks`, from arrays ``(T, 12)`` in memory."""
    embedder = _as_embedder(model)
    vectors = usable_vectors(embedder, vectors)
    fitted = [fit_length(as_hpcp(values), vectors) for values in hpcp]
    rows = [np.zeros((0, embedder.size), np.float32)]
    for start in range(0, len(fitted), batch_size):
        batch = np.stack(fitted[start : start + batch_size])
        rows.append(_embed_batch(embedder, batch, min(batch_size, len(fitted))))
    return np.concatenate(rows)


def _embed_batch(embedder: Embedder, batch: np.ndarray, size: int) -> np.ndarray:
    """Embed up to `size` tracks; a smaller batch is filled up, so that one shape is compiled."""
    filled = np.resize(batch, (size, *batch.shape[1:]))
    return np.asarray(embedder.embed(filled))[: len(batch)]


def usable_vectors(model: keras.Model | Embedder, vectors: int | None) -> int:
    """`vectors`, or the length that the model was built for.

    Raises
    ------
    DataError
        If the model does not take `vectors` vectors.
    """
    embedder = _as_embedder(model)
    fixed = embedder.fixed_vectors
    if vectors is None:
        return embedder.vectors
    if fixed is not None and vectors != fixed:
        raise DataError(
            f"T = {vectors} vectors was asked for, but temporal attention ties this model to "
            f"T = {fixed}"
        )
    if vectors < embedder.minimum_vectors:
        raise DataError(
            f"T = {vectors} vectors was asked for; this model needs at least "
            f"{embedder.minimum_vectors}"
        )
    return vectors
