"""Figures by cell in one JSON file: written after every cell, gone on with where it stopped."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import click
from machine import machine, versions, write_report

from kinet.errors import KinetError

FAILED = "failed"


class Cells:
    """The cells of one benchmark, of one machine and one set of versions.

    Parameters
    ----------
    what : str
        What is measured, for the reader of the file.
    distributions : sequence of str
        Whose versions the figures depend on.
    out : path or None
        The JSON file. If it is there its cells are kept, if the machine and versions are its own.
    """

    def __init__(self, what: str, distributions: Sequence[str], out: str | None) -> None:
        self._what, self._distributions, self._out = what, distributions, out
        self.cells: list[dict[str, Any]] = []
        if out is not None and Path(out).exists():
            self.cells = self._read(Path(out))

    def _read(self, path: Path) -> list[dict[str, Any]]:
        report = json.loads(path.read_text())
        for name, here in (("machine", machine()), ("versions", versions(self._distributions))):
            there = report[name]
            # The load is another every time, the kernel of a rented machine often.
            changing = ("load_average", "system")
            differing = sorted(
                key
                for key in {*here, *there}
                if key not in changing and here.get(key) != there.get(key)
            )
            if differing:
                raise click.UsageError(
                    f"{path} was measured with another {name} ({', '.join(differing)}); "
                    "name another file with --out, or remove it to measure all again"
                )
        return list(report["cells"])

    def measure(
        self, key: Mapping[str, Any], function: Callable[..., dict[str, Any]], *arguments: Any
    ) -> None:
        """Add the figures that ``function(*arguments)`` gives, unless the cell is there.

        What the machine or kinet cannot do is written down as such, and tried again next time.
        """
        name = " ".join(str(value) for value in key.values())
        if any(_is(cell, key) and FAILED not in cell for cell in self.cells):
            click.echo(f"{name}: there already", err=True)
            return
        click.echo(f"{name} ...", err=True)
        load = round(os.getloadavg()[0], 2)
        try:
            figures = function(*arguments)
        except (KinetError, BrokenProcessPool, MemoryError, RuntimeError) as error:
            figures = {FAILED: " ".join(f"{type(error).__name__}: {error}".split())[:300]}
            click.echo(figures[FAILED], err=True)
        about = {"date": datetime.date.today().isoformat(), "load_average": load}
        self.cells = [cell for cell in self.cells if not _is(cell, key)]
        self.cells.append({**key, **about, **figures})
        if self._out is not None:
            self.write()

    def write(self) -> None:
        """Write all cells, to stdout if there is no file."""
        report = {"what": self._what, "cells": self.cells}
        write_report(report, self._distributions, self._out)


def _is(cell: Mapping[str, Any], key: Mapping[str, Any]) -> bool:
    return all(name in cell and cell[name] == value for name, value in key.items())
