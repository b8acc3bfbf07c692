"""The Keras layer of a loss that compares tracks with a learned direction for each song."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("kinet")
class Proxies(keras.layers.Layer):
    """Cosines with a learned direction, a proxy, for each song: ``(B, D)`` to ``(B, songs)``.

    Zhai and Wu, "Classification is a Strong Baseline for Deep Metric Learning", BMVC 2019.

    Parameters
    ----------
    songs : int

    Examples
    --------
    >>> layer = Proxies(2)
    >>> layer.build((None, 2))
    >>> layer.set_weights([ops.reshape([2.0, 0.0, 0.0, 5.0], (2, 2))])
    >>> cosines = ops.convert_to_numpy(layer(ops.reshape([3.0, 4.0], (1, 2))))
    >>> [round(float(cosine), 3) for cosine in cosines[0]]
    [0.6, 0.8]
    """

    def __init__(self, songs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.songs = songs

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.songs), name="kernel")

    def call(self, inputs: Any) -> Any:
        return ops.matmul(ops.normalize(inputs, axis=-1), ops.normalize(self.kernel, axis=0))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape[0], self.songs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "songs": self.songs}
