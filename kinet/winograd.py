"""Circular convolutions with few taps by minimal filtering along time.

Four outputs of five taps take 20 multiplications, but the product of a polynomial with four
coefficients and one with five is known from its values at eight points, infinity among them: 8
multiplications (Toom, 1963; Cook, 1966). Transposed, that is a filter (Winograd, 1980; for
networks: Lavin and Gray, 2016). The values at the points are sums of a few inputs with small
weights, which a compiler that fuses them makes cheap; what is left are matrix products.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from kinet.config import PITCH_CLASSES
from kinet.layers import CircularConvolution

# Outputs of a piece. More would save little and need larger points, which cost precision.
OUTPUTS = 4
_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
MOST_COLUMNS = len(_POINTS) + 2 - OUTPUTS


class WinogradConvolution(CircularConvolution):
    """Circular along pitch, valid along time: ``(B, 12, T, C)`` to ``(B, 12, T - k + 1, filters)``.

    Parameters
    ----------
    filters : int
        Output channels.
    kernel_size : tuple of int
        (rows, k), k the columns, from 2 to `MOST_COLUMNS`.
    """

    def __init__(self, filters: int, kernel_size: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, **kwargs)
        self.piece = OUTPUTS + kernel_size[1] - 1

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels: Any = input_shape[-1]
        shape = (self.piece, self.kernel_size[0] * channels, self.filters)
        self.kernel = self.add_weight(shape=shape, name="kernel", trainable=False)
        self.bias = self.add_weight(shape=(self.filters,), name="bias", trainable=False)

    def set_kernel(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        """Take over a kernel ``(rows, k, C, filters)`` and a bias ``(filters,)``."""
        of_kernel = _transforms(self.kernel_size[1])[1]
        kernel = np.einsum("pj,ijco->pico", of_kernel, np.float64(kernel))
        self.kernel.assign(kernel.reshape(self.kernel.shape))
        self.bias.assign(bias)

    def call(self, inputs: Any) -> Any:
        batch, _, frames, _ = ops.shape(inputs)
        left = frames - self.kernel_size[1] + 1
        pieces = -(-left // OUTPUTS)
        x = ops.matmul(self._values(inputs, pieces), self.kernel)
        back = _transforms(self.kernel_size[1])[0]
        sums = _weighted_sums(back, [x[point] for point in range(self.piece)])
        x = ops.stack([part + self.bias for part in sums], axis=1)
        x = ops.reshape(x, (batch, PITCH_CLASSES, pieces * OUTPUTS, self.filters))
        return x[:, :, :left]

    def _values(self, inputs: Any, pieces: int) -> Any:
        """At every point, ``(piece, B * 12 * pieces, rows * C)``."""
        batch, rows, frames, channels = ops.shape(inputs)
        groups = pieces + -(-self.piece // OUTPUTS) - 1
        x = ops.pad(inputs, [(0, 0), (0, 0), (0, groups * OUTPUTS - frames), (0, 0)])
        # A row and those below it side by side: their products add up in one.
        below = self.kernel_size[0]
        x = ops.concatenate([x, x[:, : below - 1]], axis=1)
        x = ops.concatenate([x[:, row : row + rows] for row in range(below)], axis=-1)
        x = ops.reshape(x, (batch * rows, groups, OUTPUTS, below * channels))
        places = [divmod(place, OUTPUTS) for place in range(self.piece)]
        vectors = [x[:, group : group + pieces, within] for group, within in places]
        x = ops.stack(_weighted_sums(_transforms(self.kernel_size[1])[2], vectors))
        return ops.reshape(x, (self.piece, batch * rows * pieces, below * channels))


@functools.cache
def _transforms(columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A, G and B of y = A (G kernel * B input); * takes element by element.

    Shapes ``(OUTPUTS, piece)``, ``(piece, columns)`` and ``(piece, piece)``.
    """
    piece = OUTPUTS + columns - 1
    of_input = np.linalg.inv(_values_at_points(piece, piece)).T
    # Weights of at most 1 where rounding counts; the kernel is transformed once, in float64.
    scale = np.abs(of_input).max(axis=1, keepdims=True)
    of_input = np.round(of_input / scale, 12)
    return _values_at_points(piece, OUTPUTS).T, scale * _values_at_points(piece, columns), of_input


def _values_at_points(points: int, coefficients: int) -> np.ndarray:
    """``(points, coefficients)``: what a coefficient adds to a value, at last at infinity."""
    finite = np.vander(_POINTS[: points - 1], coefficients, increasing=True)
    return np.concatenate([finite, np.eye(coefficients)[-1:]])


def _weighted_sums(weights: np.ndarray, values: Sequence[Any]) -> list[Any]:
    """For each row of `weights` the sum of `values`; what has no weight is left out."""
    return [
        functools.reduce(
            operator.add, [w * value for w, value in zip(row, values, strict=True) if w]
        )
        for row in weights.tolist()
    ]
