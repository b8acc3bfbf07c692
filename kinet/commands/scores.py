"""``kinet scores``."""

from __future__ import annotations

from pathlib import Path

import click

from kinet.commands.options import path_type, require_target
from kinet.commands.output import json_option, say, show_json, tracks_progress
from kinet.errors import DataError
from kinet.reading import read_text

FAULTS_SHOWN = 5


@click.command("scores")
@click.argument("sources", metavar="FOLDER|PACK...", type=path_type, nargs=-1, required=True)
@click.option("--out", type=path_type, required=True, help="The file to write.")
@click.option("--source", default="", help="What the collection in the folders is called.")
@click.option("--licence", default="unknown", help="Its licence, kept with every work.")
@click.option(
    "--without",
    metavar="FILE",
    type=path_type,
    help="Leave out works whose title or file name holds one of the lines of FILE.",
)
@click.option("--keep-doubles", is_flag=True, help="Keep works that are one tune.")
@click.option("--workers", type=click.IntRange(1), help="Processes; one per processor by default.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@json_option
def command(
    sources: tuple[Path, ...],
    out: Path,
    source: str,
    licence: str,
    without: Path | None,
    keep_doubles: bool,
    workers: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Read MIDI, MusicXML, ABC and kern once, into one file of notes.

    A FOLDER is searched with all that is below it; a PACK is a file that this command wrote
    before. kinet synth makes versions of the works in the file.
    """
    from kinet.versions.gathering import gather, without_doubles
    from kinet.versions.note_pack import is_note_pack, read_note_pack, write_note_pack
    from kinet.versions.score_files import find_scores

    require_target(out, force)
    words = _lines(without) if without else []
    works, faults = [], []
    for place in sources:
        if is_note_pack(place):
            works += read_note_pack(place)
            continue
        find_scores(place)  # a wrong place is told before a bar is drawn
        with tracks_progress(f"reading {place.name}", "files") as progress:
            gathered = gather(place, source or place.name, licence, workers, progress)
        works += gathered.works
        faults += gathered.faults
    wanted = [w for w in works if not _named(f"{w.record.title} {w.record.file}", words)]
    kept = wanted if keep_doubles else without_doubles(wanted)[0]
    size = write_note_pack(kept, out)
    counts = {
        "works": len(kept),
        "left_out_by_name": len(works) - len(wanted),
        "doubles": len(wanted) - len(kept),
        "damaged": len(faults),
        "bytes": size,
    }
    if as_json:
        show_json({"out": str(out), **counts, "faults": faults})
        return
    for fault in faults[:FAULTS_SHOWN]:
        say(fault)
    if len(faults) > FAULTS_SHOWN:
        say(f"and {len(faults) - FAULTS_SHOWN} more; --json lists them all")
    say(
        f"{out}: {len(kept)} works, {size / 2**20:.1f} MiB; left out: {counts['doubles']} doubles, "
        f"{counts['left_out_by_name']} by name, {len(faults)} files that could not be read"
    )


def _lines(path: Path) -> list[str]:
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}; allowed: lines of text") from error
    return [_plain(line.strip()) for line in text.splitlines() if line.strip()]


def _named(text: str, words: list[str]) -> bool:
    plain = _plain(text)
    return any(word in plain for word in words)


def _plain(text: str) -> str:
    # File names have underscores for spaces.
    return text.casefold().replace("_", " ")
