"""Train what ``kinet.load("small")`` gives, in three steps that each leave a file.

``network`` trains a network on versions of scores and ranks lists of real tracks after every
epoch; killed, it goes on where it was. ``descriptor`` learns the directions of Fourier magnitudes
from made versions. ``join`` puts both into one model file and writes its card.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from machine import machine, versions

from kinet.config import ModelConfig, TrainConfig
from kinet.data.tracks import Track, read_tracks
from kinet.files import write_text_atomically

NETWORK = ModelConfig(stages=4, attention=(), channels=32, pooling="gem")
SONGS, VERSIONS = 24, 4
TRAINING = TrainConfig(
    loss="supcon",
    batch_size=SONGS * VERSIONS,
    versions_per_song=VERSIONS,
    learning_rate=2e-3,
    warmup=50,
    averaging=0.99,
)


@click.group()
def main() -> None:
    """Train what kinet.load("small") gives."""


def lists_option(function: Any) -> Any:
    """Lists of real tracks that are ranked: LIST:FOLDER."""
    return click.option("--list", "lists", multiple=True, metavar="LIST:FOLDER")(function)


@main.command()
@click.option("--scores", required=True, type=Path, help="A file of kinet scores.")
@lists_option
@click.option("--out", required=True, type=Path, help="Folder of the run.")
@click.option("--epochs", default=12)
@click.option("--batches", default=50, help="In an epoch.")
@click.option("--loss", default=TRAINING.loss)
@click.option("--channels", default=NETWORK.channels)
@click.option("--stages", default=NETWORK.stages)
@click.option("--block", default=NETWORK.block)
@click.option("--seed", default=0)
def network(scores: Path, lists: tuple[str, ...], out: Path, **options: Any) -> None:
    """Train the network; the last epoch's average of the weights is what counts."""
    from dataclasses import replace

    from kinet.backend import choose

    choose()
    from kinet.training.fitting import Task, train
    from kinet.training.runs import RunFolders
    from kinet.versions.made_batches import Draw, MadeBatches
    from kinet.versions.note_pack import read_note_pack

    model = replace(NETWORK, **{name: options[name] for name in ("channels", "stages", "block")})
    training = replace(TRAINING, **{name: options[name] for name in ("epochs", "loss", "seed")})
    draw = Draw(songs=SONGS, versions=VERSIONS, batches=options["batches"], seed=options["seed"])
    known = {Path(text.rpartition(":")[0]).name: tracks_of(text) for text in lists}
    folders = RunFolders(out, out / "log")
    curve = curve_callback(known, out / "curve.json", training, draw)
    with MadeBatches(read_note_pack(scores), draw, workers=1) as batches:
        task = Task(
            model=model,
            training=training,
            tracks=(),
            validation=next(iter(known.values())),
            folders=folders,
            batches=batches,
            callbacks=[curve],
        )
        train(task, resume=folders.last.exists())


def curve_callback(
    lists: dict[str, list[Track]], file: Path, training: TrainConfig, draw: Any
) -> Any:
    """Ranks all lists after every epoch, tracks filled up by being played again, into `file`."""
    import keras

    from kinet.embeddings import embed_arrays
    from kinet.evaluation import evaluate

    tracks = {name: [heard(np.load(t.path)) for t in found] for name, found in lists.items()}
    songs = {name: [track.song_id for track in found] for name, found in lists.items()}

    class Curve(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.started = time.time()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            rows = json.loads(file.read_text())["epochs"] if file.exists() else []
            row = {"samples": (epoch + 1) * draw.batches * training.batch_size}
            row["seconds"] = round(time.time() - self.started)
            row["loss"] = float(logs["loss"])
            for name, hpcp in tracks.items():
                row[name] = evaluate(embed_arrays(self.model, hpcp, None, 32), songs[name]).map
            report = {"training": training.to_dict(), "machine": machine(), "epochs": rows[:epoch]}
            report["versions"] = versions(("keras", "tensorflow", "jax", "torch", "numpy"))
            report["epochs"].append(row)
            write_text_atomically(file, json.dumps(report, indent=1) + "\n")
            click.echo(json.dumps(row))

    return Curve()


def heard(hpcp: np.ndarray, vectors: int = NETWORK.vectors) -> np.ndarray:
    """A track cut to `vectors`, or played again until it has so many."""
    return np.resize(hpcp[:vectors], (vectors, hpcp.shape[1])).astype(np.float32)


def tracks_of(text: str) -> list[Track]:
    """The tracks of LIST:FOLDER."""
    path, _, folder = text.rpartition(":")
    return list(read_tracks(path, folder))


if __name__ == "__main__":
    main()
