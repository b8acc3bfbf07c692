"""Fit, validate every epoch, keep the best, resume."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from kinet import losses
from kinet.backend import data_parallel, jit_compile, seed_everything
from kinet.checkpoint import Metadata, load_model, plugins_of, read_state, save
from kinet.config import FeatureConfig, ModelConfig, TrainConfig
from kinet.data.batches import TrainingBatches
from kinet.data.tracks import Track
from kinet.embeddings import embed_tracks
from kinet.errors import CheckpointError, DataError
from kinet.evaluation import evaluate
from kinet.losses import Loss
from kinet.model import build_classifier, build_embedder, embedder_of
from kinet.training.epochs import Batches, fit_epoch, momentum_for, seed_epoch, shorten_averages
from kinet.training.log import MEASURES, Record, RunLog
from kinet.training.runs import RunFolders


class Listener(Protocol):
    """What `train` tells while it works."""

    def on_batch(self, epoch: int, done: int, total: int, loss: float) -> None:
        """Called after every batch; epochs count from 1."""

    def on_epoch(self, record: Record, is_best: bool) -> None:
        """Called after every epoch, when its checkpoints are on the disk."""


@dataclass(frozen=True)
class Task:
    """What is trained, on what, and where it is kept.

    Attributes
    ----------
    model, training, features : ModelConfig, TrainConfig, FeatureConfig
        All settings.
    tracks, validation : sequence of Track
        The training list and the validation list.
    folders : RunFolders
        Where checkpoints and logs go.
    devices : int
        Over how many devices each batch is spread.
    workers : int
        Threads that prepare batches while the model works.
    batches : Batches, optional
        What is trained on, in place of crops of `tracks`, which are not looked at then.
    """

    model: ModelConfig
    training: TrainConfig
    tracks: Sequence[Track]
    validation: Sequence[Track]
    folders: RunFolders
    features: FeatureConfig = dataclasses.field(default_factory=FeatureConfig)
    devices: int = 1
    workers: int = 1
    batches: Batches | None = None


def train(
    task: Task,
    listener: Listener,
    *,
    resume: bool = False,
    start_from: Any = None,
) -> list[Record]:
    """Train until the last epoch, or until patience ends.

    After every epoch the network is written to ``last.keras``, together with all that resuming
    needs, and to ``best.keras`` if its validation MAP is the best so far. Crops, order and dropout
    depend on seed and epoch alone, so a run that was killed and resumed ends as one that was not.

    Parameters
    ----------
    task : Task
        Settings, lists and folders.
    listener : Listener
        Hears of batches and epochs.
    resume : bool
        Go on after the last finished epoch of ``last.keras``.
    start_from : keras.Model, optional
        Begin with the weights of this embedder, or of the one within this classifier.

    Returns
    -------
    list of dict
        One record per epoch: ``epoch`` (from 1), ``learning_rate``, ``loss``, ``seconds`` and the
        validation's ``map``, ``p10``, ``mr1``, ``hit1``.

    Raises
    ------
    DataError, SettingsError, PluginError, BackendError, CheckpointError
        If lists, settings, plug-ins, devices or the checkpoint cannot be used.
    """
    _check_validation(task.validation)
    loss = losses.registry.get(task.training.loss)
    size = task.training.versions_per_song or loss.versions_per_song
    batches: Batches = task.batches or TrainingBatches(
        task.tracks, task.model.vectors, task.training.batch_size, size, task.training.seed
    )
    seed_everything(task.training.seed)
    task.folders.make()
    with _precision(task.training.precision), data_parallel(task.devices):
        model = _build(task, loss, len(batches.songs))
        shorten_averages(model, momentum_for(len(batches.order(0))))
        if start_from is not None:
            # The classifier begins anew: its columns are other songs.
            copy_weights(embedder_of(start_from), embedder_of(model))
        history: list[Record] = []
        # A run that was killed in its first epoch has nothing to go on from: it begins again.
        if resume and task.folders.last.exists():
            history = _restore(task.folders.last, model, batches.songs)
        with RunLog(task.folders.logs, first_epoch=len(history) + 1) as log:
            return _run_epochs(task, model, batches, history, listener, log)


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Build layers of this dtype policy, and leave Keras as it was."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _build(task: Task, loss: Loss, songs: int) -> keras.Model:
    if loss.output == "logits":
        model = build_classifier(task.model, songs, task.training.dropout)
    else:
        model = build_embedder(task.model)
    model.compile(
        optimizer=keras.optimizers.Adam(task.training.learning_rate),
        loss=loss.with_options(task.training.loss_options),
        jit_compile=jit_compile(),
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _run_epochs(
    task: Task,
    model: keras.Model,
    batches: Batches,
    history: list[Record],
    listener: Listener,
    log: RunLog,
) -> list[Record]:
    embedder = embedder_of(model)
    embedder.jit_compile = jit_compile()
    labels = [track.song_id for track in task.validation]
    plugins = plugins_of(task.model, task.training.loss)
    while not is_finished(history, task.training):
        epoch = len(history)
        started = time.monotonic()
        rate = _learning_rate(epoch, task.training)
        model.optimizer.learning_rate = rate
        seed_epoch(model, task.training.seed, epoch)
        loss = fit_epoch(model, batches, epoch, task.workers, listener.on_batch)
        vectors = embed_tracks(embedder, task.validation, task.model.vectors)
        metrics = evaluate(vectors, labels)
        record: Record = {"epoch": epoch + 1, "learning_rate": rate, "loss": loss}
        record |= {name: float(getattr(metrics, name)) for name in MEASURES}
        record["seconds"] = time.monotonic() - started
        is_best = record["map"] > max((r["map"] for r in history), default=-1.0)
        history = [*history, record]
        metadata = Metadata(
            model=task.model,
            features=task.features,
            training=task.training,
            songs=batches.songs if model is not embedder else (),
            plugins=plugins,
            history=tuple(history),
        )
        # The best first: killed in between, the epoch is repeated and gives the same file.
        if is_best:
            save(task.folders.best, model, metadata)
        save(task.folders.last, model, metadata, _state(model))
        log.write(history)
        listener.on_epoch(record, is_best)
    return history


def _learning_rate(epoch: int, training: TrainConfig) -> float:
    """The original's cosine schedule; `epoch` counts from 0."""
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / training.epochs))


def is_finished(history: Sequence[Record], training: TrainConfig) -> bool:
    """Whether all epochs are done, or patience has ended.

    Examples
    --------
    >>> is_finished([{"map": 0.5}, {"map": 0.4}], TrainConfig(epochs=9, patience=1))
    True
    """
    if len(history) >= training.epochs:
        return True
    if training.patience is None or not history:
        return False
    scores = [record["map"] for record in history]
    return len(scores) - 1 - int(np.argmax(scores)) >= training.patience


def _state(model: keras.Model) -> dict[str, np.ndarray]:
    """The optimizer's variables, by position: their names differ between runs."""
    return {
        f"optimizer_{index}": np.asarray(variable.numpy())
        for index, variable in enumerate(model.optimizer.variables)
    }


def _restore(path: Path, model: keras.Model, songs: tuple[str, ...]) -> list[Record]:
    saved, metadata = load_model(path)
    if metadata.songs and metadata.songs != songs:
        odd = sorted(set(metadata.songs) ^ set(songs))
        raise CheckpointError(
            f"{path} was trained on {len(metadata.songs)} songs and the training list has "
            f"{len(songs)}, {len(odd)} of them not in both, first {odd[0]}; resume with the list "
            "that the run began with"
        )
    state = read_state(path)
    copy_weights(saved, model)
    variables = model.optimizer.variables
    shapes = [tuple(variable.shape) for variable in variables]
    found = [state[f"optimizer_{i}"].shape for i in range(len(state))]
    if shapes != found:
        raise CheckpointError(
            f"{path} holds an optimizer of {len(found)} arrays that do not fit this model's "
            f"{len(shapes)}; resume with the settings that the run began with"
        )
    for index, variable in enumerate(variables):
        variable.assign(state[f"optimizer_{index}"])
    return [dict(record) for record in metadata.history]


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Give `target` the weights of `source`'s layers of the same names.

    Raises
    ------
    CheckpointError
        If a layer of `target` is missing in `source`, or a shape differs.
    """
    there = {layer.name: layer.get_weights() for layer in source.layers}
    for layer in target.layers:
        wanted = [tuple(weight.shape) for weight in layer.weights]
        if not wanted:
            continue
        weights = there.get(layer.name, [])
        shapes = [weight.shape for weight in weights]
        if shapes != wanted:
            raise CheckpointError(
                f"the checkpoint does not fit: layer {layer.name!r} has shapes {shapes or 'none'} "
                f"there; this model has {wanted}"
            )
        layer.set_weights(weights)


def _check_validation(validation: Sequence[Track]) -> None:
    songs = [track.song_id for track in validation]
    if len(set(songs)) == len(songs):
        raise DataError(
            f"the validation list has {len(songs)} tracks and no song of two versions; "
            "at least one song must have two"
        )
