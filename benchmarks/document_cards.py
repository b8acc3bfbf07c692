"""``docs/models.md`` from the cards of the models that come with kinet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tables import number, table

HEAD = """\
# Models that come with kinet

Made by `python benchmarks/document.py` from the cards beside the weights; `kinet models NAME`
prints a card. `kinet.load(NAME)`, `--model-file NAME` and `--init NAME` take them by name. How to
make them again stands in `benchmarks/README.md`.

```bash
kinet models
kinet models small
```
"""
SYSTEMS = {
    "mean chroma": "mean of the pitch classes, best of 12 keys",
    "descriptor alone": "the descriptor alone",
    "network alone": "the network alone",
    "model": "**the model**",
    "model, hubs corrected": "the model, less how near a track is to all",
}


def cards_page(cards: Sequence[Mapping[str, Any]]) -> str:
    """The page, a section for each card."""
    return "\n".join([HEAD, *map(_section, cards)])


def _section(card: Mapping[str, Any]) -> str:
    parts = [
        f"## {card['name']}\n\n{card['description'].capitalize()}; {card['numbers']} numbers for a "
        f"track. Licence of the weights: {card['licence']}.\n",
        "### How well it finds covers\n\nEach track in turn is the query, itself left out; its "
        "first 400 vectors, one embedding, no alignment. None of these recordings, and none of "
        "these works, was trained on; weight, lengths and number of steps were chosen on these "
        "lists, so expect less elsewhere.\n",
        *(_results(title, found) for title, found in card["results"].items()),
        _shortened(card),
        "### What it was trained on\n\n" + "".join(f"- {line}\n" for line in card["material"]),
        _of_the_network(card),
        f"The weights of the network are those after {card['samples']:,} versions, of a run of "
        f"{card['hours']:g} hours, seed {card['seed']}, on {card['machine']['cores']} cores "
        f"({card['machine']['cpu']}), with other work beside it. Works whose titles stand in "
        "`benchmarks/held_out.txt`, because they are, or may be, in the lists above, were left "
        "out; all others stand in `benchmarks/results/small-works.csv`. The licence of POP909 is "
        "that of its files; the songs are other people's.\n",
        _curve(card["curve"]),
        "### What it cannot do\n\n" + "".join(f"- {line}\n" for line in card["cannot"]),
    ]
    return "\n".join(part for part in parts if part)


def _of_the_network(card: Mapping[str, Any]) -> str:
    """What the network saw, where that is less than the descriptor."""
    less = card.get("material_of_the_network")
    if not less:
        return ""
    return f"That is what the descriptor was learned from; the network saw {' and '.join(less)}.\n"


def _results(title: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, words in SYSTEMS.items():
        if name not in found:
            continue
        metrics = found[name]
        low, high = metrics["map_interval"]
        rows.append(
            [
                words,
                f"{metrics['map']:.3f}",
                f"{low:.3f} to {high:.3f}",
                f"{metrics['hit1']:.3f}",
                number(metrics["mr1"]),
            ]
        )
    first = next(iter(found.values()))
    return f"{title}: {first['tracks']} tracks of {first['songs']} songs.\n\n" + table(
        ["system", "mAP", "95 % interval over queries", "hit@1", "MR1"], rows
    )


def _shortened(card: Mapping[str, Any]) -> str:
    """mAP of excerpts as queries."""
    found = card.get("excerpts")
    if not found:
        return ""
    seconds = list(next(iter(found.values())))
    rows = [
        [title, *(f"{values[length]:.3f}" for length in seconds)] for title, values in found.items()
    ]
    return (
        "### Excerpts as queries\n\nmAP where the query is cut to so many seconds from a place "
        "drawn at random, and the others are whole.\n\n"
        + table(["list", *(f"{length} s" for length in seconds)], rows)
    )


def _curve(epochs: Sequence[Mapping[str, Any]]) -> str:
    lists = [name for name in epochs[0] if name not in ("samples", "seconds", "loss")]
    rows = [[f"{e['samples']:,}", *(f"{e[name]:.3f}" for name in lists)] for e in epochs]
    return "mAP of the network alone while it trained:\n\n" + table(["versions seen", *lists], rows)
