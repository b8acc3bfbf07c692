"""``kinet find``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kinet.address import Address
from kinet.commands.libraries import (
    described_match,
    folder_or_library,
    model_name_option,
    place_type,
    settle,
    several_libraries,
    show_match,
    show_where,
    workers_option,
)
from kinet.commands.options import engine_options, path_or_url_type, path_type, require_target
from kinet.commands.output import (
    json_option,
    say,
    show_csv,
    show_json,
    show_table,
    tracks_progress,
)
from kinet.remote import AnyPath

if TYPE_CHECKING:
    from kinet.library import Answer, Missing

COLUMNS = (
    *("query", "rank", "title", "artist", "song", "path", "score", "probability"),
    *("transposition", "tempo_ratio", "where", "message"),
)


@click.command("find")
@click.argument("queries", metavar="QUERY...", type=path_or_url_type, nargs=-1, required=True)
@click.option(
    "--in",
    "where",
    metavar="FOLDER|LIBRARY",
    type=place_type,
    multiple=True,
    required=True,
    help="A folder of music, or a library of kinet index: its file or its address; several times, "
    "or a .shards file that lists them, to search all as one.",
)
@click.option(
    "--allow-missing",
    is_flag=True,
    help="Of several libraries, search the others where one cannot be asked; it is told still.",
)
@click.option("--top", type=click.IntRange(1), default=10, help="Songs at most.")
@click.option(
    "--threshold",
    metavar="P",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Least probability; where the library is not calibrated, least score.",
)
@model_name_option
@engine_options
@workers_option
@json_option
@click.option(
    "--approximate",
    is_flag=True,
    help="Look only at what the index says is near: a library on PostgreSQL, after kinet index "
    "build.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for spreadsheets.")
@click.option(
    "--html",
    metavar="OUT",
    type=path_type,
    help="Write a page too, to see and hear where the query and its songs match; of one QUERY.",
)
@click.pass_context
def command(
    ctx: click.Context,
    queries: tuple[AnyPath, ...],
    where: tuple[Path | Address, ...],
    allow_missing: bool,
    top: int,
    threshold: float,
    model_file: str | None,
    backend: str | None,
    gpu: str | None,
    workers: int | None,
    as_json: bool,
    approximate: bool,
    as_csv: bool,
    html: Path | None,
) -> None:
    """Find which songs of a folder or library the recordings QUERY are versions of.

    A folder is read once: what is made of it is kept in FOLDER/.kinet, and the next time only what
    is new or changed is read. Shown are songs with their score, where query and song match, by how
    many semitones the song is higher, and its tempo, divided by the query's. A query itself and
    exact copies of it are left out.

    A query that cannot be read says why, and the exit code is 1; one that matches nothing is an
    answer. So is what the others say where one of several libraries cannot be asked: that is told,
    and the exit code is 1 without --allow-missing.
    """
    from kinet.library import are_several

    is_one = not are_several(where)
    if approximate and not is_one:
        raise click.UsageError("--approximate is of one library; several are searched exactly.")
    if html is not None:
        if len(queries) > 1:
            raise click.UsageError(f"--html is of one QUERY, and {len(queries)} were given.")
        require_target(html, force=True)
    settle(backend, gpu)
    missing: tuple[Missing, ...] = ()
    if is_one:
        with folder_or_library(where[0], model_file, workers) as library:
            is_calibrated = library.calibration is not None
            with tracks_progress("looking for songs", unit="queries") as bar:
                answers = library.find(queries, top, threshold, None, workers, bar, approximate)
    else:
        with several_libraries(where, model_file, workers) as shards:
            with tracks_progress("looking for songs", unit="queries") as bar:
                answers = shards.find(queries, top, threshold, None, workers, bar)
            is_calibrated, missing = shards.calibration is not None, shards.missing
    is_lacking = bool(missing) and not allow_missing
    if html is not None and answers[0].matches:
        _write_page(html, answers[0])
    _show(answers, where[0] if is_one else None, is_calibrated, threshold, as_json, as_csv)
    for each in missing:
        say(f"{each.message}; its recordings were not searched")
    ctx.exit(1 if is_lacking or any(answer.fault for answer in answers) else 0)


def _show(
    answers: list[Answer],
    where: Path | Address | None,
    is_calibrated: bool,
    threshold: float,
    as_json: bool,
    as_csv: bool,
) -> None:
    if as_json:
        show_json([_described(answer, is_calibrated) for answer in answers])
    elif as_csv:
        show_csv(COLUMNS, [row for answer in answers for row in _rows(answer)])
    else:
        for answer in answers:
            show_answer(answer, where, is_calibrated, threshold)
        if not is_calibrated:
            say(
                "scores are not calibrated: they rank, but are no probabilities (kinet index "
                "calibrate, with recordings whose songs are known)"
            )


def _write_page(path: Path, answer: Answer) -> None:
    from kinet.library.pages import write_answer

    write_answer(path, answer)
    say(f"{path}: to see and hear where they match")


def show_answer(
    answer: Answer, where: Path | Address | None, is_calibrated: bool, threshold: float
) -> None:
    """Print the songs that were found for a query, or what stands in their place.

    Files in a folder `where` are named without it.
    """
    from kinet.reading import show_path

    name = show_path(answer.path)
    if answer.fault:
        say(f"{name}: {answer.fault}")
        return
    if not answer.matches:
        reached = f" of {'probability' if is_calibrated else 'score'} {threshold:g} or more"
        say(f"{name}: nothing here{reached if threshold else ''}")
        return
    headings = ["", "song", "artist", "score", *(["probability"] if is_calibrated else [])]
    rows = [
        (
            *(rank, match.title, match.artist, f"{match.score:.3f}"),
            *([f"{match.probability:.3f}"] if match.probability is not None else []),
            *(show_where(match), f"{match.transposition:+d}", f"{match.tempo_ratio:.2f}"),
            show_match(match, where),
        )
        for rank, match in enumerate(answer.matches, start=1)
    ]
    headings += ["query ~ song", "key", "tempo", "file"]
    show_table(headings, rows, title=f"{answer.title} ({name})")


def _described(answer: Answer, is_calibrated: bool) -> dict[str, Any]:
    from kinet.reading import show_path

    return {
        "query": show_path(answer.path),
        "title": answer.title,
        "seconds": round(answer.seconds, 3),
        "error": answer.fault or None,
        "calibrated": is_calibrated,
        "songs": [described_match(match) for match in answer.matches],
        "missing": [
            {"library": show_path(each.path), "error": each.message} for each in answer.missing
        ],
    }


def _rows(answer: Answer) -> list[tuple[object, ...]]:
    """Lines of CSV: one for each song, or one that says why there is none."""
    from kinet.reading import show_path

    name = show_path(answer.path)
    missing = "; ".join(f"without {show_path(each.path)}" for each in answer.missing)
    if not answer.matches:
        nothing = "; ".join(filter(None, (answer.fault or "nothing here", missing)))
        return [(name, *[""] * (len(COLUMNS) - 2), nothing)]
    return [
        (
            *(name, rank, match.title, match.artist, match.song, show_path(match.path)),
            *(match.score, "" if match.probability is None else match.probability),
            *(match.transposition, match.tempo_ratio, show_where(match), missing),
        )
        for rank, match in enumerate(answer.matches, start=1)
    ]
