"""What the checks share: small models, how to run and to train one, what to compare."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kinet.backend import jit_compile
from kinet.checkpoint import load_model, save
from kinet.config import PITCH_CLASSES, ModelConfig
from kinet.errors import PluginError
from kinet.registry import Registry

T = TypeVar("T")

TOLERANCE = 1e-5
# Small, but with two or more channels wherever a block or an attention module squeezes: a single
# channel before a batch normalisation gets gradients that are all but zero.
SIZES: dict[str, Any] = {
    "channels": 8,
    "bottleneck_ratio": 2,
    "attention_ratio": 2,
    "time_field": 12,
    "vectors": 99,
    "embedding_size": 8,
    "l2": 0.0,  # a penalty would move weights that no gradient reaches
}
# A gradient below this share of the model's largest is rounding, not learning.
_LEAST_GRADIENT = 1e-8
_RATE = 1e3


def as_plugin(plugin: T | str, registry: Registry[T], contract: type[T]) -> T:
    """The plug-in itself, looked up if it is a name.

    Raises
    ------
    PluginError
        If it is neither a registered name nor a `contract`.
    """
    if isinstance(plugin, str):
        return registry.get(plugin)
    if not isinstance(plugin, contract):
        raise PluginError(
            f"{registry.kind} to check is a {type(plugin).__name__}; "
            f"allowed: a {contract.__module__}.{contract.__qualname__} or a registered name"
        )
    return plugin


def require(kept: bool, where: str, promise: str, received: object, expected: object) -> None:
    """Raise `PluginError` in one line unless the promise is kept."""
    if not kept:
        text = f"{where}: {promise}: received {received}; expected {expected}"
        raise PluginError(" ".join(text.split()))


def describe(config: ModelConfig) -> str:
    """S, pitch axis and attention, for messages."""
    attention = f", attention {','.join(config.attention)}" if config.attention else ""
    return f"S = {config.stages}, {config.pitch_axis} pitch axis{attention}"


def random_hpcp(rng: np.random.Generator, batch: int, vectors: int) -> np.ndarray:
    """Random HPCP ``(batch, vectors, 12)``."""
    return rng.random((batch, vectors, PITCH_CLASSES)).astype(np.float32)


def weights_of(weights: Any) -> list[np.ndarray]:
    """The values of Keras variables."""
    import keras

    return [keras.ops.convert_to_numpy(weight.value) for weight in weights]


def move_weights(model: Any, rng: np.random.Generator) -> None:
    """Move every weight off its initial value.

    A weight per row that begins as all zeros or all ones treats rows alike only until training.
    Values are only ever added, so that moving variances stay positive.
    """
    for weight in model.weights:
        value = weights_of([weight])[0]
        if np.issubdtype(value.dtype, np.floating):
            weight.assign(value + 0.1 * rng.random(value.shape).astype(value.dtype))


def run(model: Any, hpcp: np.ndarray) -> Any:
    """Output of `model` in inference: an array, or a list of them."""
    # Tracing costs more than a single run; where whole steps are compiled, single steps cost most.
    model.run_eagerly = not jit_compile()
    model.jit_compile = jit_compile()
    return model.predict_on_batch(hpcp)


def check_gradients(model: Any, hpcp: np.ndarray, rng: np.random.Generator, where: str) -> None:
    """Train one step with a big learning rate: every trainable weight must move."""
    import keras

    before = weights_of(model.trainable_weights)
    model.compile(
        optimizer=keras.optimizers.SGD(_RATE),
        loss="mse",
        run_eagerly=not jit_compile(),
        jit_compile=jit_compile(),
    )
    targets = rng.standard_normal((len(hpcp), model.output_shape[-1])).astype(np.float32)
    with warnings.catch_warnings():
        # Keras warns of what is an error here.
        warnings.filterwarnings("ignore", "Gradients do not exist", UserWarning)
        model.train_on_batch(hpcp, targets)
    after = weights_of(model.trainable_weights)
    moved = [
        float(np.abs(new - old).max(initial=0.0)) for new, old in zip(after, before, strict=True)
    ]
    names = [weight.path for weight in model.trainable_weights]
    broken = [n for n, step in zip(names, moved, strict=True) if not np.isfinite(step)]
    require(not broken, where, "gradients are finite", f"NaN or infinity for {broken[:1]}", "none")
    largest = max(moved)
    dead = [n for n, m in zip(names, moved, strict=True) if m <= _LEAST_GRADIENT * largest]
    require(
        not dead,
        where,
        "a gradient reaches every trainable weight",
        f"none for {', '.join(dead[:3])}",
        "every weight to move in a training step",
    )


def check_round_trip(model: Any, hpcp: np.ndarray, expected: np.ndarray, where: str) -> None:
    """Save and load through `kinet.checkpoint`: the outputs must be equal."""
    with tempfile.TemporaryDirectory(prefix="kinet-") as folder:
        path = Path(folder, "model.keras")
        save(model, path)
        loaded, _ = load_model(path)
    check_close(run(loaded, hpcp), expected, where, "a saved and loaded model gives equal outputs")


def check_close(found: np.ndarray, expected: np.ndarray, where: str, promise: str) -> None:
    """Equal within `TOLERANCE`, relative to the largest value: deep stages can be very quiet."""
    difference = float(np.abs(found - expected).max())
    limit = TOLERANCE * float(np.abs(expected).max())
    require(
        difference <= limit,  # false for NaN
        where,
        promise,
        f"a difference of {difference:.1e}",
        f"at most {limit:.1e}",
    )
