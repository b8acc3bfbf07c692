"""Model and tracks to embeddings ``(N, D)``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kinet.data.batches import first_vectors, fit_length
from kinet.data.feature_files import as_hpcp
from kinet.data.tracks import Track
from kinet.errors import DataError, SettingsError

if TYPE_CHECKING:
    import keras

    from kinet.layers import PitchRows

# For fewer tracks, making the faster form of a network takes longer than it saves.
MANY_TRACKS = 500


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
    """A network by `kinet.inference.fast_form`: to embed many tracks with weights that stay.

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
    from kinet.inference import fast_form

    return replace(as_embedder(model), embed=fast_form(model))


def embedder_for(model: keras.Model | Embedder, tracks: int) -> Embedder:
    """What embeds so many tracks soonest: from 500 on the fast form of a network.

    Parameters
    ----------
    model : keras.Model or Embedder
        A network, or what embeds batches already, which is returned as it is.
    tracks : int
        How many will be embedded.

    Returns
    -------
    Embedder
        For `embed_tracks` and `embed_arrays`.

    Raises
    ------
    DataError
        If the model is a classifier, or not one of kinet's.
    """
    embedder = as_embedder(model)
    if embedder is model or tracks < MANY_TRACKS:
        return embedder
    return fast_embedder(model)


def as_embedder(model: keras.Model | Embedder) -> Embedder:
    """A network with its sizes at hand; an `Embedder` is returned as it is.

    Raises
    ------
    DataError
        If the model is a classifier, or not one of kinet's.
    """
    if isinstance(model, Embedder):
        return model
    rows = _pitch_rows(model)
    fixed = model.input_shape[1]
    return Embedder(
        embed=model.predict_on_batch,
        size=int(model.output_shape[-1]),
        vectors=rows.vectors,
        minimum_vectors=fixed or rows.minimum_vectors,
        fixed_vectors=fixed,
    )


def _pitch_rows(model: keras.Model) -> PitchRows:
    """The first layer of an embedder, which knows its lengths."""
    from kinet.layers import PitchRows
    from kinet.network import is_embedder

    found = [layer for layer in getattr(model, "layers", ()) if isinstance(layer, PitchRows)]
    name = getattr(model, "name", type(model).__name__)
    if not found:
        raise DataError(
            f"the model {name!r} is not a network of kinet's; allowed: what kinet.build or "
            "kinet.load gives"
        )
    if not is_embedder(model):
        raise DataError(
            f"the model {name!r} gives {model.output_shape[-1]} logits, not embeddings; "
            "kinet.embedder_of(model) gives the embedder in it"
        )
    return found[0]


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
        If a track cannot be read, `vectors` is not a length that the model takes, or what the
        model gives is not finite.
    SettingsError
        If `batch_size` is below 1.
    """
    embedder = as_embedder(model)
    vectors = usable_vectors(embedder, vectors)
    _check_batch_size(batch_size)
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
    _check_batch_size(batch_size)
    embedder = as_embedder(model)
    vectors = usable_vectors(embedder, vectors)
    fitted = [fit_length(as_hpcp(values), vectors) for values in hpcp]
    rows = [np.zeros((0, embedder.size), np.float32)]
    for start in range(0, len(fitted), batch_size):
        batch = np.stack(fitted[start : start + batch_size])
        rows.append(_embed_batch(embedder, batch, min(batch_size, len(fitted))))
    return np.concatenate(rows)


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise SettingsError(f"batch size is {batch_size}; allowed: an integer from 1")


def _embed_batch(embedder: Embedder, batch: np.ndarray, size: int) -> np.ndarray:
    """Embed up to `size` tracks; a smaller batch is filled up, so that one shape is compiled."""
    filled = np.resize(batch, (size, *batch.shape[1:]))
    rows = np.asarray(embedder.embed(filled))[: len(batch)]
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(broken):
        largest = np.abs(batch[broken[0]]).max()
        raise DataError(
            f"{len(broken)} of {len(batch)} embeddings have NaN or infinite values, from HPCP of "
            f"values up to {largest:.1e}; need HPCP in [0, 1] and a model whose weights are finite"
        )
    return rows


def usable_vectors(model: keras.Model | Embedder, vectors: int | None) -> int:
    """`vectors`, or the length that the model was built for.

    Raises
    ------
    DataError
        If the model does not take `vectors` vectors.
    """
    embedder = as_embedder(model)
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
