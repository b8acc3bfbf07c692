"""The layer of this package. Registered, so that Keras finds it when a model is loaded."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_SLOPE = 0.3


@keras.saving.register_keras_serializable("kinet_plugin_dilated")
class SqueezeExcite(keras.layers.Layer):
    """Weigh channels by their average over pitch and time; input and output ``(B, R, T, C)``.

    Parameters
    ----------
    ratio : int
        The hidden layer has ``max(1, C // ratio)`` units.
    l2 : float
        L2 penalty on both kernels.
    """

    def __init__(self, ratio: int, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ratio = ratio
        self.l2 = l2

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1]
        hidden = max(1, channels // self.ratio)
        penalty = keras.regularizers.L2(self.l2)
        self.squeeze = self.add_weight(
            shape=(channels, hidden), name="squeeze", regularizer=penalty
        )
        self.excite = self.add_weight(shape=(hidden, channels), name="excite", regularizer=penalty)

    def call(self, inputs: Any) -> Any:
        squeezed = ops.mean(inputs, axis=(1, 2), keepdims=True)
        hidden = ops.leaky_relu(ops.matmul(squeezed, self.squeeze), _SLOPE)
        return inputs * ops.sigmoid(ops.matmul(hidden, self.excite))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ratio": self.ratio, "l2": self.l2}
