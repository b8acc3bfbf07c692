"""What a network of the family is: its stages, attention, lengths and sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kinet.config.family import (
    PITCH_AXES,
    PITCH_CLASSES,
    STAGE_COUNTS,
    SUMMARY_DILATION,
    SUMMARY_KERNEL,
    SUMMARY_POOL,
    SUMMARY_REPEATS,
    SUMMARY_STRIDE,
    TIME_FIELD,
    UNROLLED_ROWS,
)
from kinet.config.settings import Settings, is_count, is_from, require

POOLINGS = ("mean", "gem", "autopool")
HEADS = ("linear", "bnneck")


@dataclass(frozen=True)
class ModelConfig(Settings):
    """One member of the MulKINet-S family.

    The defaults are what the benchmarks speak for (docs/benchmarks.md): block ``wider`` with four
    stages, 64 channels and no attention. `original` gives the settings of the original code.

    Parameters
    ----------
    block : str
        Name of a registered block: ``simple``, ``bottleneck``, ``wider`` or a plug-in's.
    stages : int
        S: 1, 2, 3, 4, 6 or 12.
    attention : tuple of str
        Registered attention modules, applied in this order in every attended convolution unit.
    pitch_axis : {"circular", "unrolled"}
        12 rows with circular convolutions, or 23 rows as in the original: same weights.
    vectors : int
        Length in HPCP vectors of the crops for training and of the part that is embedded.
        With an attention module of fixed length (``temporal``) the only length accepted.
    channels : int
        Channels of the key-invariant part and of the summary.
    bottleneck_ratio : int
        Divides `channels` where a block squeezes.
    attention_ratio : int
        Divides the attended axis in the hidden layer of an attention module.
    time_field : int
        Receptive field in time of the key-invariant part, in vectors; a multiple of `stages`.
    embedding_size : int
        Length of an embedding.
    pooling : {"mean", "gem", "autopool"}
        What is left of time after the summary: the mean, as in the original, a generalised mean,
        or a mean that weighs loud moments, both with learned exponents (`kinet.layers`).
    head : {"linear", "bnneck"}
        From channels to the embedding: a linear map, batch normalisation and LeakyReLU, as in the
        original, or a linear map and a batch-norm neck (Luo et al., CVPRW 2019): losses that
        compare see what is before the normalisation, losses over songs and the embedding what is
        behind it.
    l2 : float
        Weight of the L2 penalty on all kernels.
    block_options : mapping of str to float
        Settings of the block itself, where it has some.

    Raises
    ------
    SettingsError
        If a value is outside its range. Names and options of plug-ins are checked when the model
        is built.

    Examples
    --------
    >>> ModelConfig(block="wider", stages=4).stage_kernel(1)
    (4, 13)
    """

    block: str = "wider"
    stages: int = 4
    attention: tuple[str, ...] = ()
    pitch_axis: str = "circular"
    vectors: int = 400
    channels: int = 64
    bottleneck_ratio: int = 4
    attention_ratio: int = 4
    time_field: int = TIME_FIELD
    embedding_size: int = 128
    pooling: str = "mean"
    head: str = "linear"
    l2: float = 1e-4
    block_options: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        divisors = ", ".join(map(str, STAGE_COUNTS))
        require(
            is_count(self.stages) and self.stages in STAGE_COUNTS,
            "number of stages S",
            self.stages,
            f"the divisors of {PITCH_CLASSES}: {divisors}",
        )
        require(self.pitch_axis in PITCH_AXES, "pitch axis", self.pitch_axis, ", ".join(PITCH_AXES))
        require(self.pooling in POOLINGS, "pooling", self.pooling, ", ".join(POOLINGS))
        require(self.head in HEADS, "head", self.head, ", ".join(HEADS))
        counts = ("channels", "bottleneck_ratio", "attention_ratio", "embedding_size", "vectors")
        for name in (*counts, "time_field"):
            require(is_count(getattr(self, name)), name, getattr(self, name), "an integer from 1")
        require(
            self.channels >= self.bottleneck_ratio,
            "channels",
            self.channels,
            f"at least the bottleneck ratio, {self.bottleneck_ratio}",
        )
        require(
            self.time_field % self.stages == 0,
            "time field",
            self.time_field,
            f"a multiple of the number of stages, {self.stages}",
        )
        require(is_from(0, self.l2), "L2 penalty", self.l2, "a finite number from 0")
        require(
            isinstance(self.block_options, Mapping),
            "block options",
            self.block_options,
            "names and numbers, such as {'expansion': 4}",
        )
        self._require_attention()
        require(
            self.vectors >= self.minimum_vectors,
            "feature length T",
            self.vectors,
            f"at least {self.minimum_vectors} vectors for a time field of {self.time_field}",
        )

    def _require_attention(self) -> None:
        require(
            isinstance(self.attention, tuple | list)
            and all(isinstance(name, str) for name in self.attention),
            "attention",
            self.attention,
            "names of modules, such as ('channel', 'temporal')",
        )
        require(
            len(set(self.attention)) == len(self.attention),
            "attention",
            ",".join(self.attention),
            "each module once",
        )

    @classmethod
    def original(cls, **others: Any) -> ModelConfig:
        """The settings that the original code has where one gives none, `others` in their place.

        Those of the repository of MulKINet: S = 12, both attention modules, 256 channels, 23 rows.

        Examples
        --------
        >>> ModelConfig.original(pitch_axis="circular").attention
        ('channel', 'temporal')
        """
        settings = {"stages": PITCH_CLASSES, "attention": ("channel", "temporal")}
        settings |= {"pitch_axis": "unrolled", "channels": 256}
        return cls(**{**settings, **others})

    def stage_kernel(self, index: int) -> tuple[int, int]:
        """Kernel (rows, columns) of a stage: ``(12/S, 48/S)``, after stage 0 one more of each."""
        later = int(index > 0)
        return PITCH_CLASSES // self.stages + later, self.time_field // self.stages + later

    @property
    def squeezed_channels(self) -> int:
        """Channels where a block squeezes."""
        return self.channels // self.bottleneck_ratio

    @property
    def rows(self) -> int:
        """Rows that enter the first stage."""
        return UNROLLED_ROWS if self.pitch_axis == "unrolled" else PITCH_CLASSES

    @property
    def minimum_vectors(self) -> int:
        """The least T for which one vector is left after the temporal summary."""
        length = 1
        for _ in range(SUMMARY_REPEATS):
            length = (length - 1) * SUMMARY_STRIDE + SUMMARY_POOL
            length += (SUMMARY_KERNEL - 1) * SUMMARY_DILATION
        return length + self.time_field - 1
