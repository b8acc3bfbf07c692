"""The original's structure: 23 rows, one track at a time through ``predict``, in float32.

Only to be measured against; kinet itself embeds in batches. Alone it prints JSON:
``python benchmarks/original.py --block wider --stages 4``. `throughput.py` runs it in turns with
kinet's own forms, so that ratios come from one run.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import click
import numpy as np
from arithmetic import multiply_adds
from machine import in_a_process, peak_mib, write_report
from timing import in_turns, per_second

from kinet.backend import BACKENDS, choose, import_quietly
from kinet.config import PITCH_CLASSES, STAGE_COUNTS, ModelConfig

TRACKS = 4
DISTRIBUTIONS = ("keras", "tensorflow-cpu", "tensorflow", "jax", "torch", "numpy")


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


def one_at_a_time(model: Any, tracks: Sequence[np.ndarray]) -> np.ndarray:
    """Embeddings (N, D) of tracks (T, 12) of one length, one call of ``predict`` for each."""
    return np.concatenate([model.predict(track[None], verbose=0) for track in tracks])


def measure(config: ModelConfig, backend: str, seconds: float) -> dict[str, Any]:
    """Tracks per second and peak memory of this process."""
    start_backend(backend)
    model = original_model(config)
    rng = np.random.default_rng(0)
    tracks = rng.random((TRACKS, config.vectors, PITCH_CLASSES), dtype=np.float32)
    times = in_turns({"original": partial(one_at_a_time, model, tracks)}, seconds)
    return {
        "backend": backend,
        "model": original_config(config).to_dict(),
        "parameters": int(model.count_params()),
        "multiply_adds": multiply_adds(original_config(config)),
        "embeddings_per_second": per_second(TRACKS, times["original"]),
        "peak_rss_mib": round(peak_mib(), 1),
    }


@click.command()
@click.option("--block", default="wider", show_default=True)
@click.option("--stages", type=click.Choice([str(s) for s in STAGE_COUNTS]), default="12")
@click.option("--channels", type=int, default=ModelConfig.channels, show_default=True)
@click.option("--vectors", type=int, default=ModelConfig.vectors, show_default=True)
@click.option(
    "--attention", default=",".join(ModelConfig.attention), show_default=True, help="Or none."
)
@click.option("--backend", type=click.Choice(BACKENDS), default="tensorflow", show_default=True)
@click.option("--seconds", type=float, default=5.0, show_default=True, help="To be measured.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the JSON here, not to stdout.")
def command(
    block: str,
    stages: str,
    channels: int,
    vectors: int,
    attention: str,
    backend: str,
    seconds: float,
    out: str | None,
) -> None:
    """Measure the original's structure."""
    names = tuple(name for name in attention.split(",") if name not in ("", "none"))
    config = ModelConfig(
        block=block, stages=int(stages), attention=names, channels=channels, vectors=vectors
    )
    figures = in_a_process(measure, config, backend, seconds)
    what = "23 rows, one track at a time through predict, float32"
    write_report({"what": what, **figures}, DISTRIBUTIONS, out)


if __name__ == "__main__":
    command()
