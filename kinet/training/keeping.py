"""What is kept of every epoch of a run, and when a run ends."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from kinet.backend.several import apart
from kinet.checkpoint import metadata_of, save
from kinet.config import TrainConfig
from kinet.training.averages import Averages
from kinet.training.log import MEASURES, Record, RunLog
from kinet.training.runs import RunFolders


class Listener(Protocol):
    """What `train` tells while it works."""

    def on_batch(self, epoch: int, done: int, total: int, loss: float) -> None:
        """Called after every batch; epochs count from 1."""

    def on_epoch(self, record: Record, is_best: bool) -> None:
        """Called after every epoch, when its checkpoints are on the disk."""


class Keeper(keras.callbacks.Callback):
    """Writes ``last.keras``, ``best.keras`` and the log of every epoch, and ends the run in time.

    Keras has callbacks for each of these, which a resumed run cannot go on with:
    ``ModelCheckpoint`` and ``EarlyStopping`` forget the best epoch with the process,
    ``BackupAndRestore`` and ``ModelCheckpoint`` write their file in place, so that a run that is
    killed meanwhile has none, and ``CSVLogger`` appends, so that the epoch that was killed stands
    there twice. Here all is made from one history, which is a part of the checkpoint. The events
    for TensorBoard need TensorFlow with Keras's ``TensorBoard``; see `RunLog`.

    Parameters
    ----------
    folders : RunFolders
        Where to write.
    training : TrainConfig
        Says when the run ends.
    history : sequence of dict
        One record for each epoch that is done already.
    listener : Listener or None
        Hears of batches and epochs.
    log : RunLog or None
        Is written after every epoch; None in a process that leaves all files to another.
    averages : Averages
        Whose weights the best file has; the last one has those that training goes on with.

    Attributes
    ----------
    history : list of dict
        With the epochs that were done since.
    """

    def __init__(
        self,
        folders: RunFolders,
        training: TrainConfig,
        history: Sequence[Record],
        listener: Listener | None,
        log: RunLog | None,
        averages: Averages,
    ) -> None:
        super().__init__()
        self._averages = averages
        self._folders, self._training, self._listener, self._log = folders, training, listener, log
        self.history = list(history)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras; `epoch` counts from 0."""
        self._epoch = epoch
        self._started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Tell the mean loss so far."""
        if self._listener is None:
            return
        loss = float((logs or {})["loss"])
        self._listener.on_batch(self._epoch + 1, batch + 1, self.params["steps"], loss)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the epoch; the logs are those of `Ranking`."""
        found = logs or {}
        rate = np.float32(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        # The shortest number that is this one in float32.
        record: Record = {"epoch": epoch + 1, "learning_rate": float(str(rate))}
        record["loss"] = float(found["loss"])
        record |= {name: found[f"val_{name}"] for name in MEASURES}
        record["seconds"] = time.monotonic() - self._started
        is_best = record["map"] > max((r["map"] for r in self.history), default=-1.0)
        self.history.append(record)
        self.model.metadata = dataclasses.replace(
            metadata_of(self.model), history=tuple(self.history)
        )
        # The best first: killed in between, the epoch is repeated and gives the same file.
        if is_best and self._log is not None:
            self._save(self._folders.best)
        self._averages.put_back()
        if self._log is not None:
            self._save(self._folders.last)
            self._log.write(self.history)
        if self._listener is not None:
            self._listener.on_epoch(record, is_best)
        if is_finished(self.history, self._training):
            self.model.stop_training = True

    def _save(self, path: Path) -> None:
        with apart():
            save(self.model, path)


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
