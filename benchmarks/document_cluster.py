"""The page of clusters: one worker and two, of Dask, of kinet's own, and of Ray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tables import machine_line, number, table, times

Report = Mapping[str, Any]

ABOUT = """\
# On a cluster

Made by `benchmarks/cluster.py`: `kinet extract` of a folder of made-up recordings, flac and mp3, on
one machine. Workers of Dask have one thread each, and run already, as on a cluster. Own processes
and the actors of Ray Data are started each time, which counts; one own process is that of the
command.
"""
_WAYS = {
    "kinet's own processes": ("processes 1", "processes 2"),
    "workers of Dask": ("dask 1", "dask 2"),
    "the same, as Dask sets their memory": (None, "dask 2, own settings"),
    "threads of one worker of Dask": (None, "dask 1, 2 threads"),
    "actors of Ray Data": ("ray 1", "ray 2"),
}
_COMPARED = {
    "dask_2_over_1": "two workers of Dask beside one",
    "processes_2_over_1": "two own processes beside one",
    "dask_over_processes_1": "one worker of Dask beside one own process",
    "dask_over_processes_2": "two workers of Dask beside two own processes",
}


def cluster_page(report: Report | None) -> str:
    """All of it; nothing where nothing was measured."""
    if not report:
        return ""
    found = report["cluster"]
    files = (
        f"{found['files']} recordings of {number(found['minutes'])} minutes, the middle of "
        f"{found['rounds']} rounds.\n"
    )
    seconds = [
        [what, *(number(found["seconds"].get(way)) for way in ways)] for what, ways in _WAYS.items()
    ]
    compared = [[what, times(found[name])] for name, what in _COMPARED.items()]
    return "\n".join(
        [
            ABOUT,
            machine_line(report),
            files,
            table(["by", "one, s", "two, s"], [row for row in seconds if any(row[1:])]),
            table(["what", "as fast"], compared),
        ]
    )
