"""The loss registry, and what batches each loss needs.

The Keras losses themselves, such as `SupervisedContrastive`, are here by name; they are imported,
and Keras with them, when they are first asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kinet.options import chosen_options
from kinet.registry import Registry

if TYPE_CHECKING:
    from kinet.losses.comparing import (
        BatchHardTriplet,
        NormalisedSoftmax,
        SegmentContrastive,
        SupervisedContrastive,
    )

_KERAS = ("BatchHardTriplet", "NormalisedSoftmax", "SegmentContrastive", "SupervisedContrastive")
__all__ = [
    "OUTPUTS",
    "BatchHardTriplet",
    "Loss",
    "NormalisedSoftmax",
    "SegmentContrastive",
    "SupervisedContrastive",
    "register",
    "registry",
]

OUTPUTS = ("logits", "cosines", "embedding")


@dataclass(frozen=True)
class Loss:
    """A loss plug-in, which an entry point of ``kinet.losses`` names or `register` takes.

    Attributes
    ----------
    name : str
        The name of the entry point.
    description : str
        One line for ``kinet plugins``.
    build : callable
        ``build(**options) -> keras.losses.Loss`` of ``(labels (B,), outputs (B, D))``, where
        labels are integers from 0. Import Keras inside it.
    output : {"logits", "cosines", "embedding"}
        Whether it wants a classifier's logits ``(B, songs)``, the cosines ``(B, songs)`` with a
        learned direction for each song, or the unit rows ``(B, D)``.
    versions_per_song : int or None
        K of batches of P songs x K versions; None for batches of tracks in random order.
    defaults : mapping of str to float
        The options that `build` takes; one whose default is an ``int`` is a whole number.
    segments : bool
        Whether it takes tracks as sets of segments. Then it has an option ``segments``, K from 1:
        in training every crop is cut evenly into K, and the loss gets labels ``(B K,)`` and
        outputs ``(B K, D)``, those of a track one after the other. A loss beside it takes each
        segment as a track.
    """

    name: str
    description: str
    build: Callable[..., Any]
    output: str = "logits"
    versions_per_song: int | None = None
    defaults: Mapping[str, float] = dataclasses.field(default_factory=dict)
    segments: bool = False

    def options(self, given: Mapping[str, float]) -> dict[str, float]:
        """What `build` takes: `given` in place of its defaults.

        Raises
        ------
        SettingsError
            If the loss has no option of that name, or a value is not a number of its kind.
        """
        return chosen_options(f"loss {self.name}", self.defaults, given)

    def with_options(self, options: Mapping[str, float]) -> Any:
        """The Keras loss with `options` in place of its defaults.

        Raises
        ------
        SettingsError
            As `options`.
        """
        return self.build(**self.options(options))


registry: Registry[Loss] = Registry("kinet.losses", "loss", Loss)
register = registry.register


def __getattr__(name: str) -> Any:
    if name not in _KERAS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kinet.losses import comparing

    return getattr(comparing, name)
