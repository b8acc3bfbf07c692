"""Channel attention of the original (after CBAM, Woo et al. 2018)."""

from __future__ import annotations

from typing import Any

from kinet.attention import Attention, AttentionSettings


def build(x: Any, settings: AttentionSettings) -> Any:
    """Weigh channels by their mean and maximum over pitch and time."""
    from kinet.layers import AxisAttention

    return AxisAttention(axis=3, ratio=settings.ratio, l2=settings.l2, name=settings.name)(x)


attention = Attention(
    name="channel",
    description="CBAM over channels, squeezing pitch and time (the original's)",
    build=build,
)
