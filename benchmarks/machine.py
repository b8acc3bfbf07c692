"""What every benchmark says of the machine, and how it writes its figures."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import multiprocessing
import os
import platform
import resource
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import click

from kinet.files import write_text_atomically

INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8")


def peak_mib() -> float:
    """Peak resident memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `function` in a fresh process, whose memory is its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    cpu, flags = platform.processor() or platform.machine(), ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line.split(":", 1) for line in info.read_text().splitlines() if ":" in line]
        found = {name.strip(): value.strip() for name, value in lines}
        cpu, flags = found.get("model name", cpu), found.get("flags", "")
    return {
        "cpu": cpu,
        # Rented machines of one name differ in these.
        "instructions": [name for name in INSTRUCTIONS if name in flags.split()],
        "cores": os.cpu_count(),
        "system": platform.platform(),
        # Other work on the machine makes the seconds larger.
        "load_average": round(os.getloadavg()[0], 2),
    }


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Versions of Python and of what is installed of `distributions`."""
    found = {"python": platform.python_version()}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write_report(
    report: Mapping[str, Any], distributions: Iterable[str], out: str | os.PathLike[str] | None
) -> None:
    """Write figures with date, machine and versions as JSON to the file `out`, or to stdout."""
    whole = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(distributions),
        **report,
    }
    text = json.dumps(whole, indent=1) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        write_text_atomically(out, text)
