"""`kinet plugins`: what is registered, and where it comes from."""

from __future__ import annotations

import dataclasses

import click

from kinet import attention, blocks, losses
from kinet.commands import output


@click.command("plugins")
@output.json_option
def command(as_json: bool) -> None:
    """List blocks, attention modules and losses, and where they come from.

    A plug-in that cannot be loaded is listed with the cause; it breaks nothing else.
    """
    registries = (blocks.registry, attention.registry, losses.registry)
    listings = [listing for registry in registries for listing in registry.listing()]
    if as_json:
        output.show_json([dataclasses.asdict(listing) for listing in listings])
        return
    rows = [
        (row.name, row.kind, row.distribution, row.version, row.problem or row.description)
        for row in listings
    ]
    output.show_table(("name", "kind", "distribution", "version", "description"), rows)
