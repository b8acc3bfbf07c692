"""Contrastive loss of segments (CLEWS; Serrà, Araz, Bogdanov and Mitsufuji, ICML 2025)."""

from __future__ import annotations

from typing import Any

from kinet.losses import Loss


def build(segments: int, pairs: int, gamma: float, epsilon: float) -> Any:
    """A `kinet.losses.SegmentContrastive`."""
    from kinet.losses.comparing import SegmentContrastive

    return SegmentContrastive(segments, pairs, gamma, epsilon)


loss = Loss(
    name="clews",
    description="contrastive by the best pairs of segments of two tracks",
    build=build,
    output="embedding",
    versions_per_song=4,
    segments=True,
    defaults={"segments": 3, "pairs": 2, "gamma": 5.0, "epsilon": 1e-6},
)
