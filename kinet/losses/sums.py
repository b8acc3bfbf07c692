"""The weighted sum of Keras losses; importing this file makes it known to Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable("kinet")
class WeightedSum(keras.losses.Loss):
    """Several losses of the same labels and outputs, each times its weight.

    Parameters
    ----------
    losses : sequence of keras.losses.Loss
    weights : sequence of float
        As many.
    reduction, name, dtype
        As of `keras.losses.Loss`; every loss has been reduced in its own way before.

    Examples
    --------
    >>> squares, distances = keras.losses.MeanSquaredError(), keras.losses.MeanAbsoluteError()
    >>> float(WeightedSum([squares, distances], [1.0, 0.5])([[0.0]], [[3.0]]))
    10.5
    """

    def __init__(
        self,
        losses: Sequence[Any],
        weights: Sequence[float],
        reduction: str = "sum_over_batch_size",
        name: str = "weighted_sum",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.losses = list(losses)
        self.weights = list(weights)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        parts = zip(self.losses, self.weights, strict=True)
        return sum(weight * loss(y_true, y_pred) for loss, weight in parts)

    def get_config(self) -> dict[str, Any]:
        losses = [keras.saving.serialize_keras_object(loss) for loss in self.losses]
        return {**super().get_config(), "losses": losses, "weights": self.weights}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> WeightedSum:
        losses = [keras.saving.deserialize_keras_object(loss) for loss in config["losses"]]
        return cls(**{**config, "losses": losses})
