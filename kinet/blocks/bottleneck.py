"""The bottleneck block: squeeze, the stage's kernel, expand."""

from __future__ import annotations

from typing import Any

from kinet.blocks import Block, Stage


def build(x: Any, stage: Stage) -> Any:
    """Stage 0 is simple; later stages work at a quarter of the channels, attended in between."""
    if stage.is_first:
        return stage.conv(x)
    squeezed = stage.squeezed_channels
    x = stage.conv(x, squeezed, (1, 1), part="squeeze", attend=False)
    x = stage.conv(x, squeezed)
    return stage.conv(x, kernel=(1, 1), part="expand", attend=False)


block = Block(
    name="bottleneck",
    description="after stage 0: 1x1 squeeze, the stage's kernel, 1x1 expand",
    build=build,
)
