"""Supervised contrastive loss (Khosla et al. 2020, eq. 2)."""

from __future__ import annotations

from typing import Any

from kinet.losses import Loss


def build(temperature: float) -> Any:
    """Cross-entropy of finding the other versions of a track among the rest of the batch."""
    import keras
    from keras import ops

    class SupervisedContrastive(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            labels = ops.reshape(y_true, (-1, 1))
            logits = ops.matmul(y_pred, ops.transpose(y_pred)) / temperature
            itself = ops.eye(ops.shape(logits)[0], dtype=logits.dtype)
            # Cosines are at most 1: after this no exponential sees the track itself.
            logits = logits - itself * 1e4
            log_probability = logits - ops.logsumexp(logits, axis=1, keepdims=True)
            same = ops.cast(ops.equal(labels, ops.transpose(labels)), logits.dtype)
            versions = same * (1 - itself)
            count = ops.sum(versions, axis=1)
            return -ops.sum(log_probability * versions, axis=1) / ops.maximum(count, 1)

    return SupervisedContrastive(name="supcon")


loss = Loss(
    name="supcon",
    description="supervised contrastive: find the other versions in the batch",
    build=build,
    output="embedding",
    versions_per_song=4,
    defaults={"temperature": 0.1},
)
