"""The page of scale: what many recordings cost, and how search grows with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from document_postgres import postgres_section
from document_published import published_section
from law import FITTED_FROM, fitted
from tables import machine_line, number, percent, table, times

Report = Mapping[str, Any]
Reports = Mapping[str, Report]

MILLION, HOUR, GIGA = 1e6, 3600.0, 1e9
LARGER = (100_000_000, 1_000_000_000)
# Recordings that a query is aligned with.
FOUND_AMONG = 20

ABOUT = """\
# How far it goes

Made by `python benchmarks/document.py` from what `benchmarks/scale.py`, `extraction.py` and
`index.py` measured. What is extrapolated is marked so.
"""
COSTS = """\
## A million recordings

Core-hours are hours of one core that does nothing else. A recording has {minutes} minutes here.
Decoding and HPCP are those of [recordings beside Essentia](benchmarks/around.md), counted by the
minute; adding is that of [libraries](benchmarks/library.md), each recording
in a transaction of its own; the rest is of {tracks} made-up tracks of {minutes} minutes in a
library of `{model}`, which has {pieces} embeddings of {size} numbers for each, of the whole and of
its windows.
"""
SPACE = """\
## Bytes

On disk is the library, with HPCP, embeddings and their checksums, compacted; in memory is what a
search looks at. Both are measured, of the same tracks. The last line is computed: one embedding of
128 numbers in one byte each.
"""
SEARCH = """\
## Search, from 10,000 to ten million rows

Rows of {size} numbers are drawn with mean and covariance of {embeddings:,} embeddings that
`{model}` gives for made versions: of its {own} directions those {size} that vary most, with
{share} of the variance. One query of one row, {threads} threads, the quickest of several calls.
"As `find` does it" are products of float32 and the {listed} nearest of them. "int8" are products of
one byte a number, by a loop that numba compiles, and the ten nearest: exact over these rows. Beside
both stands the time in which NumPy reads the same bytes once and does nothing else.
"""
LAW = """\
### The law

Least squares over the rows from {first:,} on. A power, `a n^b`, shows how it grows; a line,
`a + b n`, is what the following table goes on with, because every row is looked at once. The
largest residual is that of the power, in percent of what was measured.
"""
FURTHER = """\
### Extrapolated

By the line, on this machine and its {threads} threads, if all rows were in its memory; nothing of
this table was measured. A recording of {minutes} minutes has {pieces} rows in a library of `small`,
so that a hundred million recordings are {many} million rows there; of one row for each recording a
hundred million are what the table says.
"""
INT8 = """\
## Ten million int8 rows at the memory's speed

The ten nearest of {rows:,} rows by their int8 numbers: {ours} ms with {threads} threads. Reading
the same {gigabytes} GB takes NumPy {read} ms with as many threads: the scan takes {ratio} as long
({one} with one thread). Of the ten nearest by float32, {recall} are among the ten nearest by int8,
and {again} among the {many} nearest, of which float32 would choose again.
"""
BESIDE = """\
Other programs over the same rows, one query:
"""
DECIDES = """\
## What decides

Recordings are read once, a search looks at all of them. To read a million takes {reading}
core-hours, most of it decoding ({decoding}) and HPCP ({hpcp}), against {search} core-seconds of one
search among these as `find` does it now, with all windows. Among 100 million, one pass over
{gigabytes} GB, 128 int8 numbers of each, would take {scan} s by the line above (extrapolated): they
fit the memory of one machine. To decode these takes {hundred} core-hours, as much as {scans} such
scans.

`duplicates` compares all with all. That grows with the square: what is {pairs} core-hours for a
million recordings would be {many} for 100 million (extrapolated), more than all else. There an
index, or one row for each recording in place of its windows, has to come first.
"""


def scale_page(reports: Reports) -> str:
    """All of it; a section is there if its figures are."""
    costs = reports.get("scale-costs", {}).get("costs")
    search = reports.get("scale-search", {}).get("search")
    if not (costs and search):
        return ""
    extraction, add = reports["extraction"]["formats"], reports["index-add"]["add"]
    spent = core_hours(costs, search, extraction, add)
    parts = [ABOUT, _costs(costs, spent, reports), _space(costs, reports)]
    parts += [_search(search, costs, reports), _int8(search)]
    servers = [report for name, report in reports.items() if name.startswith("postgres")]
    parts += filter(None, [postgres_section(servers)])
    return "\n".join([*parts, _decides(costs, search, spent), published_section()])


def core_hours(costs: Report, search: Report, formats: Report, add: Report) -> dict[str, float]:
    """Of a million recordings, by what is done with them."""
    sound = 60 * costs["minutes"] * MILLION
    found: dict[str, float] = {}
    for what, share in (("decode", True), ("HPCP", False)):
        for kind, figures in formats.items():
            decoding = figures["share_of_decoding"]
            part = decoding if share else 1 - decoding
            found[f"{what}, {kind}"] = part * sound / figures["kinet_times_real_time"] / HOUR
    found["embed"] = MILLION * costs["seconds_to_embed_a_track"] / HOUR
    found["add"] = MILLION * add["seconds"] / add["added"] / HOUR
    pieces = costs["pieces_of_a_track"] * costs["size"] / search["size"]
    found["find, a query"] = (
        pieces * costs["pieces_of_a_track"] * _of_a_product(search) * MILLION
        + FOUND_AMONG * costs["seconds_to_group_a_pair"]
    ) / HOUR
    found["duplicates, products"] = pieces * costs["pieces_of_a_track"] * _of_a_product(search)
    found["duplicates, products"] *= MILLION * MILLION / 2 / HOUR
    aligned = MILLION * costs["pairs_aligned"] / costs["tracks"]
    found["duplicates, alignment"] = aligned * costs["seconds_to_group_a_pair"] / HOUR
    return found


def _of_a_product(search: Report) -> float:
    """Core-seconds of a row compared with a row, where several are compared at once."""
    of_million = next(row for row in search["rows"] if row["rows"] == max_of(search, MILLION))
    seconds: float = of_million["float32_products_of_16"]
    return seconds / 16 / of_million["rows"] * search["threads"]


def max_of(search: Report, limit: float) -> int:
    """The most rows that were searched, up to a limit."""
    return max(row["rows"] for row in search["rows"] if row["rows"] <= limit)


def _costs(costs: Report, spent: Mapping[str, float], reports: Reports) -> str:
    text = COSTS.format(
        minutes=number(costs["minutes"]),
        tracks=costs["tracks"],
        model=costs["model"],
        pieces=number(costs["pieces_of_a_track"]),
        size=costs["size"],
    )
    how = {
        "find, a query": "one query of the same length in a library of a million, computed from "
        "products of 16 rows at once and 20 alignments",
        "duplicates, products": "every row with every row, once, computed from the same products",
        "duplicates, alignment": "as many pairs for a track as in the library that was measured",
    }
    rows = [(what, number(hours), how.get(what)) for what, hours in spent.items()]
    headings = ["a million recordings: to", "core-hours", "how"]
    return f"{text}\n{machine_line(reports['scale-costs'])}\n{table(headings, rows)}"


def _space(costs: Report, reports: Reports) -> str:
    kept = (
        ("library on disk", costs["bytes_on_disk_of_a_track"]),
        ("search in memory, float32", costs["bytes_in_memory_of_a_track"]),
        ("128 int8 numbers (computed)", 128),
    )
    rows = [
        (what, number(each), *(number(each * n / GIGA) for n in (MILLION, *LARGER)))
        for what, each in kept
    ]
    headings = ["", "bytes a recording", "GB, a million", "GB, 100 million", "GB, a billion"]
    return f"{SPACE}\n{table(headings, rows)}"


MEASURED = {
    "float32_shortlist": "as `find` does it, ms",
    "float32_products": "float32 products alone, ms",
    "float32_read": "float32 read, ms",
    "int8_nearest": "int8, ms",
    "int8_read": "int8 read, ms",
}


def _search(search: Report, costs: Report, reports: Reports) -> str:
    text = SEARCH.format(
        size=search["size"],
        embeddings=search["embeddings"],
        model=search["model"],
        own=search["numbers_of_the_model"],
        share=percent(search["share_of_variance"]),
        threads=search["threads"],
        listed=FOUND_AMONG,
    )
    rows = [
        (f"{row['rows']:,}", *(number(1e3 * row[name]) for name in MEASURED))
        for row in search["rows"]
    ]
    parts = [text, machine_line(reports["scale-search"])]
    parts.append(table(["rows", *MEASURED.values()], rows))
    fits = {name: fitted(search["rows"], name) for name in MEASURED}
    parts.append(LAW.format(first=FITTED_FROM))
    headings = ["", "a, s", "b", "largest residual", "line: a, s", "b, ns a row", "its largest"]
    parts.append(
        table(
            headings,
            [
                (
                    *(MEASURED[name].removesuffix(", ms"), f"{fit['a']:.3g}", f"{fit['b']:.3f}"),
                    *(percent(fit["residual"]), f"{fit['constant']:.3g}"),
                    *(number(1e9 * fit["slope"]), percent(fit["residual_of_line"])),
                )
                for name, fit in fits.items()
            ],
        )
    )
    pieces = costs["pieces_of_a_track"]
    parts.append(
        FURTHER.format(
            threads=search["threads"],
            minutes=number(costs["minutes"]),
            pieces=number(pieces),
            many=number(100 * pieces),
        )
    )
    bytes_of_a_number = {"float32_shortlist": 4, "int8_nearest": 1}
    parts.append(
        table(
            ["rows", "search", "seconds (extrapolated)", "GB of numbers"],
            [
                (
                    *(f"{count:,}", MEASURED[name].removesuffix(", ms")),
                    number(fits[name]["constant"] + fits[name]["slope"] * count),
                    number(size * search["size"] * count / GIGA),
                )
                for count in LARGER
                for name, size in bytes_of_a_number.items()
            ],
        )
    )
    return "\n".join(parts)


def _int8(search: Report) -> str:
    most = max(search["rows"], key=lambda row: row["rows"])
    text = INT8.format(
        rows=most["rows"],
        ours=number(1e3 * most["int8_nearest"]),
        threads=search["threads"],
        gigabytes=number(most["rows"] * search["size"] / GIGA),
        read=number(1e3 * most["int8_read"]),
        ratio=times(most["int8_nearest"] / most["int8_read"]),
        one=times(most["int8_nearest_one_thread"] / most["int8_read_one_thread"]),
        recall=f"{100 * search['recall_at_10']:.1f} %",
        again=f"{100 * search['recall_at_10_looked_at_again']:.1f} %",
        many=search["looked_at_again"],
    )
    return f"{text}\n{BESIDE}\n{_beside(search['beside'], most)}"


def _beside(programs: Iterable[Report], most: Report) -> str:
    names = {
        "faiss": "faiss, scalar quantizer of 8 bits",
        "usearch": "usearch, exact search",
        "torch": "PyTorch's int8 product, by oneDNN, products alone",
    }
    rows = [
        (
            *(names[each["program"]], number(1e3 * each["seconds"])),
            times(each["seconds"] / most["int8_read"]),
        )
        for each in programs
    ]
    return table(["program", "ms", "over reading"], rows)


def _decides(costs: Report, search: Report, spent: Mapping[str, float]) -> str:
    decoding, hpcp = spent["decode, mp3"], spent["HPCP, mp3"]
    line = fitted(search["rows"], "int8_nearest")
    scan = line["constant"] + line["slope"] * LARGER[0]
    return DECIDES.format(
        reading=number(decoding + hpcp + spent["embed"] + spent["add"]),
        decoding=number(decoding),
        hpcp=number(hpcp),
        search=number(spent["find, a query"] * HOUR),
        gigabytes=number(search["size"] * LARGER[0] / GIGA),
        scan=number(scan),
        hundred=number(100 * decoding),
        scans=number(100 * decoding * HOUR / (scan * search["threads"]), 2),
        pairs=number(spent["duplicates, products"]),
        many=number(spent["duplicates, products"] * (LARGER[0] / MILLION) ** 2),
    )
