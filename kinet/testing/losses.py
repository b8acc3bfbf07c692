"""`check_loss`: the promises of a loss plug-in."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinet import losses
from kinet.backend import choose, jit_compile, seed_everything
from kinet.errors import PluginError, SettingsError, first_line
from kinet.losses import OUTPUTS, Loss
from kinet.testing import probes

_SONGS = np.array([0, 0, 1, 1, 2, 2, 3, 3], np.int32)
_SIZE = 6
_STEPS = 30


def check_loss(loss: Loss | str) -> None:
    """Prove that a loss keeps its promises, on batches of eight made-up outputs.

    It declares what it wants and takes the options of its ``defaults``; value and gradient are
    finite, also for equal versions, songs with one version, a batch of one song, labels and
    outputs of other number types and, for logits, a confident wrong answer; the order of the
    batch does not matter; training brings it down.

    Parameters
    ----------
    loss : Loss or str
        The plug-in, or the name of a registered one.

    Raises
    ------
    PluginError
        If a promise is broken: which one, what was received and what was expected.

    Examples
    --------
    >>> check_loss("softmax")
    """
    loss = probes.as_plugin(loss, losses.registry, Loss)
    where = f"loss {loss.name!r}"
    _check_declaration(loss, where)
    choose()
    seed_everything(0)
    rng = np.random.default_rng(0)
    _build(loss, where)
    outputs = _outputs(loss, rng)
    for case, labels, rows in _cases(loss, outputs):
        value = _value(loss, labels, rows, where)
        probes.require(bool(np.isfinite(value)), where, f"finite for {case}", value, "a number")
        _check_gradient(loss, labels, rows, f"{where}, {case}")
    _check_order(loss, outputs, rng, where)
    _check_types(loss, outputs, where)
    _check_learning(loss, outputs, where)


def _check_declaration(loss: Loss, where: str) -> None:
    probes.require(loss.output in OUTPUTS, where, "output", repr(loss.output), " or ".join(OUTPUTS))
    versions = loss.versions_per_song
    probes.require(
        versions is None or (isinstance(versions, int) and versions >= 2),
        where,
        "versions_per_song",
        repr(versions),
        "None or an integer from 2",
    )


def _build(loss: Loss, where: str) -> Any:
    import keras

    try:
        built = loss.with_options(loss.defaults)
    except (TypeError, ValueError, SettingsError) as error:
        raise PluginError(
            f"{where}: build takes the options of defaults: received {first_line(error)}; "
            f"expected keywords {', '.join(loss.defaults) or 'none'}"
        ) from error
    probes.require(
        isinstance(built, keras.losses.Loss),
        where,
        "build gives a loss",
        type(built).__name__,
        "a keras.losses.Loss",
    )
    return built


def _outputs(loss: Loss, rng: np.random.Generator) -> np.ndarray:
    """Outputs ``(B, D)`` as a model gives them, exact in 16 bits."""
    rows = rng.standard_normal((len(_SONGS), _SIZE))
    if loss.output == "embedding":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16).astype(np.float32)


def _cases(loss: Loss, outputs: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
    twins = outputs.copy()
    twins[1] = twins[0]
    alone = _SONGS.copy()
    alone[0] = _SIZE - 1
    cases = [
        ("any batch", _SONGS, outputs),
        ("two equal versions", _SONGS, twins),
        ("equal versions of different songs", _SONGS, np.repeat(outputs[:1], len(_SONGS), axis=0)),
        ("songs with one version", alone, outputs),
        ("a batch of one song", np.zeros_like(_SONGS), outputs),
    ]
    if loss.output == "logits":
        wrong = np.where(np.eye(_SIZE)[_SONGS] == 1, -1e4, 1e4).astype(np.float32)
        cases.append(("a confident wrong answer", _SONGS, wrong))
    return cases


def _value(loss: Loss, labels: np.ndarray, outputs: np.ndarray, where: str) -> float:
    import keras

    built = _build(loss, where)
    value = keras.ops.convert_to_numpy(
        built(keras.ops.convert_to_tensor(labels), keras.ops.convert_to_tensor(outputs))
    )
    probes.require(value.shape == (), where, "the loss of a batch is one number", value.shape, ())
    return float(value)


def _model(loss: Loss, outputs: np.ndarray, optimizer: Any, where: str) -> Any:
    """A model whose weights are the outputs themselves."""
    import keras

    model = keras.Sequential([keras.Input((len(outputs),))])
    model.add(keras.layers.Dense(outputs.shape[1], use_bias=False))
    model.layers[0].set_weights([outputs])
    if loss.output == "embedding":
        model.add(keras.layers.UnitNormalization())
    model.compile(
        optimizer=optimizer,
        loss=_build(loss, where),
        run_eagerly=not jit_compile(),
        jit_compile=jit_compile(),
    )
    return model


def _check_gradient(loss: Loss, labels: np.ndarray, outputs: np.ndarray, where: str) -> None:
    import keras

    model = _model(loss, outputs, keras.optimizers.SGD(1.0), where)
    model.train_on_batch(np.eye(len(labels), dtype=np.float32), labels)
    after = model.get_weights()[0]
    bad = int(after.size - np.isfinite(after).sum())
    probes.require(
        not bad, where, "the gradient is finite", f"{bad} of {after.size} values NaN", "none"
    )


def _check_order(loss: Loss, outputs: np.ndarray, rng: np.random.Generator, where: str) -> None:
    order = rng.permutation(len(_SONGS))
    probes.check_close(
        np.array(_value(loss, _SONGS[order], outputs[order], where)),
        np.array(_value(loss, _SONGS, outputs, where)),
        where,
        "the order of the batch does not matter",
    )


def _check_types(loss: Loss, outputs: np.ndarray, where: str) -> None:
    expected = np.array(_value(loss, _SONGS, outputs, where))
    for labels, rows in (("int64", "float32"), ("uint8", "float32"), ("int32", "float16")):
        value = _value(loss, _SONGS.astype(labels), outputs.astype(rows), where)
        probes.check_close(
            np.array(value), expected, where, f"labels of {labels} and outputs of {rows} do as well"
        )


def _check_learning(loss: Loss, outputs: np.ndarray, where: str) -> None:
    import keras

    model = _model(loss, outputs, keras.optimizers.Adam(0.1), where)
    inputs = np.eye(len(_SONGS), dtype=np.float32)
    values = [float(model.train_on_batch(inputs, _SONGS)) for _ in range(_STEPS)]
    probes.require(
        values[-1] < values[0],
        where,
        f"{_STEPS} steps of training on one batch bring it down",
        f"{values[0]:.4g} before, {values[-1]:.4g} after",
        "a smaller value",
    )
