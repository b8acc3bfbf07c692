"""Supervised contrastive loss (Khosla et al. 2020, eq. 2)."""

from __future__ import annotations

from typing import Any

from kinet.losses import Loss


def build(temperature: float) -> Any:
    """A `kinet.losses.SupervisedContrastive`."""
    from kinet.losses.comparing import SupervisedContrastive

    return SupervisedContrastive(temperature)


loss = Loss(
    name="supcon",
    description="supervised contrastive: find the other versions in the batch",
    build=build,
    output="embedding",
    versions_per_song=4,
    defaults={"temperature": 0.1},
)
