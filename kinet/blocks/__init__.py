"""The block registry and the `Stage` that a block is built from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kinet.config import LEAKY_SLOPE, ModelConfig
from kinet.options import chosen_options
from kinet.registry import Registry


class Unit(Protocol):
    """The steps of a convolution unit, as `kinet.model` makes them; `name` begins their names."""

    def wrap(self, x: Any, name: str, rows: int) -> Any:
        """Append the first `rows` rows on the circular pitch axis."""

    def conv(
        self,
        x: Any,
        name: str,
        filters: int,
        kernel: tuple[int, int],
        dilation: tuple[int, int] = (1, 1),
    ) -> Any:
        """A convolution alone."""

    def finish(self, x: Any, name: str, attend: bool = True, activate: bool = True) -> Any:
        """Batch normalisation, attention, LeakyReLU."""

    def crop(self, x: Any, name: str, kernel: tuple[int, int]) -> Any:
        """Take away what a convolution takes away."""


@dataclass(frozen=True)
class Stage:
    """One of the S stages, as a block sees it.

    All tensors are ``(B, rows, T, c)``. Layers are named ``stage<index>_<part>...``: give each
    part of a stage a name of its own.

    Attributes
    ----------
    index, count : int
        This stage, from 0, and S.
    kernel : tuple of int
        (rows, columns) by which this stage must widen the receptive field.
    channels, squeezed_channels : int
        Channels that leave a block, and channels where it may squeeze.
    pitch_axis : {"circular", "unrolled"}
        Whether the stage has 12 rows at both ends, or loses ``kernel[0] - 1`` of its rows.
    l2 : float
        Weight of the L2 penalty on kernels, for layers of a block's own.
    slope : float
        Of LeakyReLU where the input is negative.
    unit : Unit
        What makes the layers.
    """

    index: int
    count: int
    kernel: tuple[int, int]
    channels: int
    squeezed_channels: int
    pitch_axis: str
    l2: float
    slope: float
    unit: Unit

    @classmethod
    def of(cls, config: ModelConfig, index: int, unit: Unit) -> Stage:
        """The stage `index` of a member of the family."""
        return cls(
            index=index,
            count=config.stages,
            kernel=config.stage_kernel(index),
            channels=config.channels,
            squeezed_channels=config.squeezed_channels,
            pitch_axis=config.pitch_axis,
            l2=config.l2,
            slope=LEAKY_SLOPE,
            unit=unit,
        )

    @property
    def is_first(self) -> bool:
        """Whether this is stage 0."""
        return self.index == 0

    @property
    def is_last(self) -> bool:
        """Whether this is stage S - 1."""
        return self.index == self.count - 1

    def name(self, part: str) -> str:
        """``stage<index>_<part>``: for a layer of a block's own, the same in every model."""
        return f"stage{self.index}_{part}"

    def conv(
        self,
        x: Any,
        filters: int | None = None,
        kernel: tuple[int, int] | None = None,
        *,
        part: str = "kernel",
        dilation: tuple[int, int] = (1, 1),
        attend: bool = True,
        activate: bool = True,
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
        activate : bool
            Whether LeakyReLU is.

        Returns
        -------
        tensor
            ``(B, rows - (k_rows - 1) * d_rows, T - (k_columns - 1) * d_columns, filters)``; on the
            circular pitch axis 12 rows.
        """
        size = self.kernel if kernel is None else kernel
        x = self.wrap(x, (size[0] - 1) * dilation[0], part=part)
        wanted = self.channels if filters is None else filters
        x = self.unit.conv(x, self.name(part), wanted, size, dilation)
        return self.finish(x, part=part, attend=attend, activate=activate)

    def wrap(self, x: Any, rows: int | None = None, *, part: str = "kernel") -> Any:
        """Prepare a layer of a block's own that takes rows away: make it circular if the axis is.

        Parameters
        ----------
        x : tensor
            ``(B, R, T, c)``.
        rows : int, optional
            How many it takes away; by default those of the stage's kernel, ``kernel[0] - 1``.
        part : str
            Name within the stage.

        Returns
        -------
        tensor
            On the circular pitch axis ``(B, R + rows, T, c)``, the first rows once more below the
            last; on the unrolled one `x`.
        """
        return self.unit.wrap(x, self.name(part), self.kernel[0] - 1 if rows is None else rows)

    def finish(
        self, x: Any, *, part: str = "kernel", attend: bool = True, activate: bool = True
    ) -> Any:
        """Apply BatchNormalization -> attention -> LeakyReLU, after a layer of a block's own.

        Parameters
        ----------
        x : tensor
            ``(B, rows, T, c)``.
        part : str
            Name within the stage.
        attend, activate : bool
            Whether the model's attention is applied here, and whether LeakyReLU is.

        Returns
        -------
        tensor
            Of the shape of `x`.
        """
        return self.unit.finish(x, self.name(part), attend, activate)

    def crop(self, x: Any, *, part: str = "crop") -> Any:
        """Cut the input of a stage to the size of its output, to add it there.

        Parameters
        ----------
        x : tensor
            ``(B, R, T, c)``.
        part : str
            Name within the stage.

        Returns
        -------
        tensor
            ``(B, R - k_rows + 1, T - k_columns + 1, c)``: the first rows, on the circular pitch
            axis all 12, and the columns in the middle.
        """
        return self.unit.crop(x, self.name(part), self.kernel)


@dataclass(frozen=True)
class Block:
    """A block plug-in, which an entry point of ``kinet.blocks`` names or `register` takes.

    Attributes
    ----------
    name : str
        The name of the entry point.
    description : str
        One line for ``kinet plugins``.
    build : callable
        ``build(x, stage, **options) -> tensor``: widens the receptive field by the stage's kernel,
        from ``(B, rows, T, c)`` to ``(B, rows - k_rows + 1, T - k_columns + 1, stage.channels)``
        (on the circular pitch axis 12 rows again; before the last stage
        ``stage.squeezed_channels`` will do), and treats every row alike. `check_block` of
        `kinet.testing` proves it. Where Keras is needed, import it inside.
    defaults : mapping of str to float
        The options that `build` takes besides; one whose default is an ``int`` is a whole number.
    """

    name: str
    description: str
    build: Callable[..., Any]
    defaults: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def options(self, given: Mapping[str, float]) -> dict[str, float]:
        """What `build` takes besides tensor and stage: `given` in place of its defaults.

        Raises
        ------
        SettingsError
            If the block has no option of that name, or a value is not a number of its kind.
        """
        return chosen_options(f"block {self.name}", self.defaults, given)


registry: Registry[Block] = Registry("kinet.blocks", "block", Block)
register = registry.register
