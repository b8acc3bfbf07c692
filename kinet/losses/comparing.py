"""Keras losses that compare the tracks of a batch; see `kinet.losses` for their names there.

Keras saves and loads them with a compiled model: importing this file registers them.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class _ComparesTracks(keras.losses.Loss):
    """A loss of labels ``(B,)``, integers, and unit rows ``(B, D)``."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        labels = ops.reshape(y_true, (-1, 1))
        same = ops.equal(labels, ops.transpose(labels))
        return self.compare(same, ops.matmul(y_pred, ops.transpose(y_pred)))

    def compare(self, same: Any, cosines: Any) -> Any:
        """From ``(B, B)``, which tracks are of one song and their cosines, to ``(B,)``."""
        raise NotImplementedError


@keras.saving.register_keras_serializable("kinet")
class SupervisedContrastive(_ComparesTracks):
    """Cross-entropy of finding the other versions of a track among the rest of the batch.

    Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, eq. 2. Labels ``(B,)`` are
    integers, outputs ``(B, D)`` unit rows. A track without another version in the batch counts 0.

    Parameters
    ----------
    temperature : float
        Divides cosines: the smaller, the more the nearest tracks count.
    reduction, name, dtype
        As of `keras.losses.Loss`.

    Examples
    --------
    Two songs at right angles: each track finds its version with cosine 1 among two with cosine 0,
    which costs log(1 + 2 exp(-1 / temperature)).

    >>> loss = SupervisedContrastive(temperature=1.0)
    >>> float(loss([0, 0, 1, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))
    0.5514...
    """

    def __init__(
        self,
        temperature: float = 0.1,
        reduction: str = "sum_over_batch_size",
        name: str = "supcon",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = temperature

    def compare(self, same: Any, cosines: Any) -> Any:
        logits = cosines / self.temperature
        itself = ops.eye(ops.shape(logits)[0], dtype=logits.dtype)
        # Cosines are at most 1: after this no exponential sees the track itself.
        logits = logits - itself * 1e4
        log_probability = logits - ops.logsumexp(logits, axis=1, keepdims=True)
        versions = ops.cast(same, logits.dtype) * (1 - itself)
        count = ops.sum(versions, axis=1)
        return -ops.sum(log_probability * versions, axis=1) / ops.maximum(count, 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable("kinet")
class BatchHardTriplet(_ComparesTracks):
    """For each track: its farthest version must be nearer, by `margin`, than any other song.

    Batch-hard triplet loss, Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person
    Re-Identification", 2017, eq. 5, on the cosine distance. Labels ``(B,)`` are integers, outputs
    ``(B, D)`` unit rows.

    Parameters
    ----------
    margin : float
        In cosine distance, which is from 0 to 2.
    reduction, name, dtype
        As of `keras.losses.Loss`.

    Examples
    --------
    Versions at distance 0, songs at distance 1: a margin of 1.25 is missed by 0.25.

    >>> loss = BatchHardTriplet(margin=1.25)
    >>> float(loss([0, 0, 1, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))
    0.25
    """

    def __init__(
        self,
        margin: float = 0.3,
        reduction: str = "sum_over_batch_size",
        name: str = "triplet",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.margin = margin

    def compare(self, same: Any, cosines: Any) -> Any:
        distance = 1 - cosines
        # A track is its own nearest version, at distance 0: it never is the farthest one.
        farthest = ops.max(ops.where(same, distance, -1.0), axis=1)
        nearest = ops.min(ops.where(same, 3.0, distance), axis=1)
        return ops.relu(farthest - nearest + self.margin)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}
