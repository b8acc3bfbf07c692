"""Circular convolutions with many taps as products of discrete Fourier transforms.

A convolution with a kernel of 4 x 13 takes 52 multiply-adds per pair of channels and output. Cut
into pieces of 32 vectors and transformed along time and pitch, it takes 3.2, and the transforms
themselves little. Along pitch the transform's own wrapping is the one that is wanted. Along time
pieces overlap (overlap-save; Stockham, 1966), and frequencies lie half a step off the usual ones,
where a real input has no frequency that is its own conjugate: all are computed alike.

All is matrix products and constants, so every backend runs it, but only a compiler that fuses the
steps makes it fast.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from kinet.config import PITCH_CLASSES
from kinet.inference.circular import CircularConvolution


class FourierConvolution(CircularConvolution):
    """Circular along pitch, valid along time: ``(B, 12, T, C)`` to ``(B, 12, T - k + 1, filters)``.

    Its kernel takes 6 to 20 times the memory. Parameters are those of `CircularConvolution`.
    """

    def __init__(self, filters: int, kernel_size: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, **kwargs)
        columns = kernel_size[1]
        # A piece of this many vectors gives `step` of output: the least arithmetic is near 2.4 k.
        self.piece = 8 * -(-12 * columns // 40)
        self.step = self.piece - columns + 1
        self._frequencies = self.piece // 2

    def build(self, input_shape: tuple[Any, ...]) -> None:
        frequencies = self._frequencies * PITCH_CLASSES
        # Real part and imaginary part side by side.
        self.add_kernel((frequencies, input_shape[-1], 2 * self.filters))

    def transformed(self, kernel: np.ndarray) -> np.ndarray:
        """The kernel ``(rows, k, C, filters)`` at every frequency."""
        rows, columns = self.kernel_size
        pitch, time = _pitch_transform()[:, :rows], _time_transform(self.piece)[:, :columns]
        # A convolution of networks is a correlation: hence the conjugates.
        kernel = np.einsum(
            "qi,kj,ijco->kqco", pitch.conj(), time.conj(), np.float64(kernel), optimize=True
        )
        kernel = kernel.reshape(-1, *kernel.shape[2:])
        return np.concatenate([kernel.real, kernel.imag], axis=-1)

    def call(self, inputs: Any) -> Any:
        # What is transformed next stands first: every product takes its input as it lies.
        batch, _, vectors, channels = ops.shape(inputs)
        left = vectors - self.kernel_size[1] + 1
        pieces = -(-left // self.step)
        number, spectrum = batch * pieces, 2 * PITCH_CLASSES
        time, pitch = _time_transform(self.piece), _pitch_transform()
        x = ops.transpose(self._pieces(inputs, pieces, vectors), (3, 1, 0, 2, 4))
        x = ops.matmul(_real_rows(time), ops.reshape(x, (self.piece, -1)))
        x = ops.reshape(x, (self._frequencies, spectrum, number * channels))
        x = ops.matmul(self._at_every_frequency(_real_product(pitch)), x)
        x = ops.reshape(x, (self._frequencies * PITCH_CLASSES, 2 * number, channels))
        x = ops.matmul(x, self.kernel)
        # Both parts of the input with both parts of the kernel: their product.
        x = ops.reshape(x, (self._frequencies, PITCH_CLASSES, 2, number, 2, self.filters))
        real = x[:, :, 0, :, 0] - x[:, :, 1, :, 1]
        imaginary = x[:, :, 0, :, 1] + x[:, :, 1, :, 0]
        x = ops.stack([real, imaginary], axis=1)
        x = ops.reshape(x, (self._frequencies, spectrum, number * self.filters))
        back = pitch.conj() / PITCH_CLASSES
        x = ops.matmul(self._at_every_frequency(_real_product_back(back)), x)
        x = ops.reshape(x, (2 * self._frequencies, -1))
        x = ops.matmul(_real_rows(2 / self.piece * time[:, : self.step]).T, x)
        x = ops.reshape(x, (self.step, PITCH_CLASSES, batch, pieces, self.filters))
        x = ops.transpose(x, (2, 1, 3, 0, 4))
        x = ops.reshape(x, (batch, PITCH_CLASSES, pieces * self.step, self.filters))
        return x[:, :, :left] + self.bias

    def _at_every_frequency(self, matrix: np.ndarray) -> np.ndarray:
        return np.repeat(matrix[None], self._frequencies, axis=0)

    def _pieces(self, inputs: Any, pieces: int, vectors: int) -> Any:
        """``(B, 12, T, C)`` cut into overlapping ones, ``(B, 12, pieces, piece, C)``."""
        length, overlap = pieces * self.step, self.piece - self.step
        x = ops.pad(inputs, [(0, 0), (0, 0), (0, length + self.step - vectors), (0, 0)])
        shape = (*ops.shape(inputs)[:2], pieces, self.step, ops.shape(inputs)[3])
        whole = ops.reshape(x[:, :, :length], shape)
        following = ops.reshape(x[:, :, self.step :], shape)
        return ops.concatenate([whole, following[:, :, :, :overlap]], axis=3)


def _time_transform(piece: int) -> np.ndarray:
    """``(piece / 2, piece)``, complex: the frequencies 1/2, 3/2, ... of a real input."""
    frequencies = np.arange(piece // 2) + 0.5
    return np.exp(-2j * np.pi / piece * np.outer(frequencies, np.arange(piece)))


def _pitch_transform() -> np.ndarray:
    """``(12, 12)``, complex."""
    rows = np.arange(PITCH_CLASSES)
    return np.exp(-2j * np.pi / PITCH_CLASSES * np.outer(rows, rows))


def _real_rows(matrix: np.ndarray) -> np.ndarray:
    """``(k, l)``, complex, as ``(2 k, l)``: a real part, its imaginary part, the next one."""
    parts = np.stack([matrix.real, matrix.imag], axis=1)
    return parts.reshape(-1, matrix.shape[1]).astype(np.float32)


def _real_product(matrix: np.ndarray) -> np.ndarray:
    """``(q, p)`` as ``(2 q, 2 p)``: takes all real parts, then all imaginary ones; gives pairs."""
    return _real_rows(np.concatenate([matrix, 1j * matrix], axis=1))


def _real_product_back(matrix: np.ndarray) -> np.ndarray:
    """``(p, q)`` as ``(2 p, 2 q)``: takes and gives all real parts, then all imaginary ones."""
    return np.block([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]]).astype(np.float32)
