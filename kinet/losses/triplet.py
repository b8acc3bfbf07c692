"""Batch-hard triplet loss (Hermans, Beyer and Leibe 2017, eq. 5) on the cosine distance."""

from __future__ import annotations

from typing import Any

from kinet.losses import Loss


def build(margin: float) -> Any:
    """A `kinet.losses.BatchHardTriplet`."""
    from kinet.losses.comparing import BatchHardTriplet

    return BatchHardTriplet(margin)


loss = Loss(
    name="triplet",
    description="batch-hard triplets on the cosine distance",
    build=build,
    output="embedding",
    versions_per_song=4,
    defaults={"margin": 0.3},
)
