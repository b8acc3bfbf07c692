"""The page of clusters: one worker and two, of Dask, of kinet's own, and of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tables import machine_line, number, table, times

Report = Mapping[str, Any]

ABOUT = """\
# On a cluster

Made by `benchmarks/cluster.py`: `kinet extract` of one folder of made-up recordings, flac and mp3,
by one and by two.
"""
OWN = """\
## Dask beside kinet's own processes

Workers of Dask have one thread each, and run already, as on a cluster; `started` are two that are
started for this folder alone. Own processes are started each time; one is that of the command.
Processes `apart` know nothing of each other and have half of the recordings each: no more than that
is to be had of the second core.
"""
OTHERS = """\
## Threads, and Ray

Two threads of one worker of Dask; actors of Ray Data, which are started for this folder.
"""
_WAYS = {
    "processes": "kinet's own processes",
    "dask": "workers of Dask",
    "apart": "processes apart",
    "ray": "actors of Ray Data",
}
_ALONE = {
    "dask 2, started": "workers of Dask, started",
    "dask 1, 2 threads": "threads of one worker of Dask",
}
_COMPARED = {
    "dask_over_processes_1": "one worker of Dask beside one own process",
    "dask_over_processes_2": "two workers of Dask beside two own processes",
    "started_over_processes_2": "two workers of Dask that are started beside two own processes",
    "processes_over_threads": "two workers of Dask beside two threads of one",
    "dask_over_ray_2": "two workers of Dask beside two actors of Ray Data",
}


def cluster_page(reports: Mapping[str, Report]) -> str:
    """All of it; nothing where nothing was measured."""
    if not reports:
        return ""
    parts = [ABOUT]
    for report in reports.values():
        found = report["cluster"]
        heading = OTHERS if "dask 1, 2 threads" in found["seconds"] else OWN
        parts += [heading, machine_line(report), _files(found), _seconds(found), _compared(found)]
    return "\n".join(parts)


def _files(found: Report) -> str:
    return (
        f"{found['files']} recordings of {number(found['minutes'])} minutes, the middle of "
        f"{found['rounds']} rounds.\n"
    )


def _seconds(found: Report) -> str:
    seconds = found["seconds"]
    rows = [
        [
            what,
            number(seconds[f"{way} 1"]),
            number(seconds[f"{way} 2"]),
            times(found[f"{way}_2_over_1"]),
        ]
        for way, what in _WAYS.items()
        if f"{way} 1" in seconds
    ]
    rows += [
        [what, None, number(seconds[way]), None] for way, what in _ALONE.items() if way in seconds
    ]
    return table(["by", "one, s", "two, s", "two beside one"], rows)


def _compared(found: Report) -> str:
    rows = [[what, times(found[name])] for name, what in _COMPARED.items() if name in found]
    return table(["how fast", ""], rows)
