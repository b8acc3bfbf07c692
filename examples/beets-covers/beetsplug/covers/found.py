"""What kinet found as items of beets: for people, for formats, for programs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beets.library import Item
from beets.ui import print_
from beets.util import displayable_path

if TYPE_CHECKING:
    from kinet.library import Answer, Group, Match

#: In place of the score of an exact copy.
COPY = "copy"


@dataclass(frozen=True)
class Found:
    """An item that was found.

    Attributes
    ----------
    item : Item
    match : Match or None
        How it matches another one; None if it is an exact copy of the item before it.
    """

    item: Item
    match: Match | None

    def fields(self) -> dict[str, str]:
        """What formats can name beside the item's own fields."""
        if self.match is None:
            return {"covers_score": COPY, "covers_key": "", "covers_tempo": "", "covers_where": ""}
        return {
            "covers_score": f"{self.match.confidence:.2f}",
            "covers_key": f"{self.match.transposition:+d}",
            "covers_tempo": f"{self.match.tempo_ratio:.2f}",
            "covers_where": _where(self.match),
        }

    def described(self) -> dict[str, Any]:
        """For programs."""
        match = self.match
        return {
            **described(self.item),
            "kind": COPY if match is None else "version",
            "score": match.score if match else None,
            "probability": match.probability if match else None,
            "transposition": match.transposition if match else None,
            "tempo_ratio": match.tempo_ratio if match else None,
            "passages": [
                [[passage.start_a, passage.end_a], [passage.start_b, passage.end_b]]
                for passage in (match.passages if match else ())
            ],
        }

    def nearest(self) -> dict[str, str | None]:
        """The file that a member of a group matches best."""
        return {"nearest": displayable_path(self.match.path) if self.match else None}


def described(item: Item) -> dict[str, Any]:
    """An item for programs."""
    return {
        "id": item.id,
        "title": item.title,
        "artist": item.artist,
        "album": item.album,
        "path": displayable_path(item.path),
    }


def path_of(item: Item) -> Path:
    """Where an item's file is, as kinet's library names it."""
    return Path(os.path.abspath(os.fsdecode(item.path)))


def found_of(group: Group, by_path: dict[Path, Item]) -> list[Found]:
    """The members of a group that are among some items."""
    return [
        one
        for member in group.members
        for one in _with_copies([file.path for file in member.files], member.nearest, by_path)
    ]


def songs_of(answer: Answer, by_path: dict[Path, Item]) -> list[Found]:
    """The songs of an answer, each with its copies after it."""
    return [
        one
        for match in answer.matches
        for one in _with_copies([match.path, *match.others], match, by_path)
    ]


def _with_copies(paths: list[Path], match: Match | None, by_path: dict[Path, Item]) -> list[Found]:
    items = [by_path[path] for path in paths if path in by_path]
    return [Found(item, None if place else match) for place, item in enumerate(items)]


def show_answer(item: Item, answer: Answer, songs: list[Found], template: str | None) -> None:
    """Print an item and the songs that it is a version of; of a format of the user's songs only."""
    if not template and not answer.fault:
        show_line(format(item))
        if not songs:
            show_line("  nothing here")
    layout = "  {covers_score:>4}  {covers_key:>2}  {covers_tempo:>4}  {item}  {covers_where}"
    for song in songs:
        show(song, template, layout, {"of": format(item, "$artist - $title")})


def show(found: Found, template: str | None, layout: str, more: dict[str, Any]) -> None:
    """Print a line: in the format of the user, or in a layout around the format of beets.

    A format can name ``more`` too, each with ``covers_`` before it.
    """
    fields = found.fields()
    if template:
        # In memory alone; nothing stores them.
        found.item.update(fields)
        found.item.update({f"covers_{name}": str(value or "") for name, value in more.items()})
        show_line(format(found.item, template))
    else:
        show_line(layout.format(item=format(found.item), **fields).rstrip())


def show_line(text: str) -> None:
    """Print what can steer no terminal; tabs are columns of the user's."""
    from kinet.errors import printable

    print_("\t".join(printable(part) for part in text.split("\t")))


def show_json(document: dict[str, Any]) -> None:
    """Print one JSON document."""
    print_(json.dumps(document, indent=2, allow_nan=False))


def _where(match: Match) -> str:
    if not match.passages:
        return ""
    passage = match.passages[0]
    return (
        f"{_clock(passage.start_a)}-{_clock(passage.end_a)} ~ "
        f"{_clock(passage.start_b)}-{_clock(passage.end_b)}"
    )


def _clock(seconds: float) -> str:
    return f"{round(seconds) // 60}:{round(seconds) % 60:02d}"
