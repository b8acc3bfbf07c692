"""Temporal attention that looks at the neighbourhood of each time step, for any T."""

from __future__ import annotations

from typing import Any

from kinet.attention import Attention, AttentionSettings

# Seven steps of 0.46 s on either side, twice: as far as the temporal summary's kernel looks.
WIDTH = 15
HIDDEN = 8


def build(x: Any, settings: AttentionSettings) -> Any:
    """Weigh time steps by mean and maximum over pitch and channels of their neighbours."""
    from kinet.layers import LocalTimeAttention

    return LocalTimeAttention(width=WIDTH, hidden=HIDDEN, l2=settings.l2, name=settings.name)(x)


attention = Attention(
    name="local",
    description="convolutional attention over local time context, for any T",
    build=build,
)
