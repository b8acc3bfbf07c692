"""Batch-hard triplet loss (Hermans, Beyer and Leibe 2017, eq. 5) on the cosine distance."""

from __future__ import annotations

from typing import Any

from kinet.losses import Loss


def build(margin: float) -> Any:
    """For each track: its farthest version must be nearer, by `margin`, than any other song."""
    import keras
    from keras import ops

    class BatchHardTriplet(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            labels = ops.reshape(y_true, (-1, 1))
            distance = 1 - ops.matmul(y_pred, ops.transpose(y_pred))
            same = ops.equal(labels, ops.transpose(labels))
            # A track is its own nearest version, at distance 0: it never is the farthest one.
            farthest = ops.max(ops.where(same, distance, -1.0), axis=1)
            nearest = ops.min(ops.where(same, 3.0, distance), axis=1)
            return ops.relu(farthest - nearest + margin)

    return BatchHardTriplet(name="triplet")


loss = Loss(
    name="triplet",
    description="batch-hard triplets on the cosine distance",
    build=build,
    output="embedding",
    versions_per_song=4,
    defaults={"margin": 0.3},
)
