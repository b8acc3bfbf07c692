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

    A block is built on shapes instead of tensors; that is enough for those that have no layers of
    their own.
    """
    shapes = _Shapes(config)
    block = blocks.registry.get(config.block)
    options = block.options(config.block_options)
    x: Shape = (config.rows, config.vectors, 1)
    for index in range(config.stages):
        x = block.build(x, Stage.of(config, index, shapes), **options)
    x = (x[0] // PITCH_CLASSES, *x[1:])
    for _ in range(SUMMARY_REPEATS):
        kernel, dilation = (1, SUMMARY_KERNEL), (1, SUMMARY_DILATION)
        x = shapes.conv(x, "summary", config.channels, kernel, dilation)
        x = (x[0], (x[1] - SUMMARY_POOL) // SUMMARY_STRIDE + 1, x[2])
    return shapes.found


class _Shapes:
    """The steps of `kinet.blocks.Unit`, on shapes; keeps the convolutions."""

    def __init__(self, config: ModelConfig) -> None:
        self.circular = config.pitch_axis == "circular"
        self.found: list[Convolution] = []

    def wrap(self, x: Shape, name: str, rows: int) -> Shape:
        return (x[0] + rows, *x[1:]) if self.circular else x

    def conv(
        self,
        x: Shape,
        name: str,
        filters: int,
        kernel: tuple[int, int],
        dilation: tuple[int, int] = (1, 1),
    ) -> Shape:
        rows, columns = ((k - 1) * d for k, d in zip(kernel, dilation, strict=True))
        after = (x[0] - rows, x[1] - columns, filters)
        self.found.append(Convolution(x, after, kernel, dilation))
        return after

    def finish(self, x: Shape, name: str, attend: bool = True, activate: bool = True) -> Shape:
        return x

    def crop(self, x: Shape, name: str, kernel: tuple[int, int]) -> Shape:
        lost = 0 if self.circular else kernel[0] - 1
        return (x[0] - lost, x[1] - kernel[1] + 1, x[2])


def multiply_adds(config: ModelConfig) -> int:
    """Multiply-adds of one track, from HPCP to embedding; attention and pooling not counted."""
    head = config.channels * config.embedding_size
    return sum(convolution.multiply_adds for convolution in convolutions(config)) + head
