"""Circular convolutions of very few channels as products of Fourier transforms along pitch.

The first convolution of a network has one input channel. Transformed along time as well
(`kinet.inference.fourier`), its products would be of single numbers, which are no matrix product.
Along pitch alone, the twelve rotations of a kernel become six pairs of numbers each, and the
columns of the kernel stay what a matrix product sums over: a sixth of the multiply-adds of twelve
rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from kinet.config import PITCH_CLASSES
from kinet.inference.circular import CircularConvolution

_PAIRS = PITCH_CLASSES // 2


class PitchFourierConvolution(CircularConvolution):
    """Circular along pitch, valid along time: ``(B, 12, T, C)`` to ``(B, 12, T - k + 1, filters)``.

    Parameters are those of `CircularConvolution`.
    """

    def build(self, input_shape: tuple[Any, ...]) -> None:
        rows = self.kernel_size[1] * 2 * input_shape[-1]
        self.add_kernel((PITCH_CLASSES, rows, self.filters))

    def transformed(self, kernel: np.ndarray) -> np.ndarray:
        """The kernel ``(rows, k, C, filters)`` in pairs that rotations keep together."""
        rotations = _rotations()[: self.kernel_size[0]]
        kernel = np.einsum("ixst,ijcf->xsjtcf", rotations, np.float64(kernel), optimize=True)
        return kernel.reshape(PITCH_CLASSES, -1, self.filters)

    def call(self, inputs: Any) -> Any:
        batch, _, vectors, channels = ops.shape(inputs)
        columns = self.kernel_size[1]
        left = vectors - columns + 1
        basis = _basis().astype(np.float32)
        x = ops.transpose(inputs, (1, 3, 0, 2))
        x = ops.matmul(basis, ops.reshape(x, (PITCH_CLASSES, -1)))
        x = ops.reshape(x, (_PAIRS, 1, 2 * channels, batch, vectors))
        x = ops.concatenate([x[..., column : column + left] for column in range(columns)], axis=1)
        x = ops.reshape(x, (_PAIRS, columns * 2 * channels, batch * left))
        # Once for each number of a pair: so the results lie as the way back takes them.
        x = ops.transpose(ops.repeat(x, 2, axis=0), (0, 2, 1))
        x = ops.reshape(ops.matmul(x, self.kernel), (PITCH_CLASSES, -1))
        x = ops.matmul(basis.T, x)
        x = ops.reshape(x, (PITCH_CLASSES, batch, left, self.filters))
        return ops.transpose(x, (1, 0, 2, 3)) + self.bias


def _basis() -> np.ndarray:
    """``(12, 12)``, orthogonal: the real Fourier basis, in pairs that rotations keep together."""
    rows = np.arange(PITCH_CLASSES)
    angles = 2 * np.pi / PITCH_CLASSES * np.outer(np.arange(1, _PAIRS), rows)
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=1).reshape(-1, PITCH_CLASSES)
    constants = np.stack([np.ones(PITCH_CLASSES), (-1.0) ** rows])
    return np.concatenate([constants, np.sqrt(2) * waves]) / np.sqrt(PITCH_CLASSES)


def _rotations() -> np.ndarray:
    """``(12, 6, 2, 2)``: what taking the row i further does to a pair, output before input."""
    basis, rows = _basis(), range(PITCH_CLASSES)
    rotated = [basis @ np.roll(np.eye(PITCH_CLASSES), row, axis=1) @ basis.T for row in rows]
    pairs = np.reshape(rotated, (PITCH_CLASSES, _PAIRS, 2, _PAIRS, 2))
    return np.stack([pairs[:, pair, :, pair] for pair in range(_PAIRS)], axis=1)
