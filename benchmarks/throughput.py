"""Speed and memory of every block and S, beside the original and the machine's limit.

    python benchmarks/throughput.py --out benchmarks/results/throughput.json
    python benchmarks/throughput.py --block wider --stages 4 --stages 12 --part inference

Every cell runs in a process of its own and is written when it is done; the same command goes on
where it stopped. `benchmarks/README.md` tells how to run it elsewhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import measuring
from cells import Cells
from exported_forms import Lists, exported
from loader import loader
from machine import in_a_process
from measuring import Form
from options import FULL_SIZE, attention_option, several
from steps import steps

from kinet.backend import BACKENDS, installed
from kinet.config import PITCH_AXES, PRECISIONS, STAGE_COUNTS, ModelConfig, TrainConfig

BLOCKS = ("simple", "bottleneck", "wider")
PARTS = ("inference", "training", "steps", "exported", "loader")
FUNCTIONS = {"inference": measuring.inference, "training": measuring.training, "steps": steps}
DISTRIBUTIONS = (
    *("keras", "numpy", "tensorflow-cpu", "tensorflow", "jax", "torch"),
    *("openvino", "nncf", "onnx", "onnxruntime"),
)
WHAT = "speed of every block and S beside the original's structure and the machine's limit"
# Of one model for both ways to lay out the pitch axis: the one that goes into a file, or through
# XLA.
_OF_ONE_MODEL = ("exported", "steps")


@dataclass(frozen=True)
class Choice:
    """Which cells, and how they are measured."""

    parts: tuple[str, ...]
    blocks: tuple[str, ...]
    stages: tuple[int, ...]
    pitch_axes: tuple[str, ...]
    backends: tuple[str, ...]
    precisions: tuple[str, ...]
    model: dict[str, Any]
    measured: dict[str, Any]


def run_cells(cells: Cells, choice: Choice, lists: Lists) -> None:
    """Measure every cell of the choice that is not there."""
    for part in (part for part in PARTS if part in choice.parts):
        if part == "loader":
            for backend in choice.backends:
                form = Form(_loader_model(choice), backend, **choice.measured)
                cells.measure(_key(part, form), in_a_process, loader, form)
            continue
        for form in _forms(choice, part):
            if part == "exported":
                cells.measure(_key(part, form), in_a_process, exported, form, lists)
            else:
                cells.measure(_key(part, form), in_a_process, FUNCTIONS[part], form)


def _loader_model(choice: Choice) -> ModelConfig:
    return ModelConfig(block="wider", stages=1, pitch_axis="circular", **choice.model)


def _forms(choice: Choice, part: str) -> Iterator[Form]:
    axes, precisions = choice.pitch_axes, choice.precisions
    if part in _OF_ONE_MODEL:
        axes, precisions = ("circular",), ("float32",)
    for backend, precision, block, stages, axis in itertools.product(
        choice.backends, precisions, choice.blocks, choice.stages, axes
    ):
        model = ModelConfig(block=block, stages=stages, pitch_axis=axis, **choice.model)
        yield Form(model, backend, precision, **choice.measured)


def _key(part: str, form: Form) -> dict[str, Any]:
    model = form.model
    return {
        "part": part,
        "backend": form.backend,
        "precision": form.precision,
        "block": model.block,
        "stages": model.stages,
        "pitch_axis": model.pitch_axis,
        "attention": ",".join(model.attention) or "none",
        "channels": model.channels,
        "vectors": model.vectors,
    }


@click.command()
@click.option("--part", "parts", **several(PARTS, PARTS))
@click.option("--block", "blocks", **several(BLOCKS, BLOCKS))
@click.option("--stages", **several(tuple(map(str, STAGE_COUNTS)), tuple(map(str, STAGE_COUNTS))))
@click.option("--pitch-axis", "pitch_axes", **several(PITCH_AXES, PITCH_AXES))
@click.option("--backend", "backends", **several(BACKENDS, tuple(installed()[:1])))
@click.option("--precision", "precisions", **several(PRECISIONS, PRECISIONS[:1]))
@attention_option
@click.option("--channels", type=int, default=FULL_SIZE.channels, show_default=True)
@click.option("--vectors", type=int, default=ModelConfig.vectors, show_default=True, help="T.")
@click.option("--seconds", type=float, default=5.0, show_default=True, help="For each timed step.")
@click.option(
    "--batch",
    "batches",
    type=click.IntRange(1),
    multiple=True,
    default=Form.batches,
    show_default=True,
    help="Batch sizes of inference beside 1.",
)
@click.option(
    "--training-batch", type=click.IntRange(1), default=TrainConfig.batch_size, show_default=True
)
@click.option("--product-size", type=click.IntRange(1), help="Side of the limit's matrices.")
@click.option("--list", "list_file", help="Exported forms: the list whose mAP is compared.")
@click.option("--data-dir", help="Features of that list.")
@click.option(
    "--models",
    type=click.Path(exists=True, file_okay=False),
    help="Exported forms: folder with <block>-<S>.keras; without it weights are random.",
)
@click.option("--out", type=click.Path(dir_okay=False), help="Write the JSON here, not to stdout.")
def command(
    parts: tuple[str, ...],
    blocks: tuple[str, ...],
    stages: tuple[str, ...],
    pitch_axes: tuple[str, ...],
    backends: tuple[str, ...],
    precisions: tuple[str, ...],
    attention: tuple[str, ...],
    channels: int,
    vectors: int,
    list_file: str | None,
    data_dir: str | None,
    models: str | None,
    out: str | None,
    **measured: Any,
) -> None:
    """Measure cells; without options all of them, under the backend that comes first."""
    if (list_file is None) != (data_dir is None):
        raise click.UsageError("--list and --data-dir need each other")
    model = {"attention": attention, "channels": channels, "vectors": vectors}
    choice = Choice(
        parts, blocks, tuple(map(int, stages)), pitch_axes, backends, precisions, model, measured
    )
    cells = Cells(WHAT, DISTRIBUTIONS, out)
    run_cells(cells, choice, Lists(list_file, data_dir, Path(models) if models else None))
    if out is None:
        cells.write()


if __name__ == "__main__":
    command()
