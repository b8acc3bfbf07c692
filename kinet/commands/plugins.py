"""`kinet plugins`: what is registered, and where it comes from."""

from __future__ import annotations

import dataclasses

import click

from kinet.commands import output
from kinet.commands.options import plugin_option
from kinet.plugins import REGISTRIES


@click.command("plugins")
@plugin_option
@output.json_option
def command(as_json: bool) -> None:
    """List blocks, attention modules, losses and data sets, and where they come from.

    A plug-in that cannot be loaded is listed with the cause; it breaks nothing else.
    """
    listings = [listing for registry in REGISTRIES.values() for listing in registry.listing()]
    if as_json:
        output.show_json([dataclasses.asdict(listing) for listing in listings])
        return
    rows = [
        (
            row.name,
            row.kind,
            row.distribution or row.file,
            row.version,
            row.problem or row.description,
        )
        for row in listings
    ]
    output.show_table(("name", "kind", "comes from", "version", "description"), rows)
