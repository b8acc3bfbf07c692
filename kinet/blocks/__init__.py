"""The block registry and the `Stage` that a block is built from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from kinet.registry import Registry


class ConvUnit(Protocol):
    """Conv -> BN -> attention -> LeakyReLU, as `kinet.model` makes it."""

    def __call__(
        self,
        x: Any,
        name: str,
        filters: int,
        kernel: tuple[int, int],
        dilation: tuple[int, int],
        attend: bool,
    ) -> Any: ...


@dataclass(frozen=True)
class Stage:
    """One of the S stages, as a block sees it.

    Attributes
    ----------
    index, count : int
        This stage, from 0, and S.
    kernel : tuple of int
        (rows, columns) by which this stage must widen the receptive field.
    channels, squeezed_channels : int
        Channels that leave a block, and channels where it may squeeze.
    """

    index: int
    count: int
    kernel: tuple[int, int]
    channels: int
    squeezed_channels: int
    conv_unit: ConvUnit

    @property
    def is_first(self) -> bool:
        """Whether this is stage 0."""
        return self.index == 0

    @property
    def is_last(self) -> bool:
        """Whether this is stage S - 1."""
        return self.index == self.count - 1

    def conv(
        self,
        x: Any,
        filters: int | None = None,
        kernel: tuple[int, int] | None = None,
        *,
        part: str = "kernel",
        dilation: tuple[int, int] = (1, 1),
        attend: bool = True,
    ) -> Any:
        """Apply Conv2D -> BatchNormalization -> attention -> LeakyReLU.

        Parameters
        ----------
        x : tensor
            ``(B, rows, T, c)``.
        filters : int, optional
            Output channels; by default `channels`.
        kernel : tuple of int, optional
            (rows, columns); by default the stage's. Rows wrap around on the circular pitch axis.
        part : str
            Name of this convolution within the stage, for the names of its layers.
        dilation : tuple of int
            Dilation of the kernel in (rows, columns).
        attend : bool
            Whether the model's attention is applied here.

        Returns
        -------
        tensor
            ``(B, rows - (k_rows - 1) * d_rows, T - (k_columns - 1) * d_columns, filters)``; on the
            circular pitch axis 12 rows.
        """
        return self.conv_unit(
            x,
            f"stage{self.index}_{part}",
            self.channels if filters is None else filters,
            self.kernel if kernel is None else kernel,
            dilation,
            attend,
        )


@dataclass(frozen=True)
class Block:
    """A block plug-in, the object that an entry point of ``kinet.blocks`` names.

    Attributes
    ----------
    name : str
        The name of the entry point.
    description : str
        One line for ``kinet plugins``.
    build : callable
        ``build(x, stage) -> tensor``: widens the receptive field by the stage's kernel, from
        ``(B, rows, T, c)`` to ``(B, rows - k_rows + 1, T - k_columns + 1, stage.channels)`` (on
        the circular pitch axis 12 rows again; before the last stage ``stage.squeezed_channels``
        will do), and treats every row alike. `check_block` of `kinet.testing` proves it. Where
        Keras is needed, import it inside.
    """

    name: str
    description: str
    build: Callable[[Any, Stage], Any]


registry: Registry[Block] = Registry("kinet.blocks", "block", Block)
