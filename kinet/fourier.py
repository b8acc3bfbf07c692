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
from kinet.layers import CircularConvolution


class FourierConvolution(CircularConvolution):
    """Circular along pitch, valid along time: ``(B, 12, T, C)`` to ``(B, 12, T - k + 1, filters)``.

    Its kernel takes 6 to 20 times the memory.

    Parameters
    ----------
    filters : int
        Output channels.
    kernel_size : tuple of int
        (rows, k), k the columns.
    """

    def __init__(self, filters: int, kernel_size: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, **kwargs)
        columns = kernel_size[1]
        # A piece of this many vectors gives `step` of output: the least arithmetic is near 2.4 k.
        self.piece = 8 * -(-12 * columns // 40)
        self.step = self.piece - columns + 1
        self._frequencies = self.piece // 2

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        frequencies = PITCH_CLASSES * self._frequencies
        # Real part and imaginary part side by side.
        shape = (frequencies, input_shape[-1], 2 * self.filters)
        self.kernel = self.add_weight(shape=shape, name="kernel", trainable=False)
        self.bias = self.add_weight(shape=(self.filters,), name="bias", trainable=False)

    def set_kernel(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        """Take over a kernel ``(rows, k, C, filters)`` and a bias ``(filters,)``."""
        rows, columns = self.kernel_size
        pitch, time = _pitch_transform()[:, :rows], _time_transform(self.piece)[:, :columns]
        # A convolution of networks is a correlation: hence the conjugates.
        kernel = np.einsum(
            "qi,kj,ijco->qkco", pitch.conj(), time.conj(), np.float64(kernel), optimize=True
        )
        kernel = kernel.reshape(-1, *kernel.shape[2:])
        self.kernel.assign(np.concatenate([kernel.real, kernel.imag], axis=-1))
        self.bias.assign(bias)

    def call(self, inputs: Any) -> Any:
        batch, _, frames, channels = ops.shape(inputs)
        left = frames - self.kernel_size[1] + 1
        pieces = -(-left // self.step)
        x = self._pieces(inputs, pieces, frames)
        time = _time_transform(self.piece)
        x = ops.einsum("klr,bpnlc->bpnkrc", _parts(time, axis=-1), x)
        x = ops.einsum("qspr,bpnkrc->qksbnc", _complex_product(_pitch_transform()), x)
        x = ops.reshape(x, (PITCH_CLASSES * self._frequencies, 2 * batch * pieces, channels))
        x = ops.matmul(x, self.kernel)
        shape = (PITCH_CLASSES, self._frequencies, 2, batch * pieces, 2, self.filters)
        x = ops.reshape(x, shape)
        # Both parts of the input with both parts of the kernel: their product, transformed back.
        x = ops.einsum("psqrw,qkrmwo->mpkso", _pitch_inverse(), x)
        back = 2 / self.piece * time.conj()[:, : self.step]
        x = ops.einsum("ktr,mpkro->mpto", _parts(back, axis=-1) * np.array([1, -1], np.float32), x)
        x = ops.reshape(x, (batch, pieces, PITCH_CLASSES, self.step, self.filters))
        x = ops.reshape(
            ops.transpose(x, (0, 2, 1, 3, 4)),
            (batch, PITCH_CLASSES, pieces * self.step, self.filters),
        )
        return x[:, :, :left] + self.bias

    def _pieces(self, inputs: Any, pieces: int, frames: int) -> Any:
        """``(B, 12, T, C)`` cut into overlapping ones, ``(B, 12, pieces, piece, C)``."""
        length, overlap = pieces * self.step, self.piece - self.step
        x = ops.pad(inputs, [(0, 0), (0, 0), (0, length + self.step - frames), (0, 0)])
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


def _parts(values: np.ndarray, axis: int) -> np.ndarray:
    return np.stack([values.real, values.imag], axis=axis).astype(np.float32)


def _complex_product(matrix: np.ndarray) -> np.ndarray:
    """``(q, s, p, r)``: part s of the product of a matrix ``(q, p)`` from part r of a vector."""
    of_real, of_imaginary = _parts(matrix, axis=1), _parts(1j * matrix, axis=1)
    return np.stack([of_real, of_imaginary], axis=-1)


def _pitch_inverse() -> np.ndarray:
    """``(p, s, q, r, w)``: as `_complex_product`, from part r of the input, part w of the kernel.

    The product of two numbers has a real part from (0, 0) and (1, 1) and an imaginary one from
    (0, 1) and (1, 0).
    """
    real, imaginary = np.moveaxis(_complex_product(_pitch_transform().conj() / PITCH_CLASSES), 3, 0)
    return np.stack(
        [np.stack([real, imaginary], axis=-1), np.stack([imaginary, -real], axis=-1)], axis=-2
    )
