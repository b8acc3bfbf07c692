"""Channel attention of the reference (after CBAM, Woo et al. 2018)."""

from __future__ import annotations

from typing import Any

from kinet.attention import Attention, Site


def build(x: Any, site: Site) -> Any:
    """Weigh channels by their mean and maximum over pitch and time."""
    from kinet.layers import AxisAttention

    return AxisAttention(axis=3, ratio=site.ratio, l2=site.l2, name=site.name)(x)


attention = Attention(
    name="channel",
    description="CBAM over channels, squeezing pitch and time (the reference's)",
    build=build,
)
