"""What each step of `kinet.inference.fast_form` gives: each taken away alone.

    python benchmarks/ablation.py --out benchmarks/results/ablation.json
    python benchmarks/ablation.py --block wider --stages 4 --channels 64 --backend jax

All forms of a model embed the same batch in turns in one process, beside the original's structure
and, under TensorFlow, the OpenVINO file of the same model. Every cell is written when it is done;
the same command goes on where it stopped. Weights are random.
"""

from __future__ import annotations

import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from cells import Cells
from machine import in_a_process
from measuring import made_up_tracks
from options import attention_names, several
from original import BACKEND as OF_THE_ORIGINAL
from original import BLOCKS, one_at_a_time, start_backend
from timing import in_turns, per_second, ratio, significant

from kinet.backend import BACKENDS
from kinet.config import STAGE_COUNTS, ModelConfig

ATTENTION = ("none", "channel,temporal")
CHANNELS = (256, 64)
MEASURED = ("tensorflow", "jax")  # PyTorch takes no transformed convolutions
DISTRIBUTIONS = ("keras", "numpy", "tensorflow-cpu", "tensorflow", "jax", "openvino")
WHAT = "embeddings per second of the fast form, and of it with each step taken away alone"
ALL, ORIGINAL, PIECES = "all steps", "original", "pieces"
TRANSFORMED = "transformed convolutions"
OPENVINO = ("float32", "bfloat16")
Embed = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Measured:
    """How a cell is measured: tracks in the batch, and seconds for each form."""

    batch: int
    seconds: float


class Metered:
    """A step, and the processor time of each of its calls, in all threads of this process.

    Other work on the machine makes the seconds of a clock longer, this time hardly.
    """

    def __init__(self, step: Callable[[], object]) -> None:
        self._step = step
        self.spent: list[float] = []

    def __call__(self) -> None:
        start = time.process_time()
        self._step()
        self.spent.append(time.process_time() - start)


def ablation(config: ModelConfig, backend: str, measured: Measured) -> dict[str, Any]:
    """Embeddings per second of all forms, and how many times the whole is each of them."""
    start_backend(backend)
    from kinet.model import build_embedder

    model = build_embedder(config)
    batch = made_up_tracks(measured.batch, config.vectors)
    with tempfile.TemporaryDirectory() as folder:
        forms = dict(forms_of(model))
        if backend == OF_THE_ORIGINAL:
            forms |= openvino_files(model, batch, Path(folder))
        steps = {name: Metered(partial(embed, batch)) for name, embed in forms.items()}
        if backend == OF_THE_ORIGINAL:
            steps[ORIGINAL] = Metered(partial(one_at_a_time(config), batch[:1]))
        times = in_turns(steps, measured.seconds)
    tracks = {name: 1 if name == ORIGINAL else measured.batch for name in steps}
    spent = {name: statistics.median(steps[name].spent[1:]) / tracks[name] for name in steps}
    return {
        "batch": measured.batch,
        "embeddings_per_second": {n: per_second(tracks[n], times[n]) for n in steps},
        "over": {
            name: significant(measured.batch / tracks[name] * ratio(times[name], times[ALL]))
            for name in steps
            if name != ALL
        },
        "processor_seconds": {name: significant(seconds) for name, seconds in spent.items()},
    }


def forms_of(model: Any) -> Iterator[tuple[str, Embed]]:
    """The fast form, and for each step that changes this model the form without it."""
    from kinet.inference import steps
    from kinet.inference.running import compiled, in_pieces, piece_size

    ways = ways_without(steps())
    whole = _applied(model, ways.pop(ALL))
    yield ALL, in_pieces(compiled(whole), piece_size(whole))
    yield PIECES, compiled(whole)
    for name, way in ways.items():
        form = _applied(model, way)
        if _kinds(form) != _kinds(whole):
            yield name, in_pieces(compiled(form), piece_size(form))


def ways_without(steps: Mapping[str, Callable[[Any], Any]]) -> dict[str, list[Callable[..., Any]]]:
    """All steps in their order, and by the name of each what is left without it."""
    ways = {ALL: list(steps.values())}
    for left_out in steps:
        ways[left_out] = [step for name, step in steps.items() if name != left_out]
    if TRANSFORMED in steps:
        ways |= {
            name: [
                partial(step, kinds=kinds) if key == TRANSFORMED else step
                for key, step in steps.items()
            ]
            for name, kinds in _kinds_without().items()
        }
    return ways


def _kinds_without() -> dict[str, tuple[type, ...]]:
    from kinet.inference import convolutions

    away = {
        "Fourier": (convolutions.FourierConvolution,),
        "pitch Fourier": (convolutions.PitchFourierConvolution,),
        "minimal filtering": (
            convolutions.WinogradConvolution,
            convolutions.DilatedWinogradConvolution,
        ),
    }
    return {
        name: tuple(kind for kind in convolutions.FAST if kind not in own)
        for name, own in away.items()
    }


def _applied(model: Any, steps: list[Callable[[Any], Any]]) -> Any:
    for step in steps:
        model = step(model)
    return model


def _kinds(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def openvino_files(model: Any, batch: np.ndarray, folder: Path) -> dict[str, Embed]:
    """The model as OpenVINO files; without the library, none."""
    try:
        import openvino  # noqa: F401
    except ImportError:
        return {}
    from kinet.export import openvino_file
    from kinet.inference.twelve_rows import with_twelve_rows

    files = {}
    for precision in OPENVINO:
        path, scratch = folder / f"{precision}.xml", folder / precision
        scratch.mkdir()
        description = json.dumps({"precision": precision})
        openvino_file.write(with_twelve_rows(model), path, description, scratch)
        if precision != "float32":
            openvino_file.reduce_precision(path, precision, batch, scratch)
        files[f"OpenVINO {precision}"] = openvino_file.load(path)
    return files


def models(
    blocks: tuple[str, ...], stages: tuple[int, ...], channels: int, attention: str, vectors: int
) -> Iterator[ModelConfig]:
    """The models of one size; with S = 1 the blocks are one network.

    Without attention on 23 rows, which are made 12; with attention those are two functions.
    """
    names = attention_names(attention)
    for block, count in itertools.product(blocks, stages):
        if count == 1 and block != blocks[0]:
            continue
        yield ModelConfig(
            block=block,
            stages=count,
            attention=names,
            pitch_axis="circular" if names else "unrolled",
            channels=channels,
            vectors=vectors,
        )


@click.command()
@click.option("--block", "blocks", **several(BLOCKS, BLOCKS))
@click.option("--stages", **several(tuple(map(str, STAGE_COUNTS)), tuple(map(str, STAGE_COUNTS))))
@click.option("--backend", "backends", **several(BACKENDS, MEASURED))
@click.option("--attention", multiple=True, default=ATTENTION, show_default=True)
@click.option("--channels", type=int, multiple=True, default=CHANNELS, show_default=True)
@click.option("--vectors", type=int, default=ModelConfig.vectors, show_default=True, help="T.")
@click.option("--batch", type=click.IntRange(1), default=16, show_default=True)
@click.option("--seconds", type=float, default=5.0, show_default=True, help="For each form.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the JSON here, not to stdout.")
def command(
    blocks: tuple[str, ...],
    stages: tuple[str, ...],
    backends: tuple[str, ...],
    attention: tuple[str, ...],
    channels: tuple[int, ...],
    vectors: int,
    batch: int,
    seconds: float,
    out: str | None,
) -> None:
    """Measure cells; without options all of them."""
    cells = Cells(WHAT, DISTRIBUTIONS, out)
    for backend, width, modules in itertools.product(backends, channels, attention):
        for config in models(blocks, tuple(map(int, stages)), width, modules, vectors):
            key = {"backend": backend, "block": config.block, "stages": config.stages}
            key |= {"attention": ",".join(config.attention) or "none"}
            key |= {"channels": width, "vectors": vectors}
            cells.measure(key, in_a_process, ablation, config, backend, Measured(batch, seconds))
    if out is None:
        cells.write()


if __name__ == "__main__":
    command()
