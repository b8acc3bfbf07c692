"""One epoch: its batches for Keras, its random numbers, and how far its averages reach back."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import keras
import numpy as np

from kinet.backend import seed_everything
from kinet.errors import DataError

OnBatch = Callable[[int, int, int, float], None]


class Batches(Protocol):
    """What an epoch is made of: `kinet.data.batches.TrainingBatches`, or what stands for it.

    Attributes
    ----------
    songs : tuple of str
        The songs in the order of their labels.
    """

    songs: tuple[str, ...]

    def order(self, epoch: int) -> np.ndarray:
        """What is in every batch of `epoch`, a row each."""

    def load(self, epoch: int, index: int, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """HPCP ``(B, T, 12)`` and labels ``(B,)`` of a row of `order`."""


def fit_epoch(
    model: keras.Model, batches: Batches, epoch: int, workers: int, on_batch: OnBatch
) -> float:
    """Train on every batch of an epoch once.

    Parameters
    ----------
    model : keras.Model
        Compiled.
    batches : Batches
        What is trained on.
    epoch : int
        Counts from 0.
    workers : int
        Threads that prepare batches while the model works.
    on_batch : callable
        Called after every batch with the epoch (from 1), batches done, all batches, and the mean
        loss so far.

    Returns
    -------
    float
        The mean loss.

    Raises
    ------
    DataError
        If a track cannot be used, or the loss is not finite.
    """
    data = _Epoch(batches, epoch, workers)
    report = _Report(on_batch, epoch, len(data))
    try:
        fitted = model.fit(data, epochs=1, shuffle=False, verbose=0, callbacks=[report])
    finally:
        data.close()
        # A backend wraps an error of its input in one of its own; ours says what to do.
        if data.error is not None:
            raise data.error
    loss = float(fitted.history["loss"][0])
    if not math.isfinite(loss):
        raise DataError(
            f"the loss of epoch {epoch + 1} is {loss}; allowed: a finite number; "
            "lower the learning rate, or use --precision float32"
        )
    return loss


def seed_epoch(model: keras.Model, seed: int, epoch: int) -> None:
    """Make dropout a function of seed and epoch, so that no generator has to be saved."""
    # A plug-in's own random layers may draw from the global generators.
    seed_everything(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
    for number, layer in enumerate(model.layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            words = np.random.SeedSequence([seed, epoch, number]).generate_state(2)
            generator.state.assign(words.astype(generator.state.dtype))


def momentum_for(steps: int) -> float:
    """Momentum of batch normalisation's moving averages for epochs of so many steps.

    Validation and the model that is kept normalise with moving averages. With the 0.99 of the
    original (and of Keras) these reach back about 100 steps: where an epoch has ten, to weights
    of ten epochs ago, and the error grows layer by layer. So half an epoch is remembered, and 100
    steps at most. On averages that lag behind: Wu and Johnson,
    "Rethinking 'Batch' in BatchNorm", arXiv 2105.07576, section 3.

    Examples
    --------
    >>> momentum_for(1), momentum_for(10), momentum_for(200), momentum_for(5000)
    (0.0, 0.8, 0.99, 0.99)
    """
    return min(0.99, max(0.0, 1 - 2 / steps))


def shorten_averages(model: keras.Model, momentum: float) -> None:
    """Give batch normalisation this momentum, unless a plug-in has chosen a shorter memory."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, momentum)


class _Epoch(keras.utils.PyDataset):
    """The batches of one epoch, for Keras; the next ones are prepared while one is trained on.

    Not by the workers of Keras: under JAX and PyTorch it looks at the first batch before it
    trains, and with workers that batch is then left out.
    """

    def __init__(self, batches: Batches, epoch: int, workers: int) -> None:
        super().__init__(workers=1)
        self._batches = batches
        self._epoch = epoch
        self._order = batches.order(epoch)
        self._threads = ThreadPoolExecutor(workers)
        self._ahead = 2 * workers
        self._prepared: dict[int, Future[tuple[np.ndarray, np.ndarray]]] = {}
        self.error: DataError | None = None

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        for i in range(index, min(index + 1 + self._ahead, len(self))):
            if i not in self._prepared:
                self._prepared[i] = self._threads.submit(
                    self._batches.load, self._epoch, i, self._order[i]
                )
        try:
            return self._prepared.pop(index).result()
        except DataError as error:
            self.error = error
            raise

    def close(self) -> None:
        """End the threads; what they have not begun is not done."""
        self._threads.shutdown(cancel_futures=True)


class _Report(keras.callbacks.Callback):
    def __init__(self, on_batch: OnBatch, epoch: int, total: int) -> None:
        super().__init__()
        self._on_batch, self._epoch, self._total = on_batch, epoch, total

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = float((logs or {}).get("loss", math.nan))
        self._on_batch(self._epoch + 1, batch + 1, self._total, loss)
