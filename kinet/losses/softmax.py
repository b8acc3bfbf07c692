"""Softmax cross-entropy over the songs of the training list: the loss of the original."""

from __future__ import annotations

from typing import Any

from kinet.losses import Loss


def build() -> Any:
    """Cross-entropy of logits ``(B, songs)``."""
    import keras

    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


loss = Loss(
    name="softmax",
    description="cross-entropy over the songs of the training list (the original's)",
    build=build,
)
