"""Temporal attention of the original: its weights have the length of the time axis."""

from __future__ import annotations

from typing import Any

from kinet.attention import Attention, AttentionSettings


def build(x: Any, settings: AttentionSettings) -> Any:
    """Weigh time steps by their mean and maximum over pitch and channels."""
    from kinet.layers import AxisAttention

    return AxisAttention(axis=2, ratio=settings.ratio, l2=settings.l2, name=settings.name)(x)


attention = Attention(
    name="temporal",
    description="CBAM over time, ties the model to one T (the original's)",
    build=build,
    fixed_length=True,
)
