"""How commands speak: tables and messages to people, JSON to programs, progress to stderr."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from kinet.errors import printable
from kinet.metrics import TITLES

A_DAY = 24 * 3600
STEPS_OF_AN_EPOCH = 20

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def say(message: str) -> None:
    """Print a line for a person, to stderr, so that stdout stays the result."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(_line(message), markup=False)


def _line(text: str) -> str:
    """One line, whatever a file is called: none of its lines is taken for one of kinet's."""
    return printable(text).replace("\n", "\\n")


def show_table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None
) -> None:
    """Print a table; columns whose values are all numbers are aligned to the right."""
    table = Table(
        title=escape(_line(title)) if title else None, title_justify="left", header_style="bold"
    )
    for column, heading in enumerate(headings):
        numeric = all(isinstance(row[column], int | float) for row in rows) and bool(rows)
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(f"{v:.4f}" if isinstance(v, float) else escape(printable(str(v))) for v in row)
        )
    Console(highlight=False).print(table)


def _text(value: object) -> str:
    return escape(printable(str(value)))


def show_json(values: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON document to stdout."""
    click.echo(json.dumps(values, indent=2, allow_nan=False))


def show_csv(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print CSV to stdout, for spreadsheets."""
    click.echo(csv_of(headings, rows), nl=False)


def csv_of(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lines of CSV in which a spreadsheet finds no formula, which it would run.

    Names of files and tags are of others. What steers a terminal is escaped in them.

    Examples
    --------
    >>> csv_of(("title", "semitones"), [("=cmd|x", -3), ("a, b", 0)]).splitlines()
    ['title,semitones', "'=cmd|x,-3", '"a, b",0']
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(map(_cell, row) for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if len(text) > 1 and text.startswith(("=", "+", "-", "@")) else text


def show_metrics(report: Mapping[str, Any]) -> None:
    """Print the table of an evaluation, and on what it was done."""
    rows = []
    for name, key in TITLES.items():
        low, high = report[f"{key}_interval"]
        rows.append([name, report[key], f"{low:.4f} to {high:.4f}"])
    show_table(["measure", "value", "95 % interval"], rows, title=f"{report['list']}")
    coverage = f" ({report['missing']} of {report['listed']} listed files missing)"
    say(
        f"{report['tracks']} tracks{coverage if report['missing'] else ''}, {report['songs']} "
        f"songs, {report['queries']} queries, {report['queries_left_out']} left out for want of "
        f"another version; protocol {report['protocol']}"
    )


def progress_bar(unit: str) -> Progress:
    """A progress bar on stderr with count, rate of `unit` per second and time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} " + unit + "/s {task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=False,
    )


class TrainingProgress:
    """Shows a bar for the epoch, one for the whole training, and a line for every epoch done.

    Parameters
    ----------
    progress : rich.progress.Progress
        With columns for the field ``note``.
    epochs : int
        Of the whole training.
    """

    def __init__(self, progress: Progress, epochs: int) -> None:
        self._progress = progress
        self._epochs = epochs
        # Compiling the network takes longer than anyone waits without a word.
        self._bar = progress.add_task("preparing the network", total=None, note="")
        self._whole = progress.add_task("training", total=epochs, note="epochs", visible=False)
        self._epoch = 0

    def on_batch(self, epoch: int, done: int, total: int, loss: float) -> None:
        """Move both bars."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._progress.reset(self._bar, total=total, visible=True, note="")
        speed = self._task(self._bar).speed
        self._progress.update(
            self._bar,
            completed=done,
            description=f"epoch {epoch}/{self._epochs}",
            note=f"{f'{speed:.1f}' if speed else '-'} batches/s, loss {loss:.4f}",
        )
        # Its speed is that of the last steps: of few in an epoch, so that validation counts too.
        if done % max(1, total // STEPS_OF_AN_EPOCH) == 0 and done < total:
            self._progress.update(self._whole, completed=epoch - 1 + done / total, visible=True)

    def on_epoch(self, record: Mapping[str, Any], is_best: bool) -> None:
        """Print the epoch's line, with the time that the rest will take."""
        self._progress.update(self._whole, completed=record["epoch"], visible=True)
        left = self._task(self._whole).time_remaining
        rest = f"  {timedelta(seconds=round(left))} left" if left else ""
        self._progress.console.print(
            f"epoch {record['epoch']:>3}/{self._epochs}  loss {record['loss']:.4f}  "
            f"mAP {record['map']:.4f}  P@10 {record['p10']:.4f}  MR1 {record['mr1']:.2f}  "
            f"{record['seconds']:.1f} s{rest}{'  best' if is_best else ''}",
            markup=False,
            highlight=False,
        )

    def close(self) -> None:
        """Take away the bar of an epoch that has not begun."""
        self._progress.update(self._bar, visible=self._epoch > 0)

    def _task(self, identity: TaskID) -> Task:
        return next(task for task in self._progress.tasks if task.id == identity)


@contextlib.contextmanager
def training_progress(epochs: int) -> Iterator[TrainingProgress]:
    """A listener for `kinet.training.fitting.train` that shows its progress on stderr."""
    with (
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            speed_estimate_period=A_DAY,
        ) as progress,
        contextlib.closing(TrainingProgress(progress, epochs)) as listener,
    ):
        yield listener


@contextlib.contextmanager
def tracks_progress(description: str, unit: str = "tracks") -> Iterator[Callable[[int, int], None]]:
    """A callback ``(done, total)`` that moves a bar on stderr."""
    with progress_bar(unit) as progress:
        bar = progress.add_task(description, total=None, rate="-", note="")

        def move(done: int, total: int) -> None:
            speed = progress.tasks[0].speed
            progress.update(bar, completed=done, total=total, rate=f"{speed:.0f}" if speed else "-")

        yield move
