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
    """Prove that a loss keeps its promises, on batches of eight made-up tracks.

    It declares what it wants and takes the options of its ``defaults``; value and gradient are
    finite, also for equal versions, songs with one version, a batch of one song, labels and
    outputs of other number types and, for logits, a confident wrong answer; the order of the
    batch does not matter, and that of a track's segments, where it takes these; training brings
    it down.

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
    if loss.segments:
        _check_order_of_segments(loss, outputs, where)
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
    if not loss.segments:
        return
    count = loss.defaults.get("segments")
    probes.require(
        isinstance(count, int) and count >= 1,
        where,
        "with segments=True an option segments",
        repr(count),
        "an integer from 1",
    )
    probes.require(loss.output == "embedding", where, "output", repr(loss.output), "embedding")


def _songs(loss: Loss) -> np.ndarray:
    """The labels of a batch: of every segment, where the loss takes these."""
    return np.repeat(_SONGS, _rows_of_a_track(loss))


def _rows_of_a_track(loss: Loss) -> int:
    return int(loss.options({})["segments"]) if loss.segments else 1


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
    rows = rng.standard_normal((len(_songs(loss)), _SIZE))
    if loss.output != "logits":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16).astype(np.float32)


def _cases(loss: Loss, outputs: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
    songs, size = _songs(loss), _rows_of_a_track(loss)
    twins = outputs.copy()
    twins[size : 2 * size] = twins[:size]
    alone = songs.copy()
    alone[:size] = _SIZE - 1
    cases = [
        ("any batch", songs, outputs),
        ("two equal versions", songs, twins),
        ("equal versions of different songs", songs, np.repeat(outputs[:1], len(songs), axis=0)),
        ("songs with one version", alone, outputs),
        ("a batch of one song", np.zeros_like(songs), outputs),
    ]
    if loss.output == "logits":
        wrong = np.where(np.eye(_SIZE)[songs] == 1, -1e4, 1e4).astype(np.float32)
        cases.append(("a confident wrong answer", songs, wrong))
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
    if loss.output != "logits":
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
    songs = _songs(loss)
    order = np.arange(len(songs)).reshape(len(_SONGS), -1)[rng.permutation(len(_SONGS))].ravel()
    probes.check_close(
        np.array(_value(loss, songs[order], outputs[order], where)),
        np.array(_value(loss, songs, outputs, where)),
        where,
        "the order of the batch does not matter",
    )


def _check_order_of_segments(loss: Loss, outputs: np.ndarray, where: str) -> None:
    tracks = outputs.reshape(len(_SONGS), -1, _SIZE).copy()
    tracks[0] = tracks[0, ::-1]
    probes.check_close(
        np.array(_value(loss, _songs(loss), tracks.reshape(outputs.shape), where)),
        np.array(_value(loss, _songs(loss), outputs, where)),
        where,
        "the order of the segments of a track does not matter",
    )


def _check_types(loss: Loss, outputs: np.ndarray, where: str) -> None:
    songs = _songs(loss)
    expected = np.array(_value(loss, songs, outputs, where))
    for labels, rows in (("int64", "float32"), ("uint8", "float32"), ("int32", "float16")):
        value = _value(loss, songs.astype(labels), outputs.astype(rows), where)
        probes.check_close(
            np.array(value), expected, where, f"labels of {labels} and outputs of {rows} do as well"
        )


def _check_learning(loss: Loss, outputs: np.ndarray, where: str) -> None:
    import keras

    model = _model(loss, outputs, keras.optimizers.Adam(0.1), where)
    songs = _songs(loss)
    inputs = np.eye(len(songs), dtype=np.float32)
    values = [float(model.train_on_batch(inputs, songs)) for _ in range(_STEPS)]
    probes.require(
        values[-1] < values[0],
        where,
        f"{_STEPS} steps of training on one batch bring it down",
        f"{values[0]:.4g} before, {values[-1]:.4g} after",
        "a smaller value",
    )
