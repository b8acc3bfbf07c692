"""A network as one compiled function, and batches in pieces that stay in the caches."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from kinet.backend import compiled_for_inference, tracks_at_once
from kinet.inference.convolutions import count_fast

Embed = Callable[[np.ndarray], np.ndarray]

# While one piece waits for the small steps between convolutions, another keeps the cores busy.
_STREAMS = 2
# A network with at most these, as all of the family with S = 1, is so short that what every call
# costs counts more than the caches (measured).
_FEW_CONVOLUTIONS = 3
# With at most so many channels in every convolution a network is narrow.
_FEW_CHANNELS = 64


def compiled(model: keras.Model) -> Embed:
    """The network as one function, from ``(B, T, 12)`` to ``(B, D)``.

    Where it has transformed convolutions the compiler fuses their steps, which else are slow.
    """
    return compiled_for_inference(model, fused=count_fast(model) > 0)


def piece_size(model: keras.Model) -> int:
    """Tracks in a piece of a batch that `model` likes best on a CPU."""
    fast = count_fast(model)
    narrow = all(getattr(layer, "filters", 0) <= _FEW_CHANNELS for layer in model.layers)
    return tracks_at_once(fast > 0, narrow) * (2 if 0 < fast <= _FEW_CONVOLUTIONS else 1)


def in_pieces(embed: Embed, size: int) -> Embed:
    """Embed a batch in pieces of `size` tracks, some at a time."""
    seen: set[tuple[int, ...]] = set()

    def run(batch: np.ndarray) -> np.ndarray:
        pieces = [batch[start : start + size] for start in range(0, len(batch), size)]
        for shape in {piece.shape for piece in pieces} - seen:
            embed(np.zeros(shape, batch.dtype))  # compiled now, not by all streams at once
            seen.add(shape)
        with ThreadPoolExecutor(_STREAMS) as streams:
            return np.concatenate(list(streams.map(embed, pieces)))

    return run
