"""``kinet convert``."""

from __future__ import annotations

from pathlib import Path

import click

from kinet.commands.options import engine_options, path_type, require_target, start_backend
from kinet.commands.output import json_option, say, show_json


@click.command("convert")
@click.argument("old", type=path_type)
@click.argument("new", type=path_type)
@click.option("--force", is_flag=True, help="Replace NEW if it is there.")
@engine_options
@json_option
def command(
    old: Path, new: Path, force: bool, backend: str | None, gpu: str | None, as_json: bool
) -> None:
    """Bring a checkpoint of the original code, OLD (.h5), over to NEW (.keras).

    Block, stages and attention are read from the file itself.
    """
    require_target(new, force)
    start_backend(backend, gpu)

    from kinet.original.conversion import convert

    metadata = convert(old, new)
    model = metadata.model
    if as_json:
        said = {"model": model.to_dict(), "songs": len(metadata.songs)}
        show_json({"out": str(new), **said})
        return
    say(
        f"{new}: block {model.block}, S = {model.stages}, attention "
        f"{', '.join(model.attention) or 'none'}, T = {model.vectors}, {model.channels} channels, "
        f"{len(metadata.songs)} songs"
    )
