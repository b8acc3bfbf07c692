"""What makes an epoch depend on its number alone, and how far its averages reach back."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from kinet.backend import seed_everything
from kinet.errors import DataError
from kinet.training.data import EpochData


class Epochs(keras.callbacks.Callback):
    """Begins every epoch in a state that its number and the seed determine.

    So a run that is resumed at epoch n goes on as one that was not stopped. An epoch whose loss
    is not a finite number ends the run: it would be saved over a good one.

    Parameters
    ----------
    data : EpochData
        What is trained on.
    seed : int
        Of dropout and all else that draws.

    Raises
    ------
    DataError
        If the loss is not finite.
    """

    def __init__(self, data: EpochData, seed: int) -> None:
        super().__init__()
        self._data, self._seed = data, seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras; `epoch` counts from 0."""
        self._data.next_epoch = epoch
        seed_epoch(self.model, self._seed, epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the mean loss."""
        loss = (logs or {}).get("loss", math.nan)
        if not math.isfinite(loss):
            raise DataError(
                f"the loss of epoch {epoch + 1} is {loss}; allowed: a finite number; "
                "lower the learning rate, or use --precision float32"
            )


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
