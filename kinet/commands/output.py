"""How commands speak: tables and messages to people, JSON to programs, progress to stderr."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def say(message: str) -> None:
    """Print a line for a person, to stderr, so that stdout stays the result."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(message, markup=False)


def show_table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None
) -> None:
    """Print a table; columns whose values are all numbers are aligned to the right."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column, heading in enumerate(headings):
        numeric = all(isinstance(row[column], int | float) for row in rows) and bool(rows)
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{v:.4f}" if isinstance(v, float) else escape(str(v)) for v in row))
    Console(highlight=False).print(table)


def show_json(values: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON document to stdout."""
    click.echo(json.dumps(values, indent=2, allow_nan=False))


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
