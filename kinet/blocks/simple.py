"""The simple block: one convolution per stage."""

from __future__ import annotations

from typing import Any

from kinet.blocks import Block, Stage


def build(x: Any, stage: Stage) -> Any:
    """The stage's kernel at full width."""
    return stage.conv(x)


block = Block(
    name="simple",
    description="one convolution of the stage's kernel at full width",
    build=build,
)
