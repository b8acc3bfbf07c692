"""How a network is trained: its loss, batches, rate and epochs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kinet.config.settings import Settings, is_count, is_from, is_number, require

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class TrainConfig(Settings):
    """How a model is trained.

    The defaults are the original's but for the loss: the benchmarks speak for ``supcon``.

    Parameters
    ----------
    loss : str or mapping of str to float
        Name of a registered loss, or names with their weights in a sum:
        ``{"supcon": 1, "softmax": 0.5}``.
    batch_size : int
        Tracks in a batch. With a loss that compares versions, songs times `versions_per_song`.
    versions_per_song : int or None
        Versions of one song in a batch; None takes the loss's own number.
    epochs : int
        Epochs of the cosine schedule ``lr * 0.5 * (1 + cos(pi * epoch / epochs))``.
    learning_rate : float
        Adam's rate in the first epoch.
    warmup : int
        Steps in which the rate rises from 0; after them the cosine falls step by step, not epoch
        by epoch.
    averaging : float
        From 0 to below 1: how much of the moving average of the weights, which is what is
        validated and kept as the best, is left after a step. 0 keeps the weights as they are.
    dropout : float
        Before the classifier of a loss that has one.
    precision : str
        A Keras dtype policy: ``float32``, ``mixed_bfloat16`` or ``mixed_float16``.
    seed : int
        Of weights, crops, order and dropout.
    patience : int or None
        Stop after this many epochs without a better validation MAP; None never stops early.
    loss_options : mapping of str to float
        Settings of the loss itself, such as the margin; of several losses ``triplet.margin``.
    freeze : bool
        Whether all but the head stays as it is in the model that training starts from; the head
        begins anew, and may have another size. Yesiler, Serrà and Gómez, "Less is more: Faster and
        better music version identification with embedding distillation", ISMIR 2020, call this
        latent space reconfiguration.

    Examples
    --------
    >>> TrainConfig().losses, TrainConfig(loss={"supcon": 1, "softmax": 0.5}).losses
    ({'supcon': 1.0}, {'supcon': 1, 'softmax': 0.5})
    """

    loss: str | Mapping[str, float] = "supcon"
    batch_size: int = 32
    versions_per_song: int | None = None
    epochs: int = 100
    learning_rate: float = 1e-3
    warmup: int = 0
    averaging: float = 0.0
    dropout: float = 0.5
    precision: str = "float32"
    seed: int = 0
    patience: int | None = None
    loss_options: Mapping[str, float] = dataclasses.field(default_factory=dict)
    freeze: bool = False

    def __post_init__(self) -> None:
        named = isinstance(self.loss, str | Mapping) and bool(self.loss)
        require(
            named and all(is_number(w) and 0 < w < math.inf for w in self.losses.values()),
            "loss",
            self.loss,
            "a name, or names with weights above 0, such as {'supcon': 1, 'softmax': 0.5}",
        )
        require(is_count(self.batch_size), "batch size", self.batch_size, "an integer from 1")
        require(is_count(self.epochs), "number of epochs", self.epochs, "an integer from 1")
        rate = self.learning_rate
        fits = is_from(0, rate) and rate > 0
        require(fits, "learning rate", rate, "a finite number above 0")
        require(is_count(self.warmup, 0), "warm-up", self.warmup, "an integer from 0, in steps")
        for name in ("averaging", "dropout"):
            value = getattr(self, name)
            require(is_from(0, value, 1), name, value, "from 0 to below 1")
        require(self.precision in PRECISIONS, "precision", self.precision, ", ".join(PRECISIONS))
        require(is_count(self.seed, 0), "seed", self.seed, "an integer from 0")
        require(isinstance(self.freeze, bool), "freeze", self.freeze, "True or False")
        require(
            self.patience is None or is_count(self.patience),
            "patience",
            self.patience,
            "an integer from 1",
        )
        require(
            self.versions_per_song is None or is_count(self.versions_per_song, 2),
            "versions per song",
            self.versions_per_song,
            "an integer from 2",
        )

    @property
    def losses(self) -> dict[str, float]:
        """The losses by name, with their weights."""
        return {self.loss: 1.0} if isinstance(self.loss, str) else dict(self.loss)

    @classmethod
    def original(cls, **others: Any) -> TrainConfig:
        """The settings that the original code has where one gives none, `others` in their place.

        Examples
        --------
        >>> TrainConfig.original(epochs=20).loss
        'softmax'
        """
        return cls(**{"loss": "softmax", **others})
