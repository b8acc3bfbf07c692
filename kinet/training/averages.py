"""The moving average of the weights, in their place while an epoch is validated and kept."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class Averages(keras.callbacks.Callback):
    """Puts the optimizer's moving averages in the place of the weights at the end of an epoch.

    Averages of the weights of many steps rank better than those of the last one (B. T. Polyak and
    A. B. Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992). Keras's
    ``SwapEMAWeights`` does not know after a resume which of the two are in the model; here the
    weights are back before ``last.keras`` is written. Without averages it does nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras before validation."""
        optimizer = self.model.optimizer
        if not optimizer.use_ema:
            return
        trained = self.model.trainable_variables
        self._weights = [_copy(weight) for weight in trained]
        optimizer.finalize_variable_values(trained)
        for weight in trained:
            # Under JAX weight and average are now one array, which a prediction gives away.
            weight.assign(_copy(weight))

    def put_back(self) -> None:
        """The weights that training goes on with."""
        if self._weights is None:
            return
        for variable, weight in zip(self.model.trainable_variables, self._weights, strict=True):
            variable.assign(weight)
        self._weights = None


def _copy(variable: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable))
