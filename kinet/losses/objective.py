"""What a training brings down: losses with their weights and options, found and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kinet.config import ModelConfig, TrainConfig
from kinet.errors import SettingsError, unknown_name
from kinet.losses import OUTPUTS, Loss, registry


@dataclass(frozen=True)
class Part:
    """A loss with its weight, and the options in place of its defaults."""

    loss: Loss
    weight: float
    options: Mapping[str, float]


@dataclass(frozen=True)
class Objective:
    """The weighted sum of one loss or several.

    Attributes
    ----------
    parts : tuple of Part
        In the order in which they were named.

    Examples
    --------
    >>> objective = Objective.of(TrainConfig(loss={"supcon": 1, "softmax": 0.5}))
    >>> objective.outputs, objective.versions_per_song
    (('logits', 'embedding'), 4)
    """

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, training: TrainConfig) -> Objective:
        """The losses that `training` names.

        Raises
        ------
        PluginError
            If nobody knows a loss of a name.
        SettingsError
            If a loss has no such option, or an option belongs to none of them.
        """
        weights = training.losses
        options = _options_by_loss(training.loss_options, list(weights))
        parts = [Part(registry.get(name), weights[name], options[name]) for name in weights]
        for part in parts:
            part.loss.options(part.options)
        return cls(tuple(parts))

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the network must give, of `kinet.losses.OUTPUTS`, in that order."""
        wanted = {part.loss.output for part in self.parts}
        return tuple(output for output in OUTPUTS if output in wanted)

    @property
    def versions_per_song(self) -> int | None:
        """K of batches of P songs x K versions; None if no loss compares versions."""
        return max((part.loss.versions_per_song or 0 for part in self.parts), default=0) or None

    @property
    def segments(self) -> int:
        """Into how many segments a track is cut; 1 if no loss wants any.

        Raises
        ------
        SettingsError
            If losses want different numbers, or none.
        """
        wanted = {
            part.loss.name: int(part.loss.options(part.options)["segments"])
            for part in self.parts
            if part.loss.segments
        }
        if len(set(wanted.values())) > 1 or min(wanted.values(), default=1) < 1:
            found = ", ".join(f"{name} of {count}" for name, count in wanted.items())
            raise SettingsError(f"losses of segments: {found}; allowed: one number for all, from 1")
        return next(iter(wanted.values()), 1)

    def require_place(self, model: ModelConfig) -> None:
        """Refuse a neck with nothing on one of its sides.

        Raises
        ------
        SettingsError
            If the head of `model` is a batch-norm neck, and no loss stands before it or behind it.
        """
        if model.head == "bnneck" and ("embedding" not in self.outputs or len(self.outputs) < 2):
            raise SettingsError(
                f"head bnneck with the loss {','.join(part.loss.name for part in self.parts)}; "
                "allowed: a loss that compares, before the neck, and one over songs, behind it, "
                "such as supcon,softmax"
            )

    def keras_losses(self) -> dict[str, Any]:
        """For every one of `outputs` the Keras loss of it."""
        return {
            output: _weighted(part for part in self.parts if part.loss.output == output)
            for output in self.outputs
        }


def losses_of(text: str) -> str | dict[str, float]:
    """What `TrainConfig.loss` takes, from ``NAME`` or ``NAME[:WEIGHT],...``.

    Raises
    ------
    SettingsError
        If a loss is named twice, or a weight is no number.

    Examples
    --------
    >>> losses_of("supcon"), losses_of("supcon,softmax:0.5")
    ('supcon', {'supcon': 1.0, 'softmax': 0.5})
    """
    if "," not in text and ":" not in text:
        return text
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, colon, weight = part.strip().partition(":")
        if name in weights:
            raise SettingsError(f"loss {name} is named twice in {text}; allowed: each loss once")
        try:
            weights[name] = float(weight) if colon else 1.0
        except ValueError as error:
            raise SettingsError(
                f"loss is {part.strip()}; allowed: NAME or NAME:WEIGHT, such as softmax:0.5"
            ) from error
    return weights


def _weighted(parts: Iterable[Part]) -> Any:
    losses, weights = [], []
    for part in parts:
        losses.append(part.loss.with_options(part.options))
        weights.append(part.weight)
    if weights == [1.0]:
        return losses[0]
    from kinet.losses.sums import WeightedSum

    return WeightedSum(losses, weights)


def _options_by_loss(options: Mapping[str, float], names: list[str]) -> dict[str, dict[str, float]]:
    """The options of each loss; of several, an option is called ``LOSS.OPTION``."""
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    if len(names) == 1:
        found[names[0]] = dict(options)
        return found
    for name, value in options.items():
        loss, dot, option = name.partition(".")
        if not dot:
            raise SettingsError(
                f"loss option {name}={value:g} belongs to one of {len(names)} losses; allowed: "
                f"{' or '.join(f'{loss}.{name}' for loss in names)}"
            )
        if loss not in found:
            raise SettingsError(unknown_name(f"loss of the option {name}", loss, names))
        found[loss][option] = value
    return found
