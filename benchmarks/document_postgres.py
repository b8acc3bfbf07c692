"""The section of PostgreSQL in the page of scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tables import machine_line, number, table

from kinet.library.nearest import rows_of
from kinet.library.shortlisting import ALIGNED

Report = Mapping[str, Any]

ABOUT = """\
## On PostgreSQL

Made by `benchmarks/postgres.py`: a server on the same machine with {memory} of memory of its own,
rows drawn as above, of which {share} of the variance is kept; where a recording has several, these
are as alike as the pieces of a made version are. A recording here is some rows of tables: itself,
its file, its HPCP of one vector, its embeddings; they come by COPY, ten thousand recordings in a
transaction. "Exact" is what `find` does: the embeddings are read from the server once, and compared
here. The index is pgvector's HNSW as `kinet index build` makes it, of halves; through it so many
rows are looked for, and the ten nearest of them, by the embeddings themselves, compared with the
exact ones. `find --approximate` looks for {looked} with each piece of a query of more than a
minute.
"""
LOAD = """\
When this ended the machine had a load of {load}, with {cores} cores: where that is more than a few,
times would be shorter on a machine at rest.

"""


def postgres_section(reports: Sequence[Report]) -> str:
    """All of it, a table for each report; nothing where nothing was measured."""
    if not reports:
        return ""
    about = ABOUT.format(
        memory=reports[0]["about"]["memory_of_the_server"],
        share=f"{100 * reports[0]['postgres'][0]['share_of_variance']:.0f} %",
        looked=rows_of(ALIGNED),
    )
    return "\n".join([about, *map(_table, reports)])


def _table(report: Report) -> str:
    found = report["postgres"]
    rows = [
        *(
            (what, *(number(each[name]) for each in found))
            for name, what in (
                ("recordings_loaded_per_second", "loaded, recordings a second"),
                ("rows_loaded_per_second", "loaded, rows a second"),
                ("megabytes", "library on the server, MB"),
                ("seconds_to_read_all", "all embeddings read once, s"),
                ("exact_one_query_ms", "exact, one query, ms"),
                ("index_seconds", "index built, s"),
            )
        ),
        *(_looked_for(*steps) for steps in zip(*(each["index"] for each in found), strict=True)),
    ]
    sizes = (
        f"{each['embeddings']:,} embeddings of {each['size']} numbers, "
        f"{each['embeddings'] // each['recordings']} of each recording"
        for each in found
    )
    machine = report["machine"]
    load = LOAD.format(load=machine["load_average"], cores=machine["cores"])
    return machine_line(report) + load + table(["", *sizes], rows)


def _looked_for(*steps: Mapping[str, Any]) -> tuple[str, ...]:
    """The row of so many rows looked for, of all sizes."""
    cells = (f"{step['recall_at_10']:.4f} in {number(step['ms'])} ms" for step in steps)
    return (f"index, {steps[0]['rows_looked_for']} looked for: recall at 10", *cells)
