"""Keras layers for tracks that are padded: played again, and described without a network."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kinet.config import PITCH_CLASSES

_LEAST = 1e-12


@keras.saving.register_keras_serializable("kinet")
class PlayAgain(keras.layers.Layer):
    """Where a track is padded with zeros it begins again: ``(B, T, 12)`` to ``(B, T, 12)``.

    A network that was trained on full crops embeds tracks that are mostly zeros badly.
    """

    def call(self, inputs: Any) -> Any:
        return ops.take_along_axis(inputs, played_again(inputs), axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


@keras.saving.register_keras_serializable("kinet")
class FourierDescriptor(keras.layers.Layer):
    """Two-dimensional Fourier magnitudes, ``(B, T, 12)`` to unit rows ``(B, size)``.

    The same as `kinet.features.fourier_magnitudes.Components.describe`, where it says what they
    are, computed by convolutions: the transform of all patches along time is one with a kernel of
    sines and cosines.

    Parameters
    ----------
    patches : sequence of int
        Lengths in vectors; T is at least the longest.
    size : int
        Directions.
    hop : int
        Vectors from one patch to the next.
    """

    def __init__(self, patches: Any, size: int, hop: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.patches = tuple(int(length) for length in patches)
        self.size = size
        self.hop = hop

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = sum(PITCH_CLASSES * (length // 2 + 1) for length in self.patches)
        fixed = {"trainable": False, "initializer": "zeros"}
        self.mean = self.add_weight(shape=(width,), name="mean", **fixed)
        self.axes = self.add_weight(shape=(self.size, width), name="axes", **fixed)

    def call(self, inputs: Any) -> Any:
        looped = ops.take_along_axis(inputs, played_again(inputs), axis=1)
        turns = np.outer(np.arange(PITCH_CLASSES), np.arange(PITCH_CLASSES)) / PITCH_CLASSES
        # (B, T, 12) real to (12 B, T, 2), a track for each frequency along pitch.
        parts = [ops.matmul(looped, _constant(wave(2 * np.pi * turns))) for wave in (np.cos, _down)]
        columns = ops.transpose(ops.stack(parts, axis=-1), (0, 2, 1, 3))
        vectors = ops.shape(inputs)[1]
        columns = ops.reshape(columns, (-1, vectors, 2))
        heard = _heard(inputs)
        rows = [self._mean_magnitudes(columns, heard, length) for length in self.patches]
        moved = ops.concatenate(rows, axis=1) - self.mean
        return _unit(ops.matmul(moved, ops.transpose(self.axes)))

    def _mean_magnitudes(self, columns: Any, heard: Any, length: int) -> Any:
        """The unit row ``(B, 12 (length // 2 + 1))`` of one patch length."""
        kept = length // 2 + 1
        waves = ops.conv(columns, _constant(_waves(length)), strides=self.hop, padding="valid")
        magnitudes = ops.sqrt(ops.square(waves[:, :, :kept]) + ops.square(waves[:, :, kept:]))
        magnitudes = ops.reshape(magnitudes, (-1, PITCH_CLASSES, ops.shape(waves)[1], kept))
        # Patches that reach beyond what is heard are not counted, but the first one always is.
        ones = ops.ones_like(magnitudes[:, 0, :, 0])
        ends = self.hop * (ops.cumsum(ones, axis=1) - 1) + length
        counted = ops.cast(
            ends <= ops.expand_dims(ops.maximum(heard, float(length)), 1), ones.dtype
        )
        weights = counted / ops.sum(counted, axis=1, keepdims=True)
        mean = ops.sum(magnitudes * ops.expand_dims(ops.expand_dims(weights, 1), -1), axis=2)
        # Of a real signal, all columns but the first stand for two.
        scale = np.where(np.arange(kept) > 0, np.sqrt(2), 1.0)
        return _unit(ops.reshape(mean * _constant(scale), (-1, PITCH_CLASSES * kept)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape[0], self.size

    def get_config(self) -> dict[str, Any]:
        own = {"patches": list(self.patches), "size": self.size, "hop": self.hop}
        return {**super().get_config(), **own}


def played_again(hpcp: Any) -> Any:
    """For every place of ``(B, T, 12)`` the vector to be heard there, ``(B, T, 1)`` integers."""
    places = ops.cumsum(ops.ones_like(hpcp[:, :, 0]), axis=1) - 1
    return ops.expand_dims(ops.cast(ops.mod(places, ops.expand_dims(_heard(hpcp), 1)), "int32"), -1)


def _heard(hpcp: Any) -> Any:
    """Vectors up to the last that is not silent, at least one, ``(B,)`` in floating point."""
    sounding = ops.cast(ops.any(hpcp != 0, axis=2), hpcp.dtype)
    places = ops.cumsum(ops.ones_like(sounding), axis=1)
    return ops.maximum(ops.max(sounding * places, axis=1), 1.0)


def _waves(length: int) -> np.ndarray:
    """Kernel ``(length, 2, 2 (length // 2 + 1))``: real and imaginary part of the transform."""
    angles = 2 * np.pi * np.outer(np.arange(length), np.arange(length // 2 + 1)) / length
    real = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    imaginary = np.stack([-np.sin(angles), np.cos(angles)], axis=1)
    return np.concatenate([real, imaginary], axis=2)


def _down(angles: np.ndarray) -> np.ndarray:
    return -np.sin(angles)


def _unit(rows: Any) -> Any:
    """Rows of length 1; those of zeros stay."""
    length = ops.sqrt(ops.sum(ops.square(rows), axis=-1, keepdims=True))
    return rows / ops.maximum(length, _LEAST)


def _constant(values: np.ndarray) -> Any:
    return ops.convert_to_tensor(values.astype(np.float32))
