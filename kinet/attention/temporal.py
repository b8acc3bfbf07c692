"""Temporal attention of the reference: its weights have the length of the time axis."""

from __future__ import annotations

from typing import Any

from kinet.attention import Attention, Site


def build(x: Any, site: Site) -> Any:
    """Weigh time steps by their mean and maximum over pitch and channels."""
    from kinet.layers import AxisAttention

    return AxisAttention(axis=2, ratio=site.ratio, l2=site.l2, name=site.name)(x)


attention = Attention(
    name="temporal",
    description="CBAM over time, ties the model to one T (the reference's)",
    build=build,
    fixed_length=True,
)
