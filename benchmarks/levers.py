"""Networks trained on versions of scores with one budget, ranked on lists of real tracks.

    python benchmarks/levers.py --scores works.notes --list LIST:FOLDER --out FILE
    python benchmarks/levers.py --block wider --stages 4 --loss supcon --loss triplet ...

Without options every block and S; otherwise all that is named, each with each. Every cell is
trained in a process of its own, and the network of its last epoch is ranked: no list chooses. A
cell is written when it is done; the same command goes on where it stopped.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from cells import Cells
from machine import in_a_process
from options import attention_names, several
from original import BLOCKS, DISTRIBUTIONS, start_backend
from train_small import NETWORK, SONGS, TRAINING, VERSIONS, heard, tracks_of

from kinet.backend import BACKENDS, installed
from kinet.config import POOLINGS, STAGE_COUNTS, ModelConfig, TrainConfig
from kinet.losses import registry as losses_registry

WHAT = "networks trained on versions of scores with one budget; the last epoch on real lists"
STAGES = tuple(map(str, STAGE_COUNTS))


@dataclass(frozen=True)
class Budget:
    """What every network gets: works, and batches in an epoch; how it is ranked."""

    scores: str
    batches: int
    lists: tuple[str, ...]
    backend: str


def measure(model: ModelConfig, training: TrainConfig, budget: Budget) -> dict[str, Any]:
    """Train one network and rank every list with it."""
    start_backend(budget.backend)
    from kinet.model import fixed_vectors
    from kinet.training.fitting import Task, train
    from kinet.training.runs import RunFolders
    from kinet.versions.made_batches import Draw, MadeBatches
    from kinet.versions.note_pack import read_note_pack

    fixed = fixed_vectors(model)
    draw = Draw(
        **({"lengths": (fixed,)} if fixed else {}),
        songs=SONGS,
        versions=VERSIONS,
        batches=budget.batches,
        seed=training.seed,
    )
    last = ranking_callback(budget.lists, training.epochs)
    started = time.process_time(), time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        MadeBatches(read_note_pack(Path(budget.scores)), draw, workers=1) as batches,
    ):
        folders = RunFolders(Path(folder, "models"), Path(folder, "log"))
        ranked = tracks_of(budget.lists[-1])  # by training itself, after every epoch
        task = Task(model, training, (), ranked, folders, batches=batches, callbacks=[last])
        train(task)
    return {
        "samples": training.epochs * budget.batches * training.batch_size,
        "processor_seconds": round(time.process_time() - started[0]),
        "seconds": round(time.perf_counter() - started[1]),
        "parameters": last.model.count_params(),
        "lists": last.found,
    }


def ranking_callback(lists: Sequence[str], epochs: int) -> Any:
    """Keeps metrics by list after the last epoch, tracks filled up by being played again."""
    import keras

    from kinet.embeddings import embed_arrays
    from kinet.evaluation import evaluate
    from kinet.network import embedder_of

    class LastEpoch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.found: dict[str, Any] = {}
            for text in lists if epoch == epochs - 1 else ():
                tracks = tracks_of(text)
                hpcp = [heard(np.load(track.path)) for track in tracks]
                rows = embed_arrays(embedder_of(self.model), hpcp, None, 32)
                metrics = evaluate(rows, [track.song_id for track in tracks])
                self.found[Path(text.rpartition(":")[0]).name] = metrics.to_dict()

    return LastEpoch()


def _attention(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[Any]:
    return [attention_names(value) for value in values]


@click.command()
@click.option("--scores", required=True, type=click.Path(exists=True), help="Of kinet scores.")
@click.option("--list", "lists", multiple=True, required=True, metavar="LIST:FOLDER")
@click.option("--block", "blocks", **several(BLOCKS, BLOCKS))
@click.option("--stages", **several(STAGES, STAGES))
@click.option("--attention", multiple=True, default=("none",), callback=_attention)
@click.option("--loss", "losses", **several(tuple(losses_registry.names()), (TRAINING.loss,)))
@click.option("--pooling", "poolings", **several(POOLINGS, (NETWORK.pooling,)))
@click.option("--channels", type=int, multiple=True, default=(NETWORK.channels,))
@click.option("--seed", "seeds", type=int, multiple=True, default=(0,), show_default=True)
@click.option("--epochs", type=int, default=1, show_default=True)
@click.option("--batches", type=int, default=100, show_default=True, help="In an epoch.")
@click.option("--backend", type=click.Choice(BACKENDS), default=installed()[0], show_default=True)
@click.option("--out", type=click.Path(dir_okay=False), help="Write the JSON here, not to stdout.")
def command(
    blocks: tuple[str, ...],
    stages: tuple[str, ...],
    attention: list[tuple[str, ...]],
    losses: tuple[str, ...],
    poolings: tuple[str, ...],
    channels: tuple[int, ...],
    seeds: tuple[int, ...],
    epochs: int,
    out: str | None,
    **options: Any,
) -> None:
    """Train cells and rank lists of real tracks with them."""
    budget = Budget(**{name: options[name] for name in ("scores", "batches", "lists", "backend")})
    cells = Cells(WHAT, DISTRIBUTIONS, out)
    grid = itertools.product(seeds, losses, poolings, channels, attention, blocks, stages)
    for seed, loss, pooling, width, modules, block, stage in grid:
        if stage == "1" and block != blocks[0]:
            continue  # there the blocks are one network
        model = replace(
            NETWORK,
            block=block,
            stages=int(stage),
            attention=modules,
            pooling=pooling,
            channels=width,
        )
        # Averages of a short run would hold much of what it began with.
        training = replace(TRAINING, loss=loss, seed=seed, epochs=epochs, averaging=0.0)
        key = {
            "block": block,
            "stages": int(stage),
            "attention": ",".join(modules) or "none",
            "loss": loss,
            "pooling": pooling,
            "channels": width,
            "seed": seed,
            "epochs": epochs,
            "batches": budget.batches,
            "backend": budget.backend,
        }
        cells.measure(key, in_a_process, measure, model, training, budget)
    if out is None:
        cells.write()


if __name__ == "__main__":
    command()
