"""Fit, validate every epoch, keep the best, resume."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from kinet.backend import jit_compile, seed_everything
from kinet.backend.several import data_parallel, require_same, told_of_losses
from kinet.checkpoint import metadata_of, read_metadata, restore
from kinet.config import FeatureConfig, ModelConfig, TrainConfig
from kinet.data.batches import TrainingBatches
from kinet.data.tracks import Track
from kinet.errors import CheckpointError
from kinet.losses.objective import Objective
from kinet.metadata import Metadata
from kinet.model import build_for
from kinet.network import Network
from kinet.peers import ALONE, Place
from kinet.plugins import plugins_of
from kinet.training.averages import Averages
from kinet.training.data import Batches, EpochData
from kinet.training.epochs import Epochs, momentum_for, shorten_averages
from kinet.training.keeping import Keeper, Listener, is_finished
from kinet.training.lists import require_lists
from kinet.training.log import Record, RunLog, write_history
from kinet.training.ranking import Ranking
from kinet.training.runs import RunFolders
from kinet.training.segments import segmented
from kinet.training.starting import freeze, start


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
    optimizer : keras.optimizers.Optimizer, optional
        As it is, in place of Adam with the rates of `training`; a copy of it is trained with.
    schedule : keras.optimizers.schedules.LearningRateSchedule, optional
        The learning rate by step, in place of the original's cosine by epoch.
    callbacks : sequence of keras.callbacks.Callback
        Called after validation, whose results are in their logs, and before checkpoints are
        written.
    place : Place
        Where several processes train together, which of them this is; it has joined the others
        (`kinet.backend.several.join`). The first one writes all files.
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
    optimizer: Any = None
    schedule: Any = None
    callbacks: Sequence[Any] = ()
    place: Place = ALONE


def train(
    task: Task,
    listener: Listener | None = None,
    *,
    resume: bool = False,
    start_from: Any = None,
) -> list[Record]:
    """Train until the last epoch, or until patience ends.

    After every epoch the network is written to ``last.keras``, together with all that resuming
    needs, and to ``best.keras`` if its validation MAP is the best so far. Crops, order and dropout
    depend on seed and epoch alone, so a run that was killed and resumed ends as one that was not.
    What callbacks of the caller remember is not in the checkpoint.

    Parameters
    ----------
    task : Task
        Settings, lists and folders.
    listener : Listener, optional
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
    PeerLost
        If another process of the same training ends.
    """
    require_lists(task.tracks, task.validation)
    ranking = Ranking(task.validation, task.model.vectors, place=task.place)
    objective = Objective.of(task.training)
    objective.require_place(task.model)
    size = task.training.versions_per_song or objective.versions_per_song
    batches = task.batches or TrainingBatches(
        task.tracks, task.model.vectors, task.training.batch_size, size, task.training.seed
    )
    batches = segmented(batches, objective, task.model)
    rows = task.place.part_of_batch(batches.batch_size, task.devices)
    data = EpochData(batches, task.workers, objective.outputs, rows)
    seed_everything(task.training.seed)
    if task.place.is_first:
        task.folders.make()
    with (
        told_of_losses(task.place),
        _precision(task.training.precision),
        data_parallel(task.devices, task.place.count),
    ):
        model = _build(task, objective, data)
        shorten_averages(model, momentum_for(len(data)))
        history: list[Record] = []
        # A run that was killed in its first epoch has nothing to go on from: it begins again.
        if resume and task.folders.last.exists():
            history = _restore(task.folders.last, model)
        else:
            start(model, start_from, task.training.freeze)
        if task.place.others:
            require_same(_what_decides(task, batches, history))
        if history and task.place.is_first:
            # Killed after its checkpoint, an epoch may not have come into the table.
            write_history(task.folders.logs, history)
        if is_finished(history, task.training):
            return history
        with _log(task, first_epoch=len(history) + 1) as log:
            averages = Averages()
            keeper = Keeper(task.folders, task.training, history, listener, log, averages)
            callbacks = [averages, ranking, *task.callbacks, keeper]
            _fit(model, data, task, callbacks, len(history))
        return keeper.history


def _log(task: Task, first_epoch: int) -> contextlib.AbstractContextManager[RunLog | None]:
    if task.place.is_first:
        return RunLog(task.folders.logs, first_epoch)
    return contextlib.nullcontext()


def _what_decides(task: Task, batches: Batches, history: Sequence[Record]) -> dict[str, object]:
    """What must be alike in all processes that train together, by what it is called."""
    lists = [
        [(track.song_id, track.version_id) for track in tracks]
        for tracks in (task.tracks, task.validation)
    ]
    packages = ("mulkinet", "keras", "numpy", "jax")
    return {
        "packages": [(name, importlib.metadata.version(name)) for name in packages],
        "options": [s.to_dict() for s in (task.model, task.training, task.features)],
        "songs to train on": (batches.songs, sorted(lists[0])),
        "songs to validate on": lists[1],
        "epochs behind it": list(history),
    }


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Build layers of this dtype policy, and leave Keras as it was."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _build(task: Task, objective: Objective, data: EpochData) -> Network:
    dropout = task.training.dropout
    model = build_for(objective.outputs, task.model, data.songs, dropout, task.features)
    if task.training.freeze:
        freeze(model)
    optimizer = _optimizer(task, len(data))
    own = task.optimizer is not None or task.schedule is not None
    model.metadata = dataclasses.replace(
        metadata_of(model),
        training=task.training,
        plugins=plugins_of(task.model, task.training.losses),
        # As it will be read from the file.
        optimizer=json.loads(json.dumps(keras.optimizers.serialize(optimizer))) if own else None,
    )
    losses = objective.keras_losses()
    model.compile(
        optimizer=optimizer,
        loss=losses if len(losses) > 1 else losses[objective.outputs[0]],
        jit_compile=jit_compile(),
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _optimizer(task: Task, steps: int) -> Any:
    training = task.training
    if task.optimizer is None:
        return keras.optimizers.Adam(
            task.schedule or _schedule(training, steps) or training.learning_rate,
            use_ema=training.averaging > 0,
            ema_momentum=training.averaging,
        )
    optimizer = keras.optimizers.get(task.optimizer)
    optimizer = type(optimizer).from_config(optimizer.get_config())
    if task.schedule is not None:
        optimizer.learning_rate = task.schedule
    return optimizer


def _fit(
    model: Network, data: EpochData, task: Task, callbacks: Sequence[Any], first_epoch: int
) -> None:
    training = task.training
    begin: list[Any] = [Epochs(data, training.seed)]
    if task.optimizer is None and task.schedule is None and not training.warmup:
        begin.append(keras.callbacks.LearningRateScheduler(lambda epoch: _rate(epoch, training)))
    try:
        model.fit(
            data,
            epochs=training.epochs,
            initial_epoch=first_epoch,
            shuffle=False,
            verbose=0,
            callbacks=[*begin, *callbacks],
        )
    finally:
        data.close()
        # A backend wraps an error of its input in one of its own; ours says what to do.
        if data.error is not None:
            raise data.error


def _schedule(training: TrainConfig, steps: int) -> Any:
    """The rate step by step, where there is a warm-up; `steps` are those of an epoch."""
    if not training.warmup:
        return None
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, steps * training.epochs - training.warmup),
        warmup_target=training.learning_rate,
        warmup_steps=training.warmup,
    )


def _rate(epoch: int, training: TrainConfig) -> float:
    """The original's cosine schedule; `epoch` counts from 0."""
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / training.epochs))


def _restore(path: Path, model: Network) -> list[Record]:
    """Give `model` what the checkpoint holds, if it is of the same run; the epochs it has done."""
    there, here = read_metadata(path), metadata_of(model)
    _require_same_run(path, there, here)
    restore(path, model)
    history = [dict(record) for record in there.history]
    if not all(isinstance(record.get("map"), float | int) for record in history):
        raise CheckpointError(f"{path} has a history without MAP; expected that of a training run")
    return history


def _require_same_run(path: Path, there: Metadata, here: Metadata) -> None:
    if there.songs != here.songs:
        odd = sorted(set(there.songs) ^ set(here.songs))
        raise CheckpointError(
            f"{path} was trained on {len(there.songs)} songs and the training list has "
            f"{len(here.songs)}, {len(odd)} of them not in both, first {odd[0]}; resume with the "
            "list that the run began with"
        )
    for part in ("model", "features", "training", "optimizer"):
        before, now = there.to_dict()[part], here.to_dict()[part]
        if before != now:
            name = next(n for n in now or before if (before or {}).get(n) != (now or {}).get(n))
            raise CheckpointError(
                f"{path} was trained with {part} {name} = {(before or {}).get(name)!r}, now it is "
                f"{(now or {}).get(name)!r}; resume with the settings that the run began with"
            )
