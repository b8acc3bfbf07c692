"""Validation by ranking, for Keras's `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from kinet.backend import jit_compile
from kinet.data.tracks import Track
from kinet.embeddings import embed_tracks
from kinet.evaluation import evaluate
from kinet.metrics import Metrics
from kinet.network import embedder_of
from kinet.training.lists import require_lists
from kinet.training.log import MEASURES


class Ranking(keras.callbacks.Callback):
    """After every epoch, embed a list and rank it: each track in turn is the query.

    What `evaluate` of Keras does cannot: every score depends on the whole list. The results go
    into the logs as ``val_map``, ``val_p10``, ``val_mr1`` and ``val_hit1``, for what comes after it
    in `callbacks`: ``EarlyStopping("val_map", mode="max")``, ``ModelCheckpoint``, ``CSVLogger``.

    Parameters
    ----------
    tracks : sequence of Track
        The validation list.
    vectors : int, optional
        How many vectors of each track are embedded; by default the length that the model was
        built for.
    batch_size : int
        Tracks that go through the network at once.

    Attributes
    ----------
    metrics : Metrics or None
        Of the last epoch, with intervals and values per query.

    Raises
    ------
    DataError
        If the list has one song, or no song of two versions.

    Examples
    --------
    >>> import pathlib
    >>> Ranking([Track("s1", "v1", pathlib.Path("s1_v1.npy"))])
    Traceback (most recent call last):
    kinet.errors.DataError: the validation list has 1 tracks and no song of two versions; at least \
one song must have two
    """

    def __init__(
        self, tracks: Sequence[Track], vectors: int | None = None, batch_size: int = 32
    ) -> None:
        super().__init__()
        self._tracks, self._vectors, self._batch_size = tracks, vectors, batch_size
        self._songs = [track.song_id for track in tracks]
        self.metrics: Metrics | None = None
        require_lists((), tracks)

    def set_model(self, model: keras.Model) -> None:
        """Called by Keras before the first epoch."""
        super().set_model(model)
        self._embedder = embedder_of(model)
        if self._embedder is not model:
            self._embedder.jit_compile = jit_compile()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Rank, and add the means to `logs`."""
        rows = embed_tracks(self._embedder, self._tracks, self._vectors, self._batch_size)
        self.metrics = evaluate(rows, self._songs)
        if logs is not None:
            logs.update((f"val_{name}", float(getattr(self.metrics, name))) for name in MEASURES)
