"""`check_block`: the promises of a block plug-in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kinet import blocks
from kinet.backend import choose, seed_everything
from kinet.blocks import Block, Stage
from kinet.config import PITCH_AXES, PITCH_CLASSES, STAGE_COUNTS, ModelConfig
from kinet.errors import PluginError, first_line
from kinet.testing import probes

_BATCH = 6
_TURN = 5  # semitones; has no factor in common with 12
_NAMED_STAGES = 2  # up to this S a second model is built, to compare names


def check_block(
    block: Block | str,
    stages: Sequence[int] = STAGE_COUNTS,
    pitch_axes: Sequence[str] = PITCH_AXES,
    attention: Sequence[str] = (),
    *,
    options: Mapping[str, float] | None = None,
    gradients: bool = True,
) -> None:
    """Prove that a block keeps its promises, in small models of every S on both pitch axes.

    Each stage gives ``(B, rows - k_rows + 1, T - k_columns + 1, channels)``, on the circular axis
    12 rows; rotating the rows of the input rotates those of every stage and leaves the embedding
    as it is; layers have names of their own, which do not change from one model to the next; a
    gradient reaches every weight; a saved model loads and gives equal outputs.

    Parameters
    ----------
    block : Block or str
        The plug-in, or the name of a registered one.
    stages : sequence of int
        The S to check, of 1, 2, 3, 4, 6 and 12.
    pitch_axes : sequence of str
        The pitch axes to check, of ``unrolled`` and ``circular``.
    attention : sequence of str
        Registered attention modules to check it with. On the unrolled axis attention itself
        breaks the symmetry of rows (wrapped rows count twice), so it is not checked there then.
    options : mapping of str to float, optional
        Options of the block in place of its defaults.
    gradients : bool
        Whether to train a step; that is what takes longest on JAX.

    Raises
    ------
    PluginError
        If a promise is broken: which one, for which S and pitch axis, what was received and what
        was expected.
    SettingsError
        If `stages` or `pitch_axes` hold something else, or the block has no such option.

    Examples
    --------
    >>> check_block("simple", stages=[1], pitch_axes=["circular"])
    """
    block = probes.as_plugin(block, blocks.registry, Block)
    choose()
    for count in stages:
        for axis in pitch_axes:
            config = ModelConfig(
                block=block.name,
                stages=count,
                pitch_axis=axis,
                attention=tuple(attention),
                block_options=dict(options or {}),
                **probes.SIZES,
            )
            with blocks.registry.registered(block):
                _check(block, config, gradients)


def _check(block: Block, config: ModelConfig, gradients: bool) -> None:
    where = f"block {block.name!r}, {probes.describe(config)}"
    seed_everything(0)
    rng = np.random.default_rng(0)
    model, outputs = _build(block, config, where)
    _check_lengths(model, outputs, config, where)
    if config.stages <= _NAMED_STAGES:
        _check_names(model, _build(block, config, where)[0], where)
    probes.move_weights(model, rng)
    hpcp, embeddings = _run_stages(model, outputs, config, rng, where)
    probes.check_round_trip(model, hpcp, embeddings, where)
    if gradients:
        probes.check_gradients(model, hpcp, rng, where)


def _build(block: Block, config: ModelConfig, where: str) -> tuple[Any, list[Any]]:
    """The embedder, and the output of each stage."""
    from kinet.model import build_embedder

    outputs: list[Any] = []

    def build(x: Any, stage: Stage, **options: float) -> Any:
        output = block.build(x, stage, **options)
        _check_shape(output, x.shape, stage, config, where)
        outputs.append(output)
        return output

    with blocks.registry.registered(dataclasses.replace(block, build=build)):
        try:
            return build_embedder(config), outputs
        except (TypeError, ValueError) as error:
            raise PluginError(
                f"{where}: a model is built: received {first_line(error)}; expected no error"
            ) from error


def _check_shape(
    output: Any, before: Sequence[int | None], stage: Stage, config: ModelConfig, where: str
) -> None:
    rows, vectors = before[1], before[2]
    assert rows is not None
    left = rows - stage.kernel[0] + 1 if config.pitch_axis == "unrolled" else PITCH_CLASSES
    later = None if vectors is None else vectors - stage.kernel[1] + 1
    found = getattr(output, "shape", None)
    # Before the last stage a block may hand on what it squeezed.
    channels = [stage.channels] if stage.is_last else [stage.channels, stage.squeezed_channels]
    probes.require(
        found is not None and tuple(found) in [(None, left, later, count) for count in channels],
        f"{where}, stage {stage.index}",
        "shape (B, rows - k_rows + 1, T - k_columns + 1, channels), or 12 rows on a circular axis",
        type(output).__name__ if found is None else tuple(found),
        (None, left, later, stage.channels),
    )


def _check_lengths(model: Any, outputs: list[Any], config: ModelConfig, where: str) -> None:
    """The time axis of every stage, which is not known while a model for any T is built."""
    import keras

    # The first one twice, so that it is a list for S = 1 too.
    part = keras.Model(model.input, [outputs[0], *outputs])
    shapes = part.compute_output_shape((_BATCH, config.vectors, PITCH_CLASSES))[1:]
    left = config.vectors
    for index, shape in enumerate(shapes):
        left -= config.stage_kernel(index)[1] - 1
        expected = (*shape[:2], left, shape[3])
        probes.require(
            tuple(shape) == expected,
            f"{where}, stage {index}",
            "shape (B, rows - k_rows + 1, T - k_columns + 1, channels)",
            tuple(shape),
            expected,
        )


def _check_names(model: Any, again: Any, where: str) -> None:
    """Resuming finds weights by the names of their layers."""
    names = [[layer.name for layer in m.layers if layer.weights] for m in (model, again)]
    changed = sorted(set(names[0]) - set(names[1]))
    probes.require(
        not changed,
        where,
        "names of layers with weights are the same in every model",
        f"{', '.join(changed[:3])}, named by Keras",
        "names given with name=",
    )


def _run_stages(
    model: Any, outputs: list[Any], config: ModelConfig, rng: np.random.Generator, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Check the rotation of every stage; gives HPCP and their embeddings."""
    import keras

    hpcp = probes.random_hpcp(rng, _BATCH, config.vectors)
    half = _BATCH // 2
    # The second half of the batch is the first one, transposed.
    hpcp[half:] = np.roll(hpcp[:half], -_TURN, axis=2)
    *found, embeddings = probes.run(keras.Model(model.input, [*outputs, model.output]), hpcp)
    if config.attention and config.pitch_axis == "unrolled":
        return hpcp, embeddings
    for index, rows in enumerate(found):
        # All rows beyond the twelfth repeat the first ones, on the unrolled axis too.
        turned = (np.arange(rows.shape[1]) + _TURN) % PITCH_CLASSES
        probes.check_close(
            rows[half:],
            rows[:half][:, turned],
            f"{where}, stage {index}",
            "rotating the input's rows rotates the output's",
        )
    probes.check_close(
        embeddings[half:],
        embeddings[:half],
        where,
        "rotating the input's rows leaves the embedding as it is",
    )
    return hpcp, embeddings
