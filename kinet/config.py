"""Frozen, validated settings of features, model and training.

The only home of the numbers 12, 11, 23, 48 and of the divisors of 12.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from kinet.errors import SettingsError, unknown_name

PITCH_CLASSES = 12
WRAPPED_ROWS = PITCH_CLASSES - 1
UNROLLED_ROWS = PITCH_CLASSES + WRAPPED_ROWS
TIME_FIELD = 48
STAGE_COUNTS = (1, 2, 3, 4, 6, 12)
PITCH_AXES = ("unrolled", "circular")
POOLINGS = ("mean", "gem", "autopool")
HEADS = ("linear", "bnneck")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

SUMMARY_KERNEL = 10
SUMMARY_DILATION = 3
SUMMARY_POOL = 3
SUMMARY_STRIDE = 2
SUMMARY_REPEATS = 2
LEAKY_SLOPE = 0.3

C = TypeVar("C", bound="_Settings")


class _Settings:
    """To and from plain dictionaries, for JSON."""

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON-ready values."""
        values = dataclasses.asdict(self)  # type: ignore[call-overload]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
        """Build from `to_dict`'s values; names that do not exist are refused."""
        known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        for name in values:
            if name not in known:
                raise SettingsError(unknown_name("setting", name, known))
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _require(condition: bool, setting: str, value: object, allowed: str) -> None:
    if not condition:
        raise SettingsError(f"{setting} is {value!r}; allowed: {allowed}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_from(least: float, value: object, end: float = math.inf) -> bool:
    return _is_number(value) and least <= value < end  # type: ignore[operator]


def _is_count(value: object, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


# Beyond these there is no music, but memory and time without end.
_FEATURE_COUNTS = (
    ("sample_rate", 1, 768_000),
    ("frame_size", 2, 2**20),
    ("hop_size", 1, 2**20),
    ("maximum_peaks", 1, 10_000),
    ("bins", 1, 1_200),
    ("harmonics", 0, 1_000),
    ("frames_per_vector", 1, 2**20),
)
_FEATURE_NUMBERS = (
    ("minimum_frequency", 0.0),
    ("maximum_frequency", 0.0),
    ("magnitude_threshold", 0.0),
    ("reference_frequency", 1e-3),
    ("weighting_window", 0.0),
)


@dataclass(frozen=True)
class FeatureConfig(_Settings):
    """How the HPCP were made: section "features" of every model file.

    The defaults are the settings with which the data of MulKINet were made (Essentia's HPCP at
    44.1 kHz, groups of 20 frames summed and divided by their maximum). Frequencies are in Hz,
    sizes in samples, the weighting window in semitones. Steps that no other setting names, such as
    spectral whitening, stand in words in `other_processing`: features from elsewhere can have
    some, those that kinet makes have none.

    Raises
    ------
    SettingsError
        If a number is outside its range. Which windows and weightings there are is known where
        they are used: features from elsewhere may have others.
    """

    sample_rate: int = 44100
    frame_size: int = 4096
    hop_size: int = 1024
    window: str = "blackmanharris92"
    minimum_frequency: float = 40.0
    maximum_frequency: float = 5000.0
    maximum_peaks: int = 30
    magnitude_threshold: float = 1e-5
    bins: int = PITCH_CLASSES
    reference_frequency: float = 440.0
    harmonics: int = 7
    weighting: str = "squaredCosine"
    weighting_window: float = 4 / 3
    frame_normalisation: str = "unitMax"
    frames_per_vector: int = 20
    other_processing: str = ""

    def __post_init__(self) -> None:
        for name, least, most in _FEATURE_COUNTS:
            value = getattr(self, name)
            fits = _is_count(value, least) and value <= most
            _require(fits, name, value, f"an integer from {least} to {most}")
        for name, lowest in _FEATURE_NUMBERS:
            value = getattr(self, name)
            _require(_is_from(lowest, value), name, value, f"a finite number from {lowest:g}")
        _require(
            self.minimum_frequency < self.maximum_frequency,
            "maximum_frequency",
            self.maximum_frequency,
            f"above the minimum frequency, {self.minimum_frequency}",
        )
        for name in ("window", "weighting", "frame_normalisation", "other_processing"):
            _require(isinstance(getattr(self, name), str), name, getattr(self, name), "text")

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ when any setting does."""
        values = self.to_dict()
        if not self.other_processing:  # so that it is what it was before there was this setting
            del values["other_processing"]
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def described(self) -> dict[str, Any]:
        """The settings and their fingerprint, JSON-ready: what lies beside features.

        Examples
        --------
        >>> sorted(FeatureConfig().described())
        ['features', 'fingerprint']
        """
        return {"fingerprint": self.fingerprint(), "features": self.to_dict()}

    @classmethod
    def from_described(cls, values: Mapping[str, Any]) -> FeatureConfig:
        """Build from `described`'s values.

        Raises
        ------
        SettingsError
            If a setting cannot be used, or the fingerprint is that of other settings.
        KeyError, TypeError, AttributeError
            If the values are something else.
        """
        config, written = cls.from_dict(values["features"]), values["fingerprint"]
        if written != config.fingerprint():
            raise SettingsError(
                f"the settings have the fingerprint {config.fingerprint()}, but {written} is "
                "written there"
            )
        return config

    @property
    def seconds_per_vector(self) -> float:
        """Duration of one HPCP vector in seconds."""
        return self.frames_per_vector * self.hop_size / self.sample_rate


@dataclass(frozen=True)
class ModelConfig(_Settings):
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
        _require(
            _is_count(self.stages) and self.stages in STAGE_COUNTS,
            "number of stages S",
            self.stages,
            f"the divisors of {PITCH_CLASSES}: {divisors}",
        )
        _require(
            self.pitch_axis in PITCH_AXES, "pitch axis", self.pitch_axis, ", ".join(PITCH_AXES)
        )
        _require(self.pooling in POOLINGS, "pooling", self.pooling, ", ".join(POOLINGS))
        _require(self.head in HEADS, "head", self.head, ", ".join(HEADS))
        counts = ("channels", "bottleneck_ratio", "attention_ratio", "embedding_size", "vectors")
        for name in (*counts, "time_field"):
            _require(_is_count(getattr(self, name)), name, getattr(self, name), "an integer from 1")
        _require(
            self.channels >= self.bottleneck_ratio,
            "channels",
            self.channels,
            f"at least the bottleneck ratio, {self.bottleneck_ratio}",
        )
        _require(
            self.time_field % self.stages == 0,
            "time field",
            self.time_field,
            f"a multiple of the number of stages, {self.stages}",
        )
        _require(_is_from(0, self.l2), "L2 penalty", self.l2, "a finite number from 0")
        _require(
            isinstance(self.block_options, Mapping),
            "block options",
            self.block_options,
            "names and numbers, such as {'expansion': 4}",
        )
        _require(
            isinstance(self.attention, tuple | list)
            and all(isinstance(name, str) for name in self.attention),
            "attention",
            self.attention,
            "names of modules, such as ('channel', 'temporal')",
        )
        _require(
            len(set(self.attention)) == len(self.attention),
            "attention",
            ",".join(self.attention),
            "each module once",
        )
        _require(
            self.vectors >= self.minimum_vectors,
            "feature length T",
            self.vectors,
            f"at least {self.minimum_vectors} vectors for a time field of {self.time_field}",
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


@dataclass(frozen=True)
class TrainConfig(_Settings):
    """How a model is trained.

    The defaults are the original's but for the loss: the benchmarks speak for ``supcon``.

    Parameters
    ----------
    loss : str or mapping of str to float
        Name of a registered loss, or names with their weights in a sum:
        ``{"supcon": 1, "softmax": 0.5}``.
    batch_size : int
        Tracks in a batch. With a loss that compares versions, songs times `versions_per_song`.
    versions_per_song : int or None
        Versions of one song in a batch; None takes the loss's own number.
    epochs : int
        Epochs of the cosine schedule ``lr * 0.5 * (1 + cos(pi * epoch / epochs))``.
    learning_rate : float
        Adam's rate in the first epoch.
    warmup : int
        Steps in which the rate rises from 0; after them the cosine falls step by step, not epoch
        by epoch.
    averaging : float
        From 0 to below 1: how much of the moving average of the weights, which is what is
        validated and kept as the best, is left after a step. 0 keeps the weights as they are.
    dropout : float
        Before the classifier of a loss that has one.
    precision : str
        A Keras dtype policy: ``float32``, ``mixed_bfloat16`` or ``mixed_float16``.
    seed : int
        Of weights, crops, order and dropout.
    patience : int or None
        Stop after this many epochs without a better validation MAP; None never stops early.
    loss_options : mapping of str to float
        Settings of the loss itself, such as the margin; of several losses ``triplet.margin``.
    freeze : bool
        Whether all but the head stays as it is in the model that training starts from; the head
        begins anew, and may have another size. Yesiler, Serrà and Gómez, "Less is more: Faster and
        better music version identification with embedding distillation", ISMIR 2020, call this
        latent space reconfiguration.

    Examples
    --------
    >>> TrainConfig().losses, TrainConfig(loss={"supcon": 1, "softmax": 0.5}).losses
    ({'supcon': 1.0}, {'supcon': 1, 'softmax': 0.5})
    """

    loss: str | Mapping[str, float] = "supcon"
    batch_size: int = 32
    versions_per_song: int | None = None
    epochs: int = 100
    learning_rate: float = 1e-3
    warmup: int = 0
    averaging: float = 0.0
    dropout: float = 0.5
    precision: str = "float32"
    seed: int = 0
    patience: int | None = None
    loss_options: Mapping[str, float] = dataclasses.field(default_factory=dict)
    freeze: bool = False

    def __post_init__(self) -> None:
        named = isinstance(self.loss, str | Mapping) and bool(self.loss)
        _require(
            named and all(_is_number(w) and 0 < w < math.inf for w in self.losses.values()),
            "loss",
            self.loss,
            "a name, or names with weights above 0, such as {'supcon': 1, 'softmax': 0.5}",
        )
        _require(_is_count(self.batch_size), "batch size", self.batch_size, "an integer from 1")
        _require(_is_count(self.epochs), "number of epochs", self.epochs, "an integer from 1")
        rate = self.learning_rate
        fits = _is_from(0, rate) and rate > 0
        _require(fits, "learning rate", rate, "a finite number above 0")
        _require(_is_count(self.warmup, 0), "warm-up", self.warmup, "an integer from 0, in steps")
        for name in ("averaging", "dropout"):
            value = getattr(self, name)
            _require(_is_from(0, value, 1), name, value, "from 0 to below 1")
        _require(self.precision in PRECISIONS, "precision", self.precision, ", ".join(PRECISIONS))
        _require(_is_count(self.seed, 0), "seed", self.seed, "an integer from 0")
        _require(isinstance(self.freeze, bool), "freeze", self.freeze, "True or False")
        _require(
            self.patience is None or _is_count(self.patience),
            "patience",
            self.patience,
            "an integer from 1",
        )
        _require(
            self.versions_per_song is None or _is_count(self.versions_per_song, 2),
            "versions per song",
            self.versions_per_song,
            "an integer from 2",
        )

    @property
    def losses(self) -> dict[str, float]:
        """The losses by name, with their weights."""
        return {self.loss: 1.0} if isinstance(self.loss, str) else dict(self.loss)

    @classmethod
    def original(cls, **others: Any) -> TrainConfig:
        """The settings that the original code has where one gives none, `others` in their place.

        Examples
        --------
        >>> TrainConfig.original(epochs=20).loss
        'softmax'
        """
        return cls(**{"loss": "softmax", **others})
