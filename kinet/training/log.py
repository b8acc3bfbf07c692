"""The log of a run: a CSV with a line per epoch, and TensorBoard events under every backend."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tensorboardX import SummaryWriter

from kinet.files import write_text_atomically

Record = dict[str, Any]
HISTORY = "history.csv"
MEASURES = ("map", "p10", "mr1", "hit1")


class RunLog:
    """Writes ``history.csv`` and events to a folder, which must exist.

    Parameters
    ----------
    folder : pathlib.Path
        ``log/<tag>``.
    first_epoch : int
        The epoch that is logged first, from 1. TensorBoard then hides what a killed run wrote of
        it and of later ones.
    """

    def __init__(self, folder: Path, first_epoch: int) -> None:
        self._folder = folder
        self._events = SummaryWriter(str(folder), purge_step=first_epoch)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._events.close()

    def write(self, history: Sequence[Record]) -> None:
        """Write the CSV anew, and the last record as events."""
        write_history(self._folder, history)
        record = history[-1]
        for name, value in record.items():
            if name != "epoch":
                group = "validation" if name in MEASURES else "train"
                self._events.add_scalar(f"{group}/{name}", value, record["epoch"])
        self._events.flush()


def write_history(folder: Path, history: Sequence[Record]) -> None:
    """Write ``history.csv`` anew, a line for each epoch; there must be one.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text_atomically(folder / HISTORY, text.getvalue())
