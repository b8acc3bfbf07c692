"""Normalised softmax (Zhai and Wu, BMVC 2019): songs told apart by the cosine alone."""

from __future__ import annotations

from typing import Any

from kinet.losses import Loss


def build(temperature: float) -> Any:
    """A `kinet.losses.NormalisedSoftmax`."""
    from kinet.losses.comparing import NormalisedSoftmax

    return NormalisedSoftmax(temperature)


loss = Loss(
    name="normsoftmax",
    description="cross-entropy over songs of cosines with a direction for each",
    build=build,
    output="cosines",
    defaults={"temperature": 0.05},
)
