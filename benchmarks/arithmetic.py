"""Multiply-adds of a model, counted from its settings."""

from __future__ import annotations

from dataclasses import dataclass

from kinet import blocks
from kinet.blocks import Stage
from kinet.config import (
    PITCH_CLASSES,
    SUMMARY_DILATION,
    SUMMARY_KERNEL,
    SUMMARY_POOL,
    SUMMARY_REPEATS,
    SUMMARY_STRIDE,
    ModelConfig,
)

Shape = tuple[int, int, int]
# A training step goes forward once and backward twice: to the input and to the kernel.
TRAINING_PASSES = 3


@dataclass(frozen=True)
class Convolution:
    """One convolution of one track; shapes are (rows, vectors, channels).

    On the circular pitch axis the input has the appended rows.
    """

    input: Shape
    output: Shape
    kernel: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def multiply_adds(self) -> int:
        """One for each weight that an output value takes."""
        rows, vectors, filters = self.output
        return rows * vectors * filters * self.kernel[0] * self.kernel[1] * self.input[2]


def convolutions(config: ModelConfig) -> list[Convolution]:
    """The convolutions of one track of ``config.vectors`` vectors, in their order.

    A block is built on shapes instead of tensors; that is enough for those that only call
    `Stage.conv`, as all built-in ones do.
    """
    found: list[Convolution] = []

    def convolve(
        x: Shape,
        name: str,
        filters: int,
        kernel: tuple[int, int],
        dilation: tuple[int, int],
        attend: bool,
    ) -> Shape:
        rows, columns = ((k - 1) * d for k, d in zip(kernel, dilation, strict=True))
        wrapped = rows if config.pitch_axis == "circular" else 0
        before = (x[0] + wrapped, x[1], x[2])
        after = (before[0] - rows, x[1] - columns, filters)
        found.append(Convolution(before, after, kernel, dilation))
        return after

    x: Shape = (config.rows, config.vectors, 1)
    for index in range(config.stages):
        stage = Stage(
            index=index,
            count=config.stages,
            kernel=config.stage_kernel(index),
            channels=config.channels,
            squeezed_channels=config.squeezed_channels,
            conv_unit=convolve,
        )
        x = blocks.registry.get(config.block).build(x, stage)
    x = (x[0] // PITCH_CLASSES, *x[1:])
    for _ in range(SUMMARY_REPEATS):
        kernel, dilation = (1, SUMMARY_KERNEL), (1, SUMMARY_DILATION)
        x = convolve(x, "summary", config.channels, kernel, dilation, True)
        x = (x[0], (x[1] - SUMMARY_POOL) // SUMMARY_STRIDE + 1, x[2])
    return found


def multiply_adds(config: ModelConfig) -> int:
    """Multiply-adds of one track, from HPCP to embedding; attention and pooling not counted."""
    head = config.channels * config.embedding_size
    return sum(convolution.multiply_adds for convolution in convolutions(config)) + head
