"""The attention registry: modules that a convolution unit applies after its batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kinet.registry import Registry


@dataclass(frozen=True)
class AttentionSettings:
    """Where an attention module is built.

    Attributes
    ----------
    name : str
        For its layers: unique in the model; add a suffix where there is more than one layer.
    ratio : int
        The attended axis is squeezed by this factor between two layers.
    l2 : float
        Weight of the L2 penalty on kernels.
    """

    name: str
    ratio: int
    l2: float


@dataclass(frozen=True)
class Attention:
    """An attention plug-in, which an entry point of ``kinet.attention`` names or `register` takes.

    Attributes
    ----------
    name : str
        The name of the entry point.
    description : str
        One line for ``kinet plugins``.
    build : callable
        ``build(x, settings) -> tensor``: from a Keras tensor ``(B, rows, T, C)`` to one of the same
        shape. Import Keras inside it, so that listing plug-ins stays instant.
    fixed_length : bool
        Whether weights depend on T; a model with it takes only its own T.
    """

    name: str
    description: str
    build: Callable[[Any, AttentionSettings], Any]
    fixed_length: bool = False


registry: Registry[Attention] = Registry("kinet.attention", "attention", Attention)
register = registry.register
