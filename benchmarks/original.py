"""What stands for the original: its structure on 23 rows, one track at a time, in float32.

The original is a program of TensorFlow 1. Its network is run here as it would be under a current
TensorFlow: as a graph, compiled by ``tf.function`` without XLA, nothing folded, called once for
each track. Not through Keras 3's ``predict``, which prepares a data set in every call: with one
track at a time that costs.

Only to be measured against; kinet itself embeds in batches.

    python benchmarks/original.py --out benchmarks/results/original.json
    python benchmarks/original.py --block wider --stages 4

measure every block and S, or some, in turns with `kinet.embeddings.fast_embedder` in one process,
and go on where they stopped. `ablation.py` and the exported forms are compared with it too.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click
import numpy as np
from arithmetic import multiply_adds
from cells import Cells
from machine import in_a_process
from options import FULL_SIZE, attention_option, several
from timing import in_turns, per_second, ratio, significant

from kinet.backend import choose, compiled_for_inference, import_quietly
from kinet.config import PITCH_CLASSES, STAGE_COUNTS, ModelConfig

# The one that the original runs on.
BACKEND = "tensorflow"
BLOCKS = ("simple", "bottleneck", "wider")
DISTRIBUTIONS = ("keras", "tensorflow-cpu", "tensorflow", "numpy")
WHAT = "the original's structure, one track at a time, beside kinet's fast form"


def start_backend(name: str) -> None:
    """Load a backend without its greetings."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    choose(name)
    import_quietly()


def original_config(config: ModelConfig) -> ModelConfig:
    """The same member of the family on 23 rows."""
    return dataclasses.replace(config, pitch_axis="unrolled")


def original_model(config: ModelConfig) -> Any:
    """The network of the original, nothing folded."""
    from kinet.model import build_embedder

    return build_embedder(original_config(config))


def one_at_a_time(config: ModelConfig) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """Embeddings (N, D) of tracks (T, 12) of one length, a call of the network for each."""
    run = compiled_for_inference(original_model(config), fused=False)
    return lambda tracks: np.concatenate([run(track[None]) for track in tracks])


def beside_ours(config: ModelConfig, batch: int, seconds: float) -> dict[str, Any]:
    """Tracks per second of the original's structure and of our fast form, in turns."""
    start_backend(BACKEND)
    from kinet.embeddings import embed_arrays, fast_embedder
    from kinet.model import build_embedder

    rng = np.random.default_rng(0)
    tracks = list(rng.random((batch, config.vectors, PITCH_CLASSES), dtype=np.float32))
    ours = fast_embedder(build_embedder(config))
    times = in_turns(
        {
            "original": partial(one_at_a_time(config), tracks[:1]),
            "kinet": partial(embed_arrays, ours, tracks, None, batch),
        },
        seconds,
    )
    return {
        "multiply_adds": multiply_adds(original_config(config)),
        "batch": batch,
        "original_per_second": per_second(1, times["original"]),
        "embeddings_per_second": per_second(batch, times["kinet"]),
        "over_original": significant(batch * ratio(times["original"], times["kinet"])),
    }


@click.command()
@click.option("--block", "blocks", **several(BLOCKS, BLOCKS))
@click.option("--stages", **several(tuple(map(str, STAGE_COUNTS)), tuple(map(str, STAGE_COUNTS))))
@attention_option
@click.option("--channels", type=int, default=FULL_SIZE.channels, show_default=True)
@click.option("--vectors", type=int, default=ModelConfig.vectors, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=16, show_default=True, help="Of ours.")
@click.option("--seconds", type=float, default=5.0, show_default=True, help="For each of both.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the JSON here, not to stdout.")
def command(
    blocks: tuple[str, ...],
    stages: tuple[str, ...],
    attention: tuple[str, ...],
    channels: int,
    vectors: int,
    batch: int,
    seconds: float,
    out: str | None,
) -> None:
    """Measure the original's structure beside our fast form, under TensorFlow."""
    cells = Cells(WHAT, DISTRIBUTIONS, out)
    for block, count in itertools.product(blocks, map(int, stages)):
        if count == 1 and block != blocks[0]:
            continue  # there the blocks are one network
        config = ModelConfig(
            block=block, stages=count, attention=attention, channels=channels, vectors=vectors
        )
        key = {"backend": BACKEND, "block": block, "stages": count}
        key |= {"attention": ",".join(attention) or "none"}
        key |= {"channels": channels, "vectors": vectors}
        cells.measure(key, in_a_process, beside_ours, config, batch, seconds)
    if out is None:
        cells.write()


if __name__ == "__main__":
    command()
