"""Keras losses that compare the tracks of a batch; see `kinet.losses` for their names there.

Keras saves and loads them with a compiled model: importing this file registers them.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kinet.errors import SettingsError


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


@keras.saving.register_keras_serializable("kinet")
class SegmentContrastive(keras.losses.Loss):
    """Tracks as sets of segments: versions near in their best pairs, songs far in their nearest.

    CLEWS: Serrà, Araz, Bogdanov and Mitsufuji, "Supervised Contrastive Learning from
    Weakly-Labeled Audio Segments for Musical Version Matching", ICML 2025. The mean over all pairs
    of versions of their distance in `pairs` best pairs of segments, none of which is used twice
    (there: bpwr), plus ``log(epsilon + mean(exp(-gamma * nearest)))`` over all pairs of tracks of
    different songs, where the two nearest segments count. The distance of two segments is the
    squared one of their unit rows, from 0 to 4.

    Labels ``(B K,)`` are integers, outputs ``(B K, D)`` unit rows: of the K segments of a track one
    after the other.

    Parameters
    ----------
    segments : int
        K, from 1.
    pairs : int
        From 1; more than K are K.
    gamma : float
        The larger, the more the nearest songs count.
    epsilon : float
        Above 0: songs that are far are pushed no farther.
    reduction, name, dtype
        As of `keras.losses.Loss`.

    Raises
    ------
    SettingsError
        If a number is out of range.

    Examples
    --------
    Two versions with the same two segments, and a song opposite to one of them, at distance 4 and
    2: versions cost nothing, and ``log(exp(-2) + 0)`` is left of the songs.

    >>> loss = SegmentContrastive(segments=2, pairs=2, gamma=1.0, epsilon=1e-9)
    >>> one, other = [[1.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [-1.0, 0.0]]
    >>> round(float(loss(ops.array([0, 0, 0, 0, 1, 1]), ops.array(one + one + other))), 4)
    -2.0
    """

    def __init__(
        self,
        segments: int = 3,
        pairs: int = 2,
        gamma: float = 5.0,
        epsilon: float = 1e-6,
        reduction: str = "sum_over_batch_size",
        name: str = "clews",
        dtype: Any = None,
    ) -> None:
        for setting, count in (("segments", segments), ("pairs", pairs)):
            if count < 1:
                raise SettingsError(f"{setting} is {count!r}; allowed: an integer from 1")
        for setting, number in (("gamma", gamma), ("epsilon", epsilon)):
            if number <= 0:
                raise SettingsError(f"{setting} is {number!r}; allowed: a number above 0")
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.segments, self.pairs = segments, pairs
        self.gamma, self.epsilon = gamma, epsilon

    def call(self, y_true: Any, y_pred: Any) -> Any:
        labels = ops.reshape(y_true, (-1, self.segments))[:, :1]
        tracks = ops.shape(labels)[0]
        same = ops.cast(ops.equal(labels, ops.transpose(labels)), y_pred.dtype)
        versions, others = same - ops.eye(tracks, dtype=y_pred.dtype), 1 - same
        distances = 2 - 2 * ops.matmul(y_pred, ops.transpose(y_pred))
        by_track = ops.reshape(distances, (tracks, self.segments, tracks, self.segments))
        distances = ops.transpose(by_track, (0, 2, 1, 3))
        near = _mean_where(versions, self._best_pairs(distances))
        nearest = ops.min(distances, axis=(2, 3))
        far = _mean_where(others, ops.exp(-self.gamma * nearest))
        # A number for each track: of these Keras makes the mean on however many devices.
        return ops.broadcast_to(near + ops.log(self.epsilon + far), (tracks,))

    def _best_pairs(self, distances: Any) -> Any:
        """From ``(B, B, K, K)`` to the mean distance ``(B, B)`` of the best pairs of segments."""
        count = self.segments
        pairs = min(self.pairs, count)
        total, left = 0.0, distances
        for _ in range(pairs):
            best = ops.argmin(ops.reshape(left, (*ops.shape(left)[:2], count * count)), axis=-1)
            row = ops.expand_dims(ops.one_hot(best // count, count, dtype=left.dtype), 3)
            column = ops.expand_dims(ops.one_hot(best % count, count, dtype=left.dtype), 2)
            total = total + ops.sum(distances * row * column, axis=(2, 3))
            # Beyond all distances: these have found a partner.
            left = left + 1e3 * (row + column)
        return total / pairs

    def get_config(self) -> dict[str, Any]:
        names = ("segments", "pairs", "gamma", "epsilon")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("kinet")
class NormalisedSoftmax(keras.losses.Loss):
    """Cross-entropy over songs of the cosines with a direction for each, divided by a temperature.

    Zhai and Wu, "Classification is a Strong Baseline for Deep Metric Learning", BMVC 2019, eq. 3.
    Labels ``(B,)`` are integers, outputs ``(B, songs)`` cosines.

    Parameters
    ----------
    temperature : float
        Above 0: the smaller, the more the nearest songs count.
    reduction, name, dtype
        As of `keras.losses.Loss`.

    Examples
    --------
    A track that has the direction of its song, at a right angle to that of the other:
    ``log(1 + exp(-1 / temperature))``.

    >>> float(NormalisedSoftmax(temperature=1.0)(ops.array([0]), ops.array([[1.0, 0.0]])))
    0.3132...
    """

    def __init__(
        self,
        temperature: float = 0.05,
        reduction: str = "sum_over_batch_size",
        name: str = "normsoftmax",
        dtype: Any = None,
    ) -> None:
        if temperature <= 0:
            raise SettingsError(f"temperature is {temperature!r}; allowed: a number above 0")
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = temperature

    def call(self, y_true: Any, y_pred: Any) -> Any:
        songs = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        return keras.losses.sparse_categorical_crossentropy(
            songs, y_pred / self.temperature, from_logits=True
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}


def _mean_where(chosen: Any, values: Any) -> Any:
    """The mean of `values` where `chosen` is 1; 0 where it is nowhere."""
    return ops.sum(chosen * values) / ops.maximum(ops.sum(chosen), 1)
