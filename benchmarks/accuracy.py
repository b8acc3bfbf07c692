"""Every block and S trained on the same data with the same budget: mAP, P@10, MR1.

    python benchmarks/accuracy.py --out benchmarks/results/accuracy.json
    python benchmarks/accuracy.py --block wider --stages 4 --loss triplet --loss supcon --out ...

Without lists the corpus of ``kinet quickstart`` is made. Every cell is trained in a process of
its own and written when it is done; the same command goes on where it stopped.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from cells import Cells
from machine import in_a_process
from options import FULL_SIZE, attention_option, several
from original import DISTRIBUTIONS, start_backend
from timing import seconds_of

from kinet.backend import BACKENDS, installed
from kinet.config import PITCH_AXES, PRECISIONS, STAGE_COUNTS, ModelConfig, TrainConfig
from kinet.data.tracks import read_tracks
from kinet.losses import registry as losses_registry
from kinet.versions.chorales import write_corpus

BLOCKS = ("simple", "bottleneck", "wider")
WHAT = "models of one budget, the best epoch by validation, on the test list"


@dataclass(frozen=True)
class Data:
    """Lists that share no song, and the folder of their features."""

    name: str
    folder: str
    train: str
    validation: str
    test: str


class _Silent:
    def on_batch(self, epoch: int, done: int, total: int, loss: float) -> None:
        pass

    def on_epoch(self, record: dict[str, Any], is_best: bool) -> None:
        pass


def measure(
    model: ModelConfig, training: TrainConfig, data: Data, backend: str, keep: str | None
) -> dict[str, Any]:
    """Train one model and rank the test list; the model file is copied to `keep`."""
    start_backend(backend)
    import kinet
    from kinet.embeddings import embed_tracks
    from kinet.evaluation import evaluate
    from kinet.training.fitting import Task, train
    from kinet.training.runs import RunFolders

    test = read_tracks(data.test, data.folder)
    with tempfile.TemporaryDirectory() as folder:
        folders = RunFolders(Path(folder, "models"), Path(folder, "log"))
        task = Task(
            model=model,
            training=training,
            tracks=read_tracks(data.train, data.folder),
            validation=read_tracks(data.validation, data.folder),
            folders=folders,
        )
        seconds, history = seconds_of(lambda: train(task, _Silent()))
        rows = embed_tracks(kinet.load(folders.best), test)
        if keep is not None:
            shutil.copy(folders.best, keep)
    best = max(history, key=lambda record: record["map"])
    metrics = evaluate(rows, [track.song_id for track in test]).to_dict()
    return {
        "train_tracks": len(task.tracks),
        "best_epoch": best["epoch"],
        "training_seconds": round(seconds, 1),
        **metrics,
    }


def quickstart_data(folder: Path) -> Data:
    """The corpus of ``kinet quickstart``, made if it is not there."""
    corpus = write_corpus(folder)
    lists = (corpus.train_list, corpus.val_list, corpus.test_list)
    return Data("chorales of kinet quickstart", str(corpus.data_dir), *map(str, lists))


STAGES = tuple(map(str, STAGE_COUNTS))


@click.command()
@click.option("--block", "blocks", **several(BLOCKS, BLOCKS))
@click.option("--stages", **several(STAGES, STAGES))
@click.option("--pitch-axis", "pitch_axes", **several(PITCH_AXES, PITCH_AXES))
@click.option("--loss", "losses", **several(tuple(losses_registry.names()), ("softmax",)))
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1), show_default=True)
@click.option("--epochs", type=int, default=20, show_default=True)
@click.option("--batch", type=int, default=TrainConfig.batch_size, show_default=True)
@click.option("--lr", type=float, default=TrainConfig.learning_rate, show_default=True)
@click.option("--channels", type=int, default=FULL_SIZE.channels, show_default=True)
@click.option("--vectors", type=int, default=ModelConfig.vectors, show_default=True, help="T.")
@attention_option
@click.option("--precision", type=click.Choice(PRECISIONS), default="float32", show_default=True)
@click.option("--backend", type=click.Choice(BACKENDS), default=installed()[0], show_default=True)
@click.option("--corpus", default="quickstart", help="Folder of the corpus without lists.")
@click.option("--data-dir", help="Features of the lists below.")
@click.option("--train-list", help="Training list.")
@click.option("--validation-list", help="Validation list.")
@click.option("--test-list", help="Test list; no song of the others.")
@click.option("--models", help="Folder to keep models in, as throughput.py --models wants them.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the JSON here, not to stdout.")
def command(
    blocks: tuple[str, ...],
    stages: tuple[str, ...],
    pitch_axes: tuple[str, ...],
    losses: tuple[str, ...],
    seeds: tuple[int, ...],
    out: str | None,
    **options: Any,
) -> None:
    """Train cells and measure them; without options every block and S, on both pitch axes."""
    given = [options[name] for name in ("data_dir", "train_list", "validation_list", "test_list")]
    if any(given) != all(given):
        raise click.UsageError(
            "--data-dir, --train-list, --validation-list and --test-list need each other"
        )
    own = Data(Path(given[3]).name, *given) if all(given) else None
    cells = Cells(WHAT, DISTRIBUTIONS, out)
    data = own or quickstart_data(Path(options["corpus"]))
    for loss, block, stage, axis, seed in itertools.product(
        losses, blocks, stages, pitch_axes, seeds
    ):
        model = ModelConfig(
            block=block,
            stages=int(stage),
            pitch_axis=axis,
            attention=options["attention"],
            channels=options["channels"],
            vectors=options["vectors"],
        )
        training = TrainConfig(
            loss=loss,
            seed=seed,
            epochs=options["epochs"],
            batch_size=options["batch"],
            learning_rate=options["lr"],
            precision=options["precision"],
        )
        key = _key(model, training, data, options["backend"])
        keep = _kept(options["models"], model, training, losses[0])
        arguments = (model, training, data, options["backend"], keep)
        cells.measure(key, in_a_process, measure, *arguments)
    if out is None:
        cells.write()


def _key(model: ModelConfig, training: TrainConfig, data: Data, backend: str) -> dict[str, Any]:
    return {
        "data": data.name,
        "backend": backend,
        "precision": training.precision,
        "loss": training.loss,
        "block": model.block,
        "stages": model.stages,
        "pitch_axis": model.pitch_axis,
        "attention": ",".join(model.attention) or "none",
        "channels": model.channels,
        "vectors": model.vectors,
        "epochs": training.epochs,
        "batch": training.batch_size,
        "learning_rate": training.learning_rate,
        "seed": training.seed,
    }


def _kept(folder: str | None, model: ModelConfig, training: TrainConfig, loss: str) -> str | None:
    """Where one model of each block and S is kept: circular, the first loss, seed 0."""
    kept = (model.pitch_axis, training.loss, training.seed) == ("circular", loss, 0)
    if folder is None or not kept:
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return str(Path(folder, f"{model.block}-{model.stages}.keras"))


if __name__ == "__main__":
    command()
