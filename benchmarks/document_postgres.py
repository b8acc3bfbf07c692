"""The section of PostgreSQL in the page of scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tables import machine_line, number, table

Report = Mapping[str, Any]

ABOUT = """\
## On PostgreSQL

Made by `benchmarks/postgres.py`: a server on the same machine with {memory} of memory of its own,
rows drawn as above, of which {share} of the variance is kept. A recording here is four rows of
tables: itself, its file, its HPCP of one vector, its embedding; they come by COPY, ten thousand
recordings in a transaction. "Exact" is what `find` does: the embeddings are read from the server
once, and compared here. The index is pgvector's HNSW as `kinet index build` makes it; a search
through it looks at {looked} rows, as `find --approximate` does for each piece of a query, and
compares their ten nearest with the exact ones. When this ended the machine had a load of {load},
with {cores} cores: where that is more than a few, times would be shorter on a machine at rest.
"""


def postgres_section(report: Report | None) -> str:
    """All of it; nothing where nothing was measured."""
    if not report:
        return ""
    found = report["postgres"]
    about = ABOUT.format(
        memory=report["about"]["memory_of_the_server"],
        share=f"{100 * found[0]['share_of_variance']:.0f} %",
        looked=found[0]["index_rows_looked_at"],
        load=report["machine"]["load_average"],
        cores=report["machine"]["cores"],
    )
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
        ("index, recall at 10", *(f"{each['index_recall_at_10']:.4f}" for each in found)),
        ("index, one query, ms", *(number(each["index_ms"]) for each in found)),
    ]
    sizes = (f"{each['embeddings']:,} embeddings of {each['size']} numbers" for each in found)
    return "\n".join([about, machine_line(report), table(["", *sizes], rows)])
