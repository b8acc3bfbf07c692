"""Serialisable Keras layers that the family needs and Keras lacks.

Importing this file makes known to Keras all that a saved model of kinet can name: these layers,
the model itself and its losses. `keras.saving.load_model` then opens it.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kinet import (
    heard,  # noqa: F401 - registers its layers
    network,  # noqa: F401 - registers the model
    proxies,  # noqa: F401 - registers its layer
)
from kinet.config import LEAKY_SLOPE, PITCH_CLASSES
from kinet.losses import comparing, sums  # noqa: F401 - registers the losses


@keras.saving.register_keras_serializable("kinet")
class PitchRows(keras.layers.Layer):
    """HPCP as it is on disk to rows of pitch classes, ``(B, T, 12)`` to ``(B, rows, T, 1)``.

    Rows beyond the twelfth repeat the first ones, so that a kernel of 12 rows sees every rotation.

    Parameters
    ----------
    rows : int
        12, or 23 for the unrolled pitch axis.
    minimum_vectors : int
        The least T; a shorter input raises ``ValueError`` where T is known.
    vectors : int
        The T that the model was trained for, and that evaluation cuts tracks to.
    """

    def __init__(self, rows: int, minimum_vectors: int, vectors: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows = rows
        self.minimum_vectors = minimum_vectors
        self.vectors = vectors

    def call(self, inputs: Any) -> Any:
        vectors = inputs.shape[1]
        if vectors is not None and vectors < self.minimum_vectors:
            raise ValueError(
                f"input has T = {vectors} vectors; this model needs at least {self.minimum_vectors}"
            )
        rows = ops.expand_dims(ops.transpose(inputs, (0, 2, 1)), -1)
        repeated = self.rows - PITCH_CLASSES
        return ops.concatenate([rows, rows[:, :repeated]], axis=1) if repeated else rows

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape[0], self.rows, input_shape[1], 1

    def get_config(self) -> dict[str, Any]:
        own = {
            "rows": self.rows,
            "minimum_vectors": self.minimum_vectors,
            "vectors": self.vectors,
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("kinet")
class PitchWrap(keras.layers.Layer):
    """Append the first `rows` rows below the last: ``(B, R, T, C)`` to ``(B, R + rows, T, C)``.

    Before a valid convolution of ``rows + 1`` rows this makes the convolution circular.
    """

    def __init__(self, rows: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows = rows

    def call(self, inputs: Any) -> Any:
        return ops.concatenate([inputs, inputs[:, : self.rows]], axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, rows, vectors, channels = input_shape
        return batch, None if rows is None else rows + self.rows, vectors, channels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rows": self.rows}


@keras.saving.register_keras_serializable("kinet")
class AxisAttention(keras.layers.Layer):
    """Weigh the entries of one axis by what the other axes hold (CBAM, Woo et al. 2018, eq. 2).

    Mean and maximum over the other axes go through one shared two-layer perceptron without bias;
    the sum of both goes through a sigmoid and is multiplied in. Input and output ``(B, R, T, C)``.

    Parameters
    ----------
    axis : int
        2 (time) or 3 (channels); its length must be fixed.
    ratio : int
        The hidden layer has ``max(1, length // ratio)`` units.
    l2 : float
        L2 penalty on both kernels.
    """

    def __init__(self, axis: int, ratio: int, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.ratio = ratio
        self.l2 = l2
        self._others = tuple(a for a in (1, 2, 3) if a != axis)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        length = input_shape[self.axis]
        if length is None:
            raise ValueError(
                f"{self.name} attends over axis {self.axis}, whose length must be fixed"
            )
        hidden = max(1, length // self.ratio)
        penalty = keras.regularizers.L2(self.l2)
        self.squeeze = self.add_weight(shape=(length, hidden), name="squeeze", regularizer=penalty)
        self.expand = self.add_weight(shape=(hidden, length), name="expand", regularizer=penalty)

    def call(self, inputs: Any) -> Any:
        weights = self.weigh(
            ops.mean(inputs, axis=self._others), ops.max(inputs, axis=self._others)
        )
        for axis in self._others:
            weights = ops.expand_dims(weights, axis)
        return inputs * weights

    def weigh(self, means: Any, maxima: Any) -> Any:
        """Weights above 0 from mean and maximum over all other axes, all ``(B, length)``."""
        hidden = ops.matmul(ops.stack([means, maxima], axis=1), self.squeeze)
        hidden = ops.matmul(ops.leaky_relu(hidden, LEAKY_SLOPE), self.expand)
        return ops.sigmoid(ops.sum(hidden, axis=1))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {"axis": self.axis, "ratio": self.ratio, "l2": self.l2}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("kinet")
class LocalTimeAttention(keras.layers.Layer):
    """Weigh each time step by its neighbourhood, for any T.

    As `AxisAttention` over time, but the perceptron's two matrices are replaced by two
    convolutions along time (CBAM's spatial attention, Woo et al. 2018, eq. 3, in one dimension),
    so that no weight depends on T. Input and output ``(B, R, T, C)``.

    Parameters
    ----------
    width : int
        Length of both kernels in time steps, odd.
    hidden : int
        Channels between the two convolutions.
    l2 : float
        L2 penalty on both kernels.
    """

    def __init__(self, width: int, hidden: int, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.hidden = hidden
        self.l2 = l2

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        penalty = keras.regularizers.L2(self.l2)
        self.squeeze = self.add_weight(
            shape=(self.width, 2, self.hidden), name="squeeze", regularizer=penalty
        )
        self.expand = self.add_weight(
            shape=(self.width, self.hidden, 1), name="expand", regularizer=penalty
        )

    def call(self, inputs: Any) -> Any:
        weights = self.weigh(ops.mean(inputs, axis=(1, 3)), ops.max(inputs, axis=(1, 3)))
        return inputs * ops.expand_dims(weights, 1)

    def weigh(self, means: Any, maxima: Any) -> Any:
        """Weights above 0 ``(B, T, 1)`` from mean and maximum over rows and channels ``(B, T)``."""
        squeezed = ops.stack([means, maxima], axis=-1)
        hidden = ops.conv(squeezed, self.squeeze, padding="same", data_format="channels_last")
        hidden = ops.leaky_relu(hidden, LEAKY_SLOPE)
        weights = ops.conv(hidden, self.expand, padding="same", data_format="channels_last")
        return ops.sigmoid(weights)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {"width": self.width, "hidden": self.hidden, "l2": self.l2}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("kinet")
class GeneralisedMean(keras.layers.Layer):
    """Mean over rows and time with a learned exponent per channel: ``(B, R, T, C)`` to ``(B, C)``.

    ``mean(x ** p) ** (1 / p)`` (GeM, Radenović, Tolias and Chum 2018, eq. 3), from the mean at
    p = 1 towards the maximum. Values below `floor` count as `floor`, p below 1 as 1.

    Parameters
    ----------
    exponent : float
        Where p begins.
    floor : float
        Above 0: powers of negative numbers are none.
    """

    def __init__(self, exponent: float = 3.0, floor: float = 1e-4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.exponent = exponent
        self.floor = floor

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        begin = keras.initializers.Constant(self.exponent)
        self.p = self.add_weight(shape=(input_shape[-1],), initializer=begin, name="p")

    def call(self, inputs: Any) -> Any:
        p = ops.maximum(self.p, 1.0)
        powers = ops.power(ops.maximum(inputs, self.floor), p)
        return ops.power(ops.mean(powers, axis=(1, 2)), 1 / p)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape[0], input_shape[-1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "exponent": self.exponent, "floor": self.floor}


@keras.saving.register_keras_serializable("kinet")
class AutoPool(keras.layers.Layer):
    """Mean over rows and time that weighs loud moments by a learned exponent per channel.

    ``sum(x * softmax(alpha * x))`` over all moments of a channel, ``(B, R, T, C)`` to ``(B, C)``
    (auto-pool: McFee, Salamon and Bello, "Adaptive pooling operators for weakly labeled sound
    event detection", IEEE/ACM TASLP 2018): the mean at alpha = 0, towards the maximum above it,
    towards the minimum below.

    Parameters
    ----------
    alpha : float
        Where alpha begins.

    Examples
    --------
    Two moments, 0 and 1, at alpha = log 3: the louder one weighs three times as much.

    >>> import math
    >>> pooled = AutoPool(math.log(3))(ops.reshape([0.0, 1.0], (1, 1, 2, 1)))
    >>> round(float(ops.convert_to_numpy(pooled)[0, 0]), 6)
    0.75
    """

    def __init__(self, alpha: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        begin = keras.initializers.Constant(self.alpha)
        self.a = self.add_weight(shape=(input_shape[-1],), initializer=begin, name="a")

    def call(self, inputs: Any) -> Any:
        exponents = self.a * inputs
        # Keras's softmax over two axes needs to know their lengths; no exponential overflows.
        weights = ops.exp(exponents - ops.max(exponents, axis=(1, 2), keepdims=True))
        return ops.sum(inputs * weights, axis=(1, 2)) / ops.sum(weights, axis=(1, 2))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape[0], input_shape[-1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}
