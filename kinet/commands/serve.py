"""``kinet serve``."""

from __future__ import annotations

from pathlib import Path

import click

from kinet.address import Address
from kinet.commands.libraries import (
    folder_or_library,
    model_name_option,
    place_type,
    settle,
    workers_option,
)
from kinet.commands.options import engine_options
from kinet.commands.output import say
from kinet.serving import PORT, serve


@click.command("serve")
@click.argument("where", metavar="FOLDER|LIBRARY", type=place_type)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, help="0 takes one that is free."
)
@model_name_option
@engine_options
@workers_option
def command(
    where: Path | Address,
    port: int,
    model_file: str | None,
    backend: str | None,
    gpu: str | None,
    workers: int | None,
) -> None:
    """Open a page on this machine that finds songs of a folder or library, until Ctrl-C.

    Hand in a recording, see which songs it is a version of, and see and hear where they match.
    A folder is brought up to date first, as by kinet find. Only this machine can reach the page.
    """
    settle(backend, gpu)
    with folder_or_library(where, model_file, workers) as library:
        path = library.info().path
    serve(path, port, model_file, told=lambda address: say(f"{address} (Ctrl-C closes it)"))
