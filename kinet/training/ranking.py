"""Validation by ranking, for Keras's `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from kinet.backend import jit_compile
from kinet.backend.several import embedder_here, of_the_first, rows_of_all
from kinet.data.tracks import Track
from kinet.embeddings import as_embedder, embed_tracks
from kinet.evaluation import evaluate
from kinet.metrics import Metrics
from kinet.network import embedder_of
from kinet.peers import ALONE, Place
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
    place : Place
        Where several processes train the network, which of them this is: each embeds its part of
        the list, and the metrics of the first count.

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
        self,
        tracks: Sequence[Track],
        vectors: int | None = None,
        batch_size: int = 32,
        place: Place = ALONE,
    ) -> None:
        super().__init__()
        self._place = place
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
        if self._place.others:
            self._weights_of_now = embedder_here(self._embedder)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Rank, and add the means to `logs`."""
        self.metrics = evaluate(self._rows(), self._songs)
        means = np.array([getattr(self.metrics, name) for name in MEASURES])
        if logs is not None:
            means = of_the_first(self._place, means)
            logs.update((f"val_{name}", float(v)) for name, v in zip(MEASURES, means, strict=True))

    def _rows(self) -> np.ndarray:
        """The embeddings of the list ``(N, D)``."""
        embedder: Any = self._embedder
        if self._place.others:
            embedder = replace(as_embedder(embedder), embed=self._weights_of_now())
        own = self._tracks[self._place.part_of(len(self._tracks))]
        rows = embed_tracks(embedder, own, self._vectors, self._batch_size)
        return rows_of_all(self._place, rows, len(self._tracks))
