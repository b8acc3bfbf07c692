"""The page of libraries: how fast they are, what they find, what their probabilities are worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tables import machine_line, number, percent, table, times

from kinet.files import write_atomically
from kinet.library.nearest import rows_of
from kinet.library.shortlisting import ALIGNED
from kinet.metrics import TITLES

Report = Mapping[str, Any]
Reports = Mapping[str, Report]

PICTURE = "images/reliability.png"
LENGTHS = ("whole", "60 s", "30 s", "15 s", "10 s")
ABOUT = """\
# Libraries

Made by `benchmarks/index.py`.
"""
SCAN = """\
## Search

Exact: every embedding of every recording is compared with the query. Beside it a product of NumPy
over the same numbers, which does nothing else, in turns; and other programs, where they were
installed. The embeddings are made-up songs near a space of few dimensions. Opening is that of a
fresh process, with the file of vectors that lies beside the library, and without it.
"""
INDEXES = """\
Other programs on the same embeddings. The approximate ones look at as much as it takes for a recall
of 0.99 among the ten nearest, or at most at 1,024 lists or candidates.
"""
OWN_INDEX = """
"kinet, index" is that of `kinet index build`, a graph of usearch, asked for so many rows.
`kinet find --approximate` asks for {rows}, for hubs are among them, and pieces of one recording.
"""
ADDED = "## Adding\n"
PAIRS = "## Duplicates\n"
FOLDER = "## A folder of recordings\n"
FOUND = """\
## What is found

Each recording of a list is a query in turn, whole and as a cut at a random place; its own recording
is left out. `hubs corrected` is the order in which recordings are aligned: what is near to
everything comes later, the less so the smaller the part of a window of 63 s that a query fills.
`aligned`, by the score, is how `kinet find` ranks; `by probability` is how it would with the
probabilities that come with `small`.
"""
SURE = """\
## What a probability means

The probabilities that come with `small` were learned from made versions of works that it was not
trained on, which its card names, and of none of the lists here. Counted is over all pairs that
`kinet find` would align. A Brier score is the mean square of the error, 0 is best; beside it that
of who knows only how many of the pairs are versions.
"""
REACHED = """\
With a threshold, so many queries show a version, and so many a wrong song. A query of a song that
the library does not have is answered with its wrong songs.
"""


def library_page(reports: Reports) -> str:
    """All of it; nothing where nothing was measured."""
    if not reports:
        return ""
    parts = [ABOUT]
    for report in reports.values():
        parts += [_under(*section, report) for section in _speed(report)]
    lists = [report for report in reports.values() if "whole" in report]
    if lists:
        parts.append(_under(FOUND, table(_FOUND_HEADINGS, _found(lists)), lists[0]))
    lists = [report for report in lists if "reliability" in report["whole"]]
    if lists:
        parts += [SURE]
        parts += [table(_SURE_HEADINGS, _sure(lists)), f"![Reliability](../{PICTURE})\n"]
        parts += [REACHED, table(_REACHED_HEADINGS, _reached(lists))]
    return "\n".join(parts)


def _under(heading: str, text: str, report: Report) -> str:
    return f"{heading}\n{machine_line(report)}\n{text}"


def _speed(report: Report) -> Iterator[tuple[str, str]]:
    if "scan" in report:
        yield SCAN, _scan(report["scan"])
    if "add" in report:
        yield ADDED, _added(report["add"])
    if "pairs" in report:
        yield PAIRS, _pairs(report["pairs"])
    if "groups" in report:
        found = report["groups"]
        yield (
            "## Duplicates, aligned\n",
            f"{found['tracks']:,} made-up tracks of {found['vectors']} vectors: "
            f"{found['pairs_aligned']:,} pairs aligned in {number(found['seconds'])} s; "
            f"{found['groups_of_one_song']:,} of {found['groups']:,} groups are of one song, of "
            f"{found['songs']:,} songs.\n",
        )
    if "folder" in report:
        found = report["folder"]
        yield (
            FOLDER,
            f"{found['files']} made-up recordings of {number(found['minutes'])} minutes, flac and "
            f"mp3, read, embedded by `{found['model']}` and put in by one process: "
            f"{number(found['times_real_time_of_processor'])} times real time, by the time of the "
            f"processor; {number(found['times_real_time'])} by the clock.\n",
        )


def _scan(rows: list[Report]) -> str:
    headings = [
        *("embeddings", "recordings", "numbers", "one query, ms", "over NumPy"),
        *("each of 100, ms", "over NumPy", "peak MiB", "find, not aligned, ms", "open, s"),
        *("without the file, s", "peak MiB without it"),
    ]
    own = [
        (
            *(f"{r['embeddings']:,}", f"{r['recordings']:,}", r["size"]),
            *(number(r["one_query_ms"]), times(r["one_query_over_numpy"])),
            *(number(r["each_of_100_ms"]), times(r["each_of_100_over_numpy"])),
            *(
                number(r["peak_rss_mib"]),
                number(1e3 * r["seconds_to_find"]) if "seconds_to_find" in r else None,
            ),
            *(number(r["seconds_to_open"]), number(r["seconds_to_open_without_cache"])),
            number(r["peak_rss_mib_to_open_without_cache"]),
        )
        for r in rows
    ]
    beside = [line for r in rows for line in _beside(r)]
    found = table(headings, own)
    if beside:
        titles = [
            "embeddings",
            "recordings",
            "program",
            "one query, ms",
            "each of 100, ms",
            "recall@10",
            "built, s",
        ]
        is_there = any("kinet_index" in r for r in rows)
        own_index = OWN_INDEX.format(rows=rows_of(ALIGNED)) if is_there else ""
        found += f"\n{INDEXES}{own_index}\n{table(titles, beside)}"
    return found


def _beside(row: Report) -> Iterator[tuple[Any, ...]]:
    """Other programs on the embeddings of a row, and the library's index."""
    size = f"{row['embeddings']:,}", f"{row['recordings']:,}"
    for name in ("faiss_exact", "faiss_approximate", "usearch_approximate"):
        if found := row.get(name):
            times_of = found["one_query_ms"], found["each_of_100_ms"]
            quality = found.get("recall_at_10"), found.get("seconds_to_build")
            yield (*size, name.replace("_", ", "), *map(number, (*times_of, *quality)))
    if found := row.get("kinet_index"):
        for step in found["looked_for"]:
            figures = step["one_query_ms"], None, step["recall_at_10"], found["seconds_to_build"]
            yield (*size, f"kinet, index, {step['rows']} rows", *map(number, figures))


def _added(found: Report) -> str:
    share = found["pages_changed"] / found["pages_before"]
    return (
        f"{found['added']:,} recordings into a library of {found['there']:,}, each in a "
        f"transaction of its own: {number(found['seconds'])} s, "
        f"{number(found['kilobytes_written_a_recording'])} kB written for each, the log included. "
        f"Of the {found['pages_before']:,} pages that were there {found['pages_changed']:,} "
        f"changed, {percent(share)}.\n"
    )


def _pairs(found: Report) -> str:
    part = found["measured_recordings"]
    how = (
        f"measured {number(found['seconds'])} s"
        if part == found["recordings"]
        else f"{number(found['seconds_for_all'])} s, by {part:,} of the recordings, which took "
        f"{number(found['seconds'])} s"
    )
    return (
        f"Every embedding of {found['recordings']:,} recordings, {found['embeddings']:,} of "
        f"{found['size']} numbers, compared with every other: {how}. The products alone, each "
        f"once, take {number(found['seconds_of_products_for_all'])} s. "
        f"{number(found['peak_rss_mib'])} MiB.\n"
    )


_FOUND_HEADINGS = ["list", "query", "ranked by", *TITLES]


def _found(lists: list[Report]) -> Iterator[list[object]]:
    for report in lists:
        for length in LENGTHS:
            for name, metrics in report[length].items():
                if isinstance(metrics, Mapping) and "map" in metrics:
                    values = [f"{metrics[key]:.3f}" for key in TITLES.values()]
                    yield [report["list"], length, name, *values]


_SURE_HEADINGS = ["list", "query", "pairs", "versions", "Brier score", "of who knows their share"]


def _sure(lists: list[Report]) -> Iterator[list[object]]:
    for report in lists:
        for length in LENGTHS:
            found = report[length]["reliability"]
            yield [
                *(report["list"], length, f"{found['pairs']:,}", f"{found['versions']:,}"),
                *(f"{found['brier']:.4f}", f"{found['brier_of_their_share']:.4f}"),
            ]


_REACHED_HEADINGS = ["list", "query", "probability", "show a version", "show a wrong song"]


def _reached(lists: list[Report]) -> Iterator[list[object]]:
    for report in lists:
        for length in LENGTHS:
            for row in report[length]["probabilities"]:
                if row["threshold"] in (0.2, 0.5, 0.8):
                    shares = percent(row["versions"]), percent(row["false_alarms"])
                    yield [report["list"], length, row["threshold"], *shares]


def draw_reliability(reports: Reports, docs: Path) -> None:
    """How often pairs of a probability are versions, for each list and length of a query."""
    lists = [r for r in reports.values() if "reliability" in r.get("whole", ())]
    if not lists:
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(lists), 4), layout="constrained")
    for report, axes in zip(lists, figure.subplots(1, len(lists), squeeze=False)[0], strict=True):
        axes.plot([0, 1], [0, 1], ":", color="gray")
        for length in LENGTHS:
            bins = report[length]["reliability"]["bins"]
            probability = [each["mean_probability"] for each in bins]
            axes.plot(probability, [each["versions"] for each in bins], "-o", label=length)
        axes.set(title=report["list"], xlabel="probability", ylabel="share of versions")
        axes.legend(title="query")
    target = docs / PICTURE
    target.parent.mkdir(exist_ok=True)
    write_atomically(target, lambda file: figure.savefig(file, format="png", dpi=100))
