"""``kinet convert``."""

from __future__ import annotations

from pathlib import Path

import click

from kinet.commands.options import engine_options, path_type, start_backend
from kinet.commands.output import say
from kinet.errors import CheckpointError


@click.command("convert")
@click.argument("old", type=path_type)
@click.argument("new", type=path_type)
@click.option("--force", is_flag=True, help="Replace NEW if it is there.")
@engine_options
def command(old: Path, new: Path, force: bool, backend: str | None, gpu: str | None) -> None:
    """Bring a checkpoint of the original code, OLD (.h5), over to NEW (.keras).

    Block, stages and attention are read from the file itself.
    """
    if new.exists() and not force:
        raise CheckpointError(f"{new} is there already; use --force to replace it")
    start_backend(backend, gpu)

    from kinet.original.conversion import convert

    metadata = convert(old, new)
    model = metadata.model
    say(
        f"{new}: block {model.block}, S = {model.stages}, attention "
        f"{', '.join(model.attention) or 'none'}, T = {model.vectors}, {model.channels} channels, "
        f"{len(metadata.songs)} songs"
    )
