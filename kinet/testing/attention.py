"""`check_attention`: the promises of an attention plug-in."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from kinet import attention as modules
from kinet.attention import Attention, AttentionSettings
from kinet.backend import choose, seed_everything
from kinet.config import PITCH_AXES, PITCH_CLASSES, ModelConfig
from kinet.errors import PluginError, first_line
from kinet.testing import probes

_BATCH = 6
_TURN = 5
_LONGER = 7


def check_attention(
    attention: Attention | str,
    stages: Sequence[int] = (1, 2),
    pitch_axes: Sequence[str] = PITCH_AXES,
) -> None:
    """Prove that an attention module keeps its promises, in small models of block ``simple``.

    It keeps the shape of its input and gives finite values; unless it has ``fixed_length``, it
    is built without knowing T and takes any T; a gradient reaches every weight; a saved model
    loads and gives equal outputs; on the circular pitch axis rotating the rows of the input leaves
    the embedding as it is.

    Parameters
    ----------
    attention : Attention or str
        The plug-in, or the name of a registered one.
    stages : sequence of int
        The S to check, of 1, 2, 3, 4, 6 and 12.
    pitch_axes : sequence of str
        The pitch axes to check, of ``unrolled`` and ``circular``.

    Raises
    ------
    PluginError
        If a promise is broken: which one, for which S and pitch axis, what was received and what
        was expected.
    SettingsError
        If `stages` or `pitch_axes` hold something else.

    Examples
    --------
    >>> check_attention("channel", stages=[1], pitch_axes=["circular"])
    """
    attention = probes.as_plugin(attention, modules.registry, Attention)
    choose()
    for count in stages:
        for axis in pitch_axes:
            config = ModelConfig(
                block="simple",
                stages=count,
                pitch_axis=axis,
                attention=(attention.name,),
                **probes.SIZES,
            )
            with modules.registry.registered(attention):
                _check(attention, config)


def _check(attention: Attention, config: ModelConfig) -> None:
    settings = probes.describe(dataclasses.replace(config, attention=()))
    where = f"attention {attention.name!r}, {settings}"
    seed_everything(0)
    rng = np.random.default_rng(0)
    model, outputs = _build(attention, config, where)
    probes.move_weights(model, rng)
    hpcp = probes.random_hpcp(rng, _BATCH, config.vectors)
    half = _BATCH // 2
    hpcp[half:] = np.roll(hpcp[:half], _TURN, axis=2)
    embeddings = _run(model, outputs, hpcp, where)
    if config.pitch_axis == "circular":
        probes.check_close(
            embeddings[half:],
            embeddings[:half],
            where,
            "rotating the input's rows leaves the embedding as it is",
        )
    if not attention.fixed_length:
        _check_any_length(model, rng, config.vectors + _LONGER, where)
    probes.check_round_trip(model, hpcp, embeddings, where)
    probes.check_gradients(model, hpcp, rng, where)


def _build(attention: Attention, config: ModelConfig, where: str) -> tuple[Any, list[Any]]:
    """The embedder, and every output of the module in it."""
    from kinet.model import build_embedder

    outputs: list[Any] = []

    def build(x: Any, settings: AttentionSettings) -> Any:
        output = attention.build(x, settings)
        found = getattr(output, "shape", None)
        probes.require(
            found is not None and tuple(found) == tuple(x.shape),
            where,
            "the output has the shape of the input",
            type(output).__name__ if found is None else tuple(found),
            tuple(x.shape),
        )
        outputs.append(output)
        return output

    with modules.registry.registered(dataclasses.replace(attention, build=build)):
        try:
            return build_embedder(config), outputs
        except (TypeError, ValueError) as error:
            promise = "a model is built"
            if not attention.fixed_length:
                promise = "with fixed_length=False it is built without knowing T"
            raise PluginError(
                f"{where}: {promise}: received {first_line(error)}; expected no error"
            ) from error


def _run(model: Any, outputs: list[Any], hpcp: np.ndarray, where: str) -> np.ndarray:
    import keras

    *found, embeddings = probes.run(keras.Model(model.input, [*outputs, model.output]), hpcp)
    for values in (*found, embeddings):
        bad = int(np.size(values) - np.isfinite(values).sum())
        probes.require(
            not bad, where, "values are finite", f"{bad} of {np.size(values)} that are not", "none"
        )
    return np.asarray(embeddings)


def _check_any_length(model: Any, rng: np.random.Generator, vectors: int, where: str) -> None:
    promise = "with fixed_length=False a model takes any T"
    try:
        # Shapes alone tell: every backend has errors of its own for running with wrong ones.
        model.compute_output_shape((_BATCH, vectors, PITCH_CLASSES))
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"{where}: {promise}: received {first_line(error)} for T = {vectors}; expected no error"
        ) from error
    values = probes.run(model, probes.random_hpcp(rng, 2, vectors))
    probes.require(
        bool(np.isfinite(values).all()), where, promise, f"NaN for T = {vectors}", "finite values"
    )
