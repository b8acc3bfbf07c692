"""`kinet models`: what comes with kinet."""

from __future__ import annotations

import click

from kinet import weights
from kinet.commands import output


@click.command("models")
@click.argument("name", required=False)
@output.json_option
def command(name: str | None, as_json: bool) -> None:
    """List the models that come with kinet, or show the card of one: what it was trained on, how
    well it finds covers, and what it cannot do.
    """
    if name is None:
        cards = [weights.card(each) for each in weights.names()]
        if as_json:
            output.show_json([card.values for card in cards])
            return
        found = [(each.name, each.description, f"{_megabytes(each):.1f} MB") for each in cards]
        output.show_table(("name", "what it is", "size"), found)
        return
    card = weights.card(name)
    if as_json:
        output.show_json(card.values)
        return
    rows = [(key.replace("_", " "), _text(value)) for key, value in card.values.items()]
    output.show_table(("card of " + card.name, ""), rows)


def _megabytes(card: weights.Card) -> float:
    return card.path.stat().st_size / 1e6


def _text(value: object) -> str:
    """A value of a card; a list has a line for each of its parts."""
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_text(part)}" for key, part in value.items())
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    return str(value)
