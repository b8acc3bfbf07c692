"""What `throughput.py` measures in one process: inference, training, and the machine's limit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from arithmetic import TRAINING_PASSES, Convolution, convolutions, multiply_adds
from machine import peak_mib
from original import original_config, start_backend
from timing import in_turns, per_second, ratio, seconds_of

from kinet.backend import on_cpu
from kinet.config import PITCH_CLASSES, ModelConfig, TrainConfig

# Side of the square matrices whose product is the machine's limit; a GPU needs larger ones.
PRODUCT_SIZE = {"cpu": 4096, "gpu": 16384}
CONVOLUTION_BATCH = 16
SONGS = 5324  # of SHS100K2's training list


@dataclass(frozen=True)
class Form:
    """What is measured in one process.

    Attributes
    ----------
    model : ModelConfig
        The network.
    backend, precision : str
        Keras's backend and dtype policy.
    seconds : float
        Budget of each step that is timed.
    batches : tuple of int
        Batch sizes of inference; 1 is always measured.
    training_batch : int
        Tracks in a training step.
    product_size : int or None
        Side of the matrices of the limit; None for `PRODUCT_SIZE`.
    """

    model: ModelConfig
    backend: str
    precision: str = "float32"
    seconds: float = 5.0
    batches: tuple[int, ...] = (16, 32)
    training_batch: int = TrainConfig.batch_size
    product_size: int | None = None


def start(form: Form) -> str:
    """Load the backend; "cpu" or "gpu"."""
    start_backend(form.backend)
    return "cpu" if on_cpu() else "gpu"


class _Precision:
    """Inside, layers are built in a precision."""

    def __init__(self, policy: str) -> None:
        self._policy = policy

    def __enter__(self) -> None:
        import keras

        self._before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self._policy)

    def __exit__(self, *_: object) -> None:
        import keras

        keras.config.set_dtype_policy(self._before)


def made_up_tracks(count: int, vectors: int) -> np.ndarray:
    """HPCP (count, vectors, 12), dense and sparse ones."""
    rng = np.random.default_rng(0)
    values = rng.random((count, vectors, PITCH_CLASSES))
    return (values ** (1 + 7 * rng.random((count, 1, 1)))).astype(np.float32)


def inference(form: Form) -> dict[str, Any]:
    """Embeddings per second of the fast form, and the machine's limit, in turns."""
    device = start(form)
    from kinet.embeddings import embed_arrays, fast_embedder
    from kinet.model import build_embedder

    with _Precision(form.precision):
        model = build_embedder(form.model)
    sizes = sorted({1, *form.batches})
    tracks = list(made_up_tracks(sizes[-1], form.model.vectors))
    preparing, embedder = seconds_of(partial(fast_embedder, model))
    steps: dict[str, Callable[[], object]] = {
        f"batch_{size}": partial(embed_arrays, embedder, tracks[:size], None, size)
        for size in sizes
    }
    first = {name: seconds_of(step) for name, step in steps.items()}
    peak = peak_mib()  # before anything else takes memory
    plain = model.predict_on_batch(np.stack(tracks))
    difference = float(np.abs(first[f"batch_{sizes[-1]}"][1] - plain).max())
    times = in_turns({**steps, **limits(form, device)}, form.seconds)
    rates = {name: per_second(size, times[name]) for name, size in zip(steps, sizes, strict=False)}
    best = max(rates, key=lambda name: rates[name])
    return {
        "device": device,
        "parameters": int(model.count_params()),
        "multiply_adds": multiply_adds(form.model),
        "multiply_adds_12_rows": multiply_adds(_circular(form.model)),
        "embeddings_per_second": rates,
        "best_batch": best,
        "first_call_seconds": round(preparing + first[best][0], 2),
        "largest_difference": difference,
        "peak_rss_mib": round(peak, 1),
        **_limit_figures(form, device, times),
    }


def training(form: Form) -> dict[str, Any]:
    """Samples per second of a training step; on 12 rows with the same on 23 rows in turns."""
    device = start(form)
    step = training_step(form)
    preparing, _ = seconds_of(step)
    peak = peak_mib()
    steps = {"step": step}
    if form.model.pitch_axis == "circular":
        unrolled = dataclasses.replace(form, model=original_config(form.model))
        steps["unrolled"] = training_step(unrolled)
    times = in_turns({**steps, **limits(form, device)}, form.seconds)
    paired = {}
    if "unrolled" in times:
        paired["over_unrolled"] = ratio(times["unrolled"], times["step"])
    return {
        "device": device,
        "batch": form.training_batch,
        "multiply_adds": TRAINING_PASSES * multiply_adds(form.model),
        "multiply_adds_12_rows": TRAINING_PASSES * multiply_adds(_circular(form.model)),
        "samples_per_second": per_second(form.training_batch, times["step"]),
        "first_call_seconds": round(preparing, 2),
        "peak_rss_mib": round(peak, 1),
        **paired,
        **_limit_figures(form, device, times),
    }


def training_step(form: Form) -> Callable[[], object]:
    """A step of a classifier's training, compiled as `kinet.training.fitting` does."""
    import keras

    from kinet import losses
    from kinet.backend import jit_compile
    from kinet.model import build_classifier

    with _Precision(form.precision):
        model = build_classifier(form.model, tuple(map(str, range(SONGS))))
    model.compile(
        optimizer=keras.optimizers.Adam(TrainConfig.learning_rate),
        loss=losses.registry.get("softmax").with_options({}),
        jit_compile=jit_compile(),
    )
    tracks = made_up_tracks(form.training_batch, form.model.vectors)
    songs = np.arange(form.training_batch, dtype=np.int32) % SONGS
    return partial(model.train_on_batch, tracks, songs)


def limits(form: Form, device: str) -> dict[str, Callable[[], object]]:
    """A large matrix product, and the model's largest convolution alone, in its precision."""
    size = form.product_size or PRODUCT_SIZE[device]
    conv = _largest(form)
    return {"product": _product(form, size), "convolution": _convolution(form, conv)}


def _limit_figures(
    form: Form, device: str, times: dict[str, list[float]]
) -> dict[str, float | int]:
    size = form.product_size or PRODUCT_SIZE[device]
    conv = CONVOLUTION_BATCH * _largest(form).multiply_adds
    return {
        "product_size": size,
        "product_multiply_adds_per_second": per_second(size**3, times["product"]),
        "convolution_multiply_adds_per_second": per_second(conv, times["convolution"]),
    }


def _largest(form: Form) -> Convolution:
    return max(convolutions(_circular(form.model)), key=lambda found: found.multiply_adds)


def _circular(config: ModelConfig) -> ModelConfig:
    return dataclasses.replace(config, pitch_axis="circular")


def _random(shape: Sequence[int], precision: str) -> Any:
    from keras import ops

    rng = np.random.default_rng(0)
    values = ops.convert_to_tensor(rng.random(shape, dtype=np.float32))
    return ops.cast(values, precision.removeprefix("mixed_"))


def _product(form: Form, size: int) -> Callable[[], object]:
    from keras import ops

    left, right = (_random((size, size), form.precision) for _ in range(2))
    return lambda: _finished(ops.matmul(left, right)[:1, :1])


def _convolution(form: Form, conv: Convolution) -> Callable[[], object]:
    from keras import ops

    batch = _random((CONVOLUTION_BATCH, *conv.input), form.precision)
    kernel = _random((*conv.kernel, conv.input[2], conv.output[2]), form.precision)

    def step() -> object:
        result = ops.conv(
            batch,
            kernel,
            padding="valid",
            data_format="channels_last",
            dilation_rate=conv.dilation,
        )
        return _finished(result[:1, :1, :1, :1])

    return step


def _finished(value: Any) -> np.ndarray:
    """A small part brought to the host: all of it has been computed then."""
    from keras import ops

    return ops.convert_to_numpy(ops.cast(value, "float32"))
