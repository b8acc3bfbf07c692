"""Embedders made of embedders: tracks at their own length, and a descriptor beside a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kinet.embeddings import Embedder
from kinet.errors import SettingsError
from kinet.features.fourier_magnitudes import Components

# Few different lengths: some backends compile for every one.
LENGTH_STEP = 32


def at_own_lengths(embedder: Embedder, step: int = LENGTH_STEP) -> Embedder:
    """The same, but tracks that were padded are embedded without what was added.

    A network that was trained on full crops embeds short recordings badly when they are padded
    with zeros to hundreds of vectors.

    Parameters
    ----------
    embedder : Embedder
        One that takes any length.
    step : int
        The length of a track is rounded down to a multiple of this, but not below the least
        length of `embedder`, to which shorter ones stay padded.

    Returns
    -------
    Embedder

    Raises
    ------
    SettingsError
        If `embedder` takes one length alone.
    """
    if embedder.fixed_vectors is not None:
        raise SettingsError(
            f"temporal attention ties this model to T = {embedder.fixed_vectors}; allowed: models "
            "that take any length"
        )

    def embed(batch: np.ndarray) -> np.ndarray:
        heard = np.array([_heard(hpcp) for hpcp in batch], dtype=np.int64)
        lengths = np.clip(heard // step * step, embedder.minimum_vectors, batch.shape[1])
        # What is not rounded is the whole batch.
        lengths[heard == batch.shape[1]] = batch.shape[1]
        rows = np.zeros((len(batch), embedder.size), np.float32)
        for length in np.unique(lengths):
            members = np.flatnonzero(lengths == length)
            # Filled up, so that for every length one shape is compiled.
            filled = np.resize(batch[members, :length], (len(batch), length, batch.shape[2]))
            rows[members] = np.asarray(embedder.embed(filled))[: len(members)]
        return rows

    return replace(embedder, embed=embed)


def with_descriptor(embedder: Embedder, components: Components, weight: float = 0.3) -> Embedder:
    """The embedding of a network and the descriptor of the same track, one after the other.

    The cosine of two such rows is the mean of the two cosines, weighed.

    Parameters
    ----------
    embedder : Embedder
    components : Components
    weight : float
        In [0, 1], of the network.

    Returns
    -------
    Embedder
        Rows of ``embedder.size + components.size`` numbers, of length 1 unless the track is
        silent.

    Raises
    ------
    SettingsError
        If the weight is out of range.
    """
    if not 0 <= weight <= 1:
        raise SettingsError(f"weight of the network is {weight!r}; allowed: from 0 to 1")

    def embed(batch: np.ndarray) -> np.ndarray:
        parts = (np.asarray(embedder.embed(batch)), components.describe_batch(batch))
        scales = np.sqrt([weight, 1 - weight])
        return np.hstack([s * p for s, p in zip(scales, parts, strict=True)]).astype(np.float32)

    return replace(embedder, embed=embed, size=embedder.size + components.size)


def _heard(hpcp: np.ndarray) -> int:
    """Vectors up to the last one that is not silent."""
    sounding = np.flatnonzero(hpcp.any(axis=1))
    return int(sounding[-1]) + 1 if len(sounding) else 0
