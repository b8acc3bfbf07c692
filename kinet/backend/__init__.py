"""Which backend runs the model, and on which devices: this folder alone names an engine."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinet.errors import BackendError, unknown_name

if TYPE_CHECKING:
    import numpy as np

BACKENDS = ("tensorflow", "jax", "torch")


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def installed() -> list[str]:
    """The backends that can be imported here, in order of preference."""
    return [name for name in BACKENDS if importlib.util.find_spec(name) is not None]


def choose(name: str | None = None) -> str:
    """Settle the Keras backend before Keras is imported.

    Parameters
    ----------
    name : {"tensorflow", "jax", "torch"}, optional
        By default ``$KERAS_BACKEND``, then the one in ``~/.keras/keras.json`` if it is installed,
        then the first one that is.

    Returns
    -------
    str
        The backend's name, also in ``$KERAS_BACKEND``.

    Raises
    ------
    BackendError
        If it is unknown or not installed, or Keras already runs on another one.
    """
    if "keras" in sys.modules:
        current: str = sys.modules["keras"].config.backend()
        if name not in (None, current):
            raise BackendError(
                f"backend {name!r} was asked for, but Keras already runs on {current!r}; "
                "choose it in a new process"
            )
        return current
    name = name or os.environ.get("KERAS_BACKEND") or _preferred()
    if name not in BACKENDS:
        raise BackendError(unknown_name("backend", name, BACKENDS))
    if name not in installed():
        raise BackendError(
            f"backend {name!r} is not installed; installed: {', '.join(installed()) or 'none'}; "
            f'install it with: pip install "mulkinet[{name}]"'
        )
    os.environ["KERAS_BACKEND"] = name
    return name


def _preferred() -> str:
    there = installed()
    if not there:
        raise BackendError(
            "no backend is installed; install one of them with: pip install "
            + " or ".join(f'"mulkinet[{name}]"' for name in BACKENDS)
        )
    settings = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    with contextlib.suppress(OSError, ValueError):
        wanted = json.loads(settings.read_text()).get("backend")
        if wanted in there:
            return str(wanted)
    return there[0]


def import_quietly() -> None:
    """Import Keras and its backend without what their native code writes to stderr.

    TensorFlow greets there, whatever its log level. If the import fails, all is shown.
    """
    shown = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            import keras  # noqa: F401
        except BaseException:
            hidden.seek(0)
            os.write(shown, hidden.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)


def select_gpus(gpu: str | None) -> list[int] | None:
    """Make only the GPUs in `gpu` visible; call it before the backend is imported.

    Parameters
    ----------
    gpu : str or None
        ``"none"`` for the CPU, ``"0"`` for one GPU, ``"0,1"`` for several, None for whatever the
        backend finds.

    Returns
    -------
    list of int or None
        The numbers asked for, empty for the CPU; None if nothing was asked for.

    Raises
    ------
    BackendError
        If `gpu` is none of these.
    """
    if gpu is None:
        return None
    if gpu.strip().lower() in ("none", "cpu", "-1"):
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ["JAX_PLATFORMS"] = "cpu"
        return []
    if not re.fullmatch(r"\d+(,\d+)*", gpu.strip()):
        raise BackendError(f"--gpu is {gpu!r}; allowed: none, a number such as 0, or a list as 0,1")
    numbers = [int(number) for number in gpu.split(",")]
    if len(set(numbers)) < len(numbers):
        raise BackendError(f"--gpu is {gpu!r}; allowed: every number once")
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, numbers))
    return numbers


def check_gpus(numbers: list[int] | None) -> None:
    """Raise `BackendError` if the running backend does not see the GPUs that were selected."""
    if not numbers:
        return
    import keras

    seen = _gpus()
    if seen < len(numbers):
        raise BackendError(
            f"--gpu {','.join(map(str, numbers))}: the backend {keras.config.backend()!r} sees "
            f"{seen} of {len(numbers)}; use --gpu none, or install the backend's GPU build"
        )


def _gpus() -> int:
    """How many the running backend sees."""
    import keras

    if keras.config.backend() == "torch":  # whose devices Keras does not list
        import torch

        return int(torch.cuda.device_count())
    if keras.config.backend() == "jax":  # of several processes, those of this one
        import jax

        return sum(device.platform == "gpu" for device in jax.local_devices())
    return sum(name.startswith("gpu") for name in keras.distribution.list_devices())


def seed_everything(seed: int) -> Any:
    """Seed Python, NumPy and the backend."""
    import keras

    return keras.utils.set_random_seed(seed)


def jit_compile() -> bool:
    """Whether Keras should compile whole steps: JAX must, elsewhere compiling costs short runs."""
    import keras

    return bool(keras.config.backend() == "jax")


def on_cpu() -> bool:
    """Whether the running backend computes on the CPU."""
    import keras

    if keras.config.backend() == "torch":  # whose devices Keras does not list
        return bool(keras.ops.zeros(()).device.type == "cpu")
    return all(name.startswith("cpu") for name in keras.distribution.list_devices())


def can_fuse() -> bool:
    """Whether `compiled_for_inference` can use XLA, a compiler that fuses small steps."""
    import keras

    return keras.config.backend() in ("tensorflow", "jax")


def tracks_at_once(fused: bool, narrow: bool) -> int:
    """Tracks in a batch that `compiled_for_inference` likes best on a CPU, as two cores showed.

    Larger batches fall out of the caches; those of a narrow network hold more tracks.
    """
    import keras

    if not fused:
        return 2 * cores()
    # TensorFlow spends more on a call.
    more = 4 if keras.config.backend() == "tensorflow" else 2
    return max(1, cores() // 2) * (more if narrow else 1)


def compiled_for_inference(model: Any, fused: bool) -> Callable[[np.ndarray], np.ndarray]:
    """`model` as one compiled function, a program for each shape of its input.

    Parameters
    ----------
    model : keras.Model
        With one input and one output. Its weights are those at the time of this call.
    fused : bool
        Under TensorFlow, compile with XLA: it fuses small steps, but its plain convolutions are no
        faster. JAX always does, PyTorch never.

    Returns
    -------
    callable
        From an array to an array.
    """
    import keras

    backend = keras.config.backend()
    if backend == "tensorflow":
        run = _compiled_tensorflow(model, fused)
    else:
        run = {"jax": _compiled_jax, "torch": _compiled_torch}[backend](model)
    return lambda batch: keras.ops.convert_to_numpy(run(batch))


def _compiled_tensorflow(model: Any, fused: bool) -> Callable[[np.ndarray], Any]:
    import tensorflow as tf

    return tf.function(lambda batch: model(batch, training=False), jit_compile=fused)


def _compiled_jax(model: Any) -> Callable[[np.ndarray], Any]:
    import jax

    # Weights as arguments: as constants they would be compiled in, which takes longer.
    weights = [
        [v.value for v in part]
        for part in (model.trainable_variables, model.non_trainable_variables)
    ]
    run = jax.jit(lambda own, batch: model.stateless_call(*own, batch, training=False)[0])
    return lambda batch: run(weights, batch)


def _compiled_torch(model: Any) -> Callable[[np.ndarray], Any]:
    import torch

    # Not torch.compile, which needs a C++ compiler on the user's machine.
    def run(batch: np.ndarray) -> Any:
        with torch.inference_mode():
            return model(batch, training=False)

    return run
