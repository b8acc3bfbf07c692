"""Training batches for Keras's `fit`, prepared by threads while the model works."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import keras
import numpy as np

from kinet.data.batches import WHOLE, TrainingBatches
from kinet.data.tracks import Track
from kinet.errors import DataError

Batch = tuple[np.ndarray, np.ndarray]
Labelled = tuple[np.ndarray, np.ndarray | dict[str, np.ndarray]]


class Batches(Protocol):
    """What an epoch is made of: `kinet.data.batches.TrainingBatches`, or what stands for it.

    Attributes
    ----------
    songs : tuple of str
        The songs in the order of their labels.
    batch_size : int
        Tracks in every batch.
    """

    songs: tuple[str, ...]
    batch_size: int

    def order(self, epoch: int) -> np.ndarray:
        """What is in every batch of `epoch`, a row each."""

    def load(self, epoch: int, index: int, members: np.ndarray, rows: slice = WHOLE) -> Batch:
        """HPCP ``(B, T, 12)`` and labels ``(B,)`` of a row of `order`; of B tracks those `rows`."""


class EpochData(keras.utils.PyDataset):
    """Batches for `fit`, one epoch after the other.

    Not prepared by the workers of Keras: under JAX and PyTorch it looks at the first batch before
    it trains, and with workers that batch is then left out.

    Parameters
    ----------
    batches : Batches
        What they are.
    workers : int
        Threads that prepare them.
    outputs : sequence of str
        Of a network with several outputs their names: each of them gets the labels.
    rows : slice
        The tracks of each batch that this process makes; another makes the others.

    Attributes
    ----------
    songs : tuple of str
        Song ids by label.
    next_epoch : int
        Number of the epoch that is begun next, from 0. To go on with training in a new process,
        set it. Where Keras looks at a batch before it trains, it counts that as an epoch.
    error : DataError or None
        What was wrong with a track; the backend wraps it in an error of its own.
    """

    def __init__(
        self, batches: Batches, workers: int, outputs: Sequence[str] = (), rows: slice = WHOLE
    ) -> None:
        super().__init__(workers=1)
        self.batches = batches
        self._rows = rows
        self._outputs = outputs
        self.songs = batches.songs
        self.next_epoch = 0
        self.error: DataError | None = None
        self._threads = ThreadPoolExecutor(workers)
        self._ahead = 2 * workers
        self._epoch: _Epoch | None = None

    def __len__(self) -> int:
        return len(self._current().order)

    def __getitem__(self, index: int) -> Labelled:
        try:
            hpcp, labels = self._current().batch(index)
        except DataError as error:
            self.error = error
            raise
        return hpcp, dict.fromkeys(self._outputs, labels) if len(self._outputs) > 1 else labels

    def on_epoch_begin(self) -> None:
        """Called by Keras: from now on the batches are those of the next epoch."""
        self._epoch = self._epoch_of(self.next_epoch)
        self.next_epoch += 1

    def close(self) -> None:
        """End the threads; what they have not begun is not done."""
        self._threads.shutdown(cancel_futures=True)

    def _current(self) -> _Epoch:
        # TensorFlow takes batches for their shapes before the first epoch begins, and prepares
        # some of an epoch that does not come after the last one.
        if self._epoch is None:
            self._epoch = self._epoch_of(self.next_epoch)
        return self._epoch

    def _epoch_of(self, number: int) -> _Epoch:
        return _Epoch(self.batches, number, self._rows, self._threads, self._ahead)


class TrainingData(EpochData):
    """The batches of a training list, for `fit`: other crops in another order in every epoch.

    A batch is HPCP ``(B, vectors, 12)`` float32 and labels ``(B,)``, positions in `songs`. It
    depends on the seed, the number of the epoch and its place in it alone.

    Parameters
    ----------
    tracks : sequence of Track
        The training list.
    vectors : int
        Length of the crops; shorter tracks are padded with zeros at the end.
    batch_size : int
        Tracks in a batch, at most.
    versions_per_song : int, optional
        K of batches of P songs x K versions, for a loss that compares versions.
    seed : int
        Of order and crops.
    workers : int
        Threads that prepare batches.

    Raises
    ------
    DataError
        If `versions_per_song` is given and no song has two versions.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tracks = [Track(f"s{n}", "v", pathlib.Path(folder, f"s{n}_v.npy")) for n in range(3)]
    ...     for track in tracks:
    ...         np.save(track.path, np.ones((200, 12)))
    ...     data = TrainingData(tracks, vectors=110, batch_size=2)
    ...     hpcp, labels = data[0]
    >>> len(data), data.songs, hpcp.shape, labels.shape
    (2, ('s0', 's1', 's2'), (2, 110, 12), (2,))
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        vectors: int = 400,
        batch_size: int = 32,
        versions_per_song: int | None = None,
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        batches = TrainingBatches(tracks, vectors, batch_size, versions_per_song, seed)
        super().__init__(batches, workers)


class _Epoch:
    """The batches of one epoch, the next ones in preparation."""

    def __init__(
        self, batches: Batches, number: int, rows: slice, threads: ThreadPoolExecutor, ahead: int
    ) -> None:
        self._batches, self._number, self._rows = batches, number, rows
        self._threads, self._ahead = threads, ahead
        self.order = batches.order(number)
        self._prepared: dict[int, Future[Batch]] = {}

    def batch(self, index: int) -> Batch:
        """Batch `index`; it and those behind it are begun first."""
        for i in range(index, min(index + 1 + self._ahead, len(self.order))):
            if i not in self._prepared:
                with contextlib.suppress(RuntimeError):  # after `close` nothing is prepared
                    self._prepared[i] = self._threads.submit(self._load, i)
        future = self._prepared.pop(index, None)
        return future.result() if future else self._load(index)

    def _load(self, index: int) -> Batch:
        return self._batches.load(self._number, index, self.order[index], self._rows)
