"""The wider block: the stage's kernel sees few channels and gives many."""

from __future__ import annotations

from typing import Any

from kinet.blocks import Block, Stage


def build(x: Any, stage: Stage) -> Any:
    """The stage's kernel at full width, attended, then a squeeze; the last stage is simple."""
    x = stage.conv(x)
    if stage.is_last:
        return x
    return stage.conv(x, stage.squeezed_channels, (1, 1), part="squeeze", attend=False)


block = Block(
    name="wider",
    description="before the last stage: the stage's kernel at full width, then 1x1 squeeze",
    build=build,
)
