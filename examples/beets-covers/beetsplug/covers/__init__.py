"""``beet covers``: which items of a beets library are versions of one song.

The items' sound is kept in a library of kinet, one file beside beets' database. What people read of
an item is beets' own: its title, artist and album, in the format that they chose.
"""

from __future__ import annotations

import contextlib
import optparse
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import confuse
from beets.library import Item, Library
from beets.plugins import BeetsPlugin
from beets.ui import Subcommand, UserError, print_
from beets.util import displayable_path
from beetsplug.covers.bar import progress
from beetsplug.covers.found import (
    described,
    found_of,
    path_of,
    show,
    show_answer,
    show_json,
    songs_of,
)

if TYPE_CHECKING:
    # Else only where something is to be done: every command of beets loads this file.
    import kinet

#: What is added to the name of beets' database.
ENDING = ".covers.sqlite"


class CoversPlugin(BeetsPlugin):
    """The command, and with ``auto`` what follows an import."""

    def __init__(self) -> None:
        super().__init__()
        self.config.add({"library": None, "model": None, "threshold": 0.5, "auto": False})
        self._imported: list[Item] = []
        if self.config["auto"].get(bool):
            self.register_listener("item_imported", self._on_item)
            self.register_listener("album_imported", self._on_album)
            self.register_listener("import", self._on_import)

    def commands(self) -> list[Subcommand]:
        """The command ``covers``."""
        command = Subcommand("covers", help="find versions of songs")
        parser = command.parser
        parser.add_option(
            "--of",
            action="store_true",
            help="list the songs that the items of QUERY are versions of",
        )
        parser.add_option(
            "--threshold",
            type="float",
            metavar="P",
            help="least score, from 0 to 1; of a calibrated library least probability",
        )
        parser.add_option("--json", action="store_true", dest="as_json", help="print JSON")
        parser.add_path_option()
        parser.add_format_option()
        command.func = self._run
        return [command]

    def _run(self, lib: Library, options: optparse.Values, query: list[str]) -> None:
        with errors_of_users():
            threshold = self._threshold(options.threshold)
            if options.of and not query:
                raise UserError("covers --of: no QUERY; need the items whose songs to look for")
            asked = list(lib.items(query))
            if query and not asked:
                raise UserError("no matching items found")
            every = list(lib.items()) if query else asked
            with self._library(lib) as library:
                self._read(library, every if options.of else asked, every)
                if options.of:
                    self._show_songs(library, asked, every, threshold, options)
                else:
                    self._show_groups(library, asked, threshold, options)

    def _threshold(self, given: float | None) -> float:
        threshold = self.config["threshold"].as_number() if given is None else given
        if not 0 <= threshold <= 1:
            raise UserError(f"threshold is {threshold}; allowed: from 0 to 1")
        return float(threshold)

    @contextlib.contextmanager
    def _library(self, lib: Library) -> Iterator[kinet.Library]:
        """kinet's library of a library of beets, made if there is none."""
        import kinet

        configured = self.config["library"].get(confuse.Optional(confuse.Filename()))
        path = Path(configured or os.fsdecode(os.path.splitext(lib.path)[0]) + ENDING)
        model = self.config["model"].get(confuse.Optional(str))
        with kinet.Library.create(path, model) as library:
            yield library

    def _read(self, library: kinet.Library, items: Iterable[Item], every: Iterable[Item]) -> None:
        """Add what is new of items, and take out what beets has no more."""
        from kinet.extraction.sources import Source

        # Items whose files are gone are said to be, one by one, where a path would end it all.
        sources = [Source(path_of(item), "", "") for item in items]
        with progress("reading music") as move:
            added = library.add(sources, progress=lambda done, total, seconds: move(done, total))
        for unread in added.failed:
            self._warn(f"{displayable_path(unread.path)}: {unread.message}")
        known = {path_of(item) for item in every}
        gone = [file.path for file in library.files() if file.path not in known]
        if gone:
            library.remove(gone)
            self._log.info("{} files taken out that beets has no more", len(gone))

    def _show_groups(
        self, library: kinet.Library, items: list[Item], threshold: float, options: optparse.Values
    ) -> None:
        with progress("comparing") as move:
            groups = library.duplicates(threshold, move)
        by_path = {path_of(item): item for item in items}
        found = [members for group in groups if len(members := found_of(group, by_path)) > 1]
        is_calibrated = library.calibration is not None
        if options.as_json:
            shown = [[one.described() | one.nearest() for one in members] for members in found]
            show_json({"calibrated": is_calibrated, "groups": shown})
            return
        for number, members in enumerate(found, start=1):
            if number > 1 and not options.format:
                print_()
            for one in members:
                more = {"group": number, **one.nearest()}
                show(one, options.format, "{covers_score}  {item}", more)
        self._say_what_scores_are(bool(found), is_calibrated)

    def _show_songs(
        self,
        library: kinet.Library,
        asked: list[Item],
        every: list[Item],
        threshold: float,
        options: optparse.Values,
    ) -> None:
        with progress("looking for songs") as move:
            answers = library.find(
                [path_of(item) for item in asked], threshold=threshold, progress=move
            )
        by_path = {path_of(item): item for item in every}
        found = [songs_of(answer, by_path) for answer in answers]
        is_calibrated = library.calibration is not None
        if options.as_json:
            shown = [
                {
                    **described(item),
                    "error": answer.fault or None,
                    "songs": [song.described() for song in songs],
                }
                for item, answer, songs in zip(asked, answers, found, strict=True)
            ]
            show_json({"calibrated": is_calibrated, "items": shown})
        else:
            for item, answer, songs in zip(asked, answers, found, strict=True):
                show_answer(item, answer, songs, options.format)
            self._say_what_scores_are(any(found), is_calibrated)
        faults = [answer for answer in answers if answer.fault]
        for answer in faults:
            self._warn(f"{displayable_path(answer.path)}: {answer.fault}")
        if faults:
            raise UserError(f"{len(faults)} of {len(asked)} items could not be looked for")

    def _say_what_scores_are(self, is_any: bool, is_calibrated: bool) -> None:
        if is_any and not is_calibrated:
            self._log.info("scores are not calibrated: they rank, but are no probabilities")
        if not is_any:
            self._log.info("nothing found")

    def _warn(self, message: str) -> None:
        from kinet.errors import printable

        self._log.warning("{}", printable(message))

    def _on_item(self, item: Item) -> None:
        self._imported.append(item)

    def _on_album(self, album: Any) -> None:
        self._imported += album.items()

    def _on_import(self, lib: Library) -> None:
        """Read what was imported; the import itself is done, whatever comes of this."""
        items, self._imported = self._imported, []
        try:
            with errors_of_users():
                if items:
                    with self._library(lib) as library:
                        self._read(library, items, lib.items())
        except UserError as error:
            self._warn(str(error))


@contextlib.contextmanager
def errors_of_users() -> Iterator[None]:
    """What a user can cause as beets says it: one line, exit code 1."""
    from kinet.errors import KinetError, printable

    try:
        yield
    except KinetError as error:
        raise UserError(printable(str(error))) from error
    except KeyboardInterrupt as error:
        raise UserError("interrupted; what was read is kept, and the command goes on") from error
