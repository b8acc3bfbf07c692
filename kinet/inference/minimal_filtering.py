"""Convolutions with few taps, or few at a time, by minimal filtering along time.

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

import keras
import numpy as np
from keras import ops

from kinet.inference.circular import CircularConvolution

# Outputs of a piece. More would save little and need larger points, which cost precision.
OUTPUTS = 4
_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
MOST_COLUMNS = len(_POINTS) + 2 - OUTPUTS
# A long kernel is cut into kernels of this many taps; those of the summary have ten.
SHORT_COLUMNS = 5


class WinogradConvolution(CircularConvolution):
    """Circular along pitch, valid along time: ``(B, 12, T, C)`` to ``(B, 12, T - k + 1, filters)``.

    Parameters
    ----------
    filters : int
        Output channels.
    kernel_size : tuple of int
        (rows, k), k the columns, from 2 to `MOST_COLUMNS`.
    """

    def build(self, input_shape: tuple[Any, ...]) -> None:
        rows, columns = self.kernel_size
        self.add_kernel((_piece(columns), rows * input_shape[-1], self.filters))

    def transformed(self, kernel: np.ndarray) -> np.ndarray:
        """The kernel ``(rows, k, C, filters)`` at the points."""
        _, columns, _, filters = kernel.shape
        return _at_points(np.swapaxes(kernel, 0, 1).reshape(columns, -1, filters))

    def call(self, inputs: Any) -> Any:
        batch, rows, vectors, channels = ops.shape(inputs)
        # A row and those below it side by side: their products add up in one.
        below, columns = self.kernel_size
        x = ops.concatenate([inputs, inputs[:, : below - 1]], axis=1)
        x = ops.concatenate([x[:, row : row + rows] for row in range(below)], axis=-1)
        x = ops.reshape(x, (batch * rows, vectors, below * channels))
        x = _filtered(x, self.kernel, self.bias, columns)
        return ops.reshape(x, (batch, rows, vectors - columns + 1, self.filters))


class DilatedWinogradConvolution(keras.layers.Layer):
    """Dilated, valid along time: ``(B, R, T, C)`` to ``(B, R, T - (k - 1) * dilation, filters)``.

    Every `dilation`-th vector is a row of its own, where the taps are neighbours. A kernel of many
    taps is cut into short ones, whose inputs lie side by side.

    Parameters
    ----------
    filters : int
        Output channels.
    columns : int
        k, the taps: a multiple of `SHORT_COLUMNS`.
    dilation : int
        Vectors from one tap to the next.
    """

    def __init__(self, filters: int, columns: int, dilation: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.columns = columns
        self.dilation = dilation

    def build(self, input_shape: tuple[Any, ...]) -> None:
        joined = self.columns // SHORT_COLUMNS * input_shape[-1]
        shape = (_piece(SHORT_COLUMNS), joined, self.filters)
        self.kernel = self.add_weight(shape=shape, name="kernel", trainable=False)
        self.bias = self.add_weight(shape=(self.filters,), name="bias", trainable=False)

    def transformed(self, kernel: np.ndarray) -> np.ndarray:
        """The kernel ``(1, k, C, filters)`` at the points."""
        _, columns, channels, filters = kernel.shape
        short = np.reshape(kernel, (columns // SHORT_COLUMNS, SHORT_COLUMNS, channels, filters))
        return _at_points(np.swapaxes(short, 0, 1).reshape(SHORT_COLUMNS, -1, filters))

    def call(self, inputs: Any) -> Any:
        batch, rows, vectors, channels = ops.shape(inputs)
        left = vectors - (self.columns - 1) * self.dilation
        longest = -(-vectors // self.dilation)
        x = ops.pad(inputs, [(0, 0), (0, 0), (0, longest * self.dilation - vectors), (0, 0)])
        x = ops.reshape(x, (batch * rows, longest, self.dilation, channels))
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, longest, channels))
        starts = range(0, self.columns, SHORT_COLUMNS)
        width = longest - starts[-1]
        x = ops.concatenate([x[:, start : start + width] for start in starts], axis=-1)
        x = _filtered(x, self.kernel, self.bias, SHORT_COLUMNS)
        x = ops.reshape(x, (batch * rows, self.dilation, -1, self.filters))
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (batch, rows, -1, self.filters))
        return x[:, :, :left]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, rows, vectors, _ = input_shape
        left = None if vectors is None else vectors - (self.columns - 1) * self.dilation
        return batch, rows, left, self.filters

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "columns": self.columns, "dilation": self.dilation}
        return {**super().get_config(), **own}


def _filtered(rows: Any, kernel: Any, bias: Any, columns: int) -> Any:
    """Valid convolution along time of ``(N, T, C)`` to ``(N, T - columns + 1, filters)``.

    Parameters
    ----------
    rows : tensor
        What is filtered.
    kernel : tensor
        At the points, ``(piece, C, filters)``.
    bias : tensor
        ``(filters,)``.
    columns : int
        Taps.
    """
    count, vectors, channels = ops.shape(rows)
    piece = _piece(columns)
    left = vectors - columns + 1
    pieces = -(-left // OUTPUTS)
    groups = pieces + -(-piece // OUTPUTS) - 1
    x = ops.pad(rows, [(0, 0), (0, groups * OUTPUTS - vectors), (0, 0)])
    x = ops.reshape(x, (count, groups, OUTPUTS, channels))
    back, _, there = _transforms(columns)
    places = [divmod(place, OUTPUTS) for place in range(piece)]
    x = ops.stack(
        _weighted_sums(there, [x[:, group : group + pieces, within] for group, within in places])
    )
    x = ops.matmul(ops.reshape(x, (piece, count * pieces, channels)), kernel)
    sums = _weighted_sums(back, [x[point] for point in range(piece)])
    x = ops.stack([part + bias for part in sums], axis=1)
    return ops.reshape(x, (count, pieces * OUTPUTS, -1))[:, :left]


def _piece(columns: int) -> int:
    """Inputs that a piece of `OUTPUTS` takes, and so its points."""
    return OUTPUTS + columns - 1


def _at_points(taps: np.ndarray) -> np.ndarray:
    """A kernel ``(columns, C, filters)`` as `_filtered` takes it, ``(piece, C, filters)``."""
    return np.einsum("pj,jcf->pcf", _transforms(len(taps))[1], np.float64(taps))


@functools.cache
def _transforms(columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A, G and B of y = A (G kernel * B input); * takes element by element.

    Shapes ``(OUTPUTS, piece)``, ``(piece, columns)`` and ``(piece, piece)``.
    """
    piece = _piece(columns)
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
