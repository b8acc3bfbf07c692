"""What the ways to compute a circular convolution have in common."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class CircularConvolution(keras.layers.Layer):
    """Circular along pitch, valid along time: ``(B, 12, T, C)`` to ``(B, 12, T - k + 1, filters)``.

    Each way adds its kernel and its arithmetic.

    Parameters
    ----------
    filters : int
        Output channels.
    kernel_size : tuple of int
        (rows, k), k the columns.
    """

    def __init__(self, filters: int, kernel_size: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size

    def add_kernel(self, shape: tuple[int, ...]) -> None:
        """Make the kernel, and a bias ``(filters,)``."""
        self.kernel = self.add_weight(shape=shape, name="kernel", trainable=False)
        self.bias = self.add_weight(shape=(self.filters,), name="bias", trainable=False)

    def transformed(self, kernel: np.ndarray) -> np.ndarray:
        """The kernel ``(rows, k, C, filters)`` as this layer holds it."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, rows, vectors, _ = input_shape
        left = None if vectors is None else vectors - self.kernel_size[1] + 1
        return batch, rows, left, self.filters

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "kernel_size": self.kernel_size}
        return {**super().get_config(), **own}
