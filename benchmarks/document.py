"""``docs/benchmarks.md`` and its pictures, made from the JSON in ``benchmarks/results``.

    python benchmarks/document.py

A section is there if its JSON is; what its JSON lacks is "not measured".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from document_choice import backends_section, choice_section, points
from document_models import (
    accuracy_section,
    exported_section,
    gpu_section,
    loader_section,
    throughput_section,
)
from document_steps import steps_section
from tables import machine_line, number, percent, table, times

from kinet.files import write_atomically, write_text_atomically

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = "images/accuracy-speed.png"
Reports = Mapping[str, Mapping[str, Any]]
# Of each report of models.
SECTIONS = (backends_section, throughput_section, steps_section, exported_section, loader_section)

HEAD = """\
# Benchmarks

Made by `python benchmarks/document.py` from the files in `benchmarks/results`; how to measure
again, here or elsewhere, is told in `benchmarks/README.md`. Ratios come from steps that ran in
turns in one process. Absolute figures depend on the machine and on what else it did.
"""


def read_reports(folder: Path) -> dict[str, dict[str, Any]]:
    """The reports of a folder, by the names of their files without suffix."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def page(reports: Reports) -> str:
    """The whole page as Markdown."""
    models, trained = _named(reports, "throughput"), _named(reports, "accuracy")
    parts = [HEAD]
    if models and trained:
        parts.append(choice_section(_cells(models), _cells(trained), PICTURE))
    for report in models.values():
        cells = report["cells"]
        for section in SECTIONS:
            text = section(cells)
            if text:
                parts.append(_under(text, report))
    if models:
        parts.append(gpu_section(_cells(models)))
    if trained:
        about = next(iter(trained.values()))
        parts.append(_under(accuracy_section(_cells(trained)), about))
    for name, section in (
        ("original", _original),
        ("evaluation", _evaluation),
        ("extraction", _extraction),
    ):
        if name in reports:
            parts.append(_under(section(reports[name]), reports[name]))
    return "\n".join(parts)


def _named(reports: Reports, start: str) -> Reports:
    """The reports of one benchmark, which can be in several files."""
    return {name: report for name, report in reports.items() if name.startswith(start)}


def _cells(reports: Reports) -> list[dict[str, Any]]:
    return [cell for report in reports.values() for cell in report["cells"]]


def _under(text: str, report: Mapping[str, Any]) -> str:
    """A section with the machine below its heading."""
    heading, _, rest = text.partition("\n")
    return f"{heading}\n\n{machine_line(report)}{rest}"


def _original(report: Mapping[str, Any]) -> str:
    model = report["model"]
    rows = [
        [
            f"{model['block']}, S = {model['stages']}",
            report["backend"],
            number(report["multiply_adds"] / 1e9),
            number(report["embeddings_per_second"]),
            number(report["peak_rss_mib"]),
        ]
    ]
    headings = ["model", "backend", "multiply-adds, 1e9", "embeddings per second", "peak MiB"]
    return "## The original's structure alone\n\n" + table(headings, rows)


def _evaluation(report: Mapping[str, Any]) -> str:
    loop = report["double_loop"]
    rows = [
        [f"{r['tracks']:,}", number(r["seconds"]), number(r["peak_rss_mib"])]
        for r in report["runs"]
    ]
    ratio = loop.get("double_loop_over_evaluate")
    ratio = ratio or loop["double_loop_seconds"] / loop["evaluate_seconds"]
    return (
        "## Metrics of a list\n\n"
        + table(["tracks", "seconds", "peak MiB"], rows)
        + f"\nA plain double loop over {loop['tracks']:,} tracks takes {times(ratio)} as long as "
        f"`evaluate`; the largest difference of a metric is {loop['largest_difference']:g}.\n"
    )


def _extraction(report: Mapping[str, Any]) -> str:
    parts = ["## Features of recordings, beside Essentia\n"]
    if "agreement" in report:
        parts.append(_agreement(report["agreement"]))
    if "speed" in report:
        parts.append(_speed(report["speed"]))
    if "formats" in report:
        rows = [
            [
                kind,
                number(f["kinet_times_real_time"]),
                number(f["essentia_times_real_time"]),
                times(f["essentia_over_kinet"]),
                times(f["essentia_over_kinet_without_decoding"]),
                percent(f["share_of_decoding"]),
            ]
            for kind, f in report["formats"].items()
        ]
        headings = [
            *("file", "kinet, x real time", "Essentia, x real time", "Essentia / kinet"),
            *("without decoding", "decoding's share"),
        ]
        parts.append(table(headings, rows))
    if "memory" in report:
        m = report["memory"]
        parts.append(
            f"A recording of {m['hours']:g} hours: {number(m['peak_rss_mib'])} MiB at most, "
            f"{number(m['peak_rss_mib_before'])} MiB of them before it begins; "
            f"{number(m['seconds'])} s.\n"
        )
    if "cores" in report:
        c = report["cores"]
        parts.append(
            f"{c['files']} files with two workers in place of one: {times(c['one_over_two'])} as "
            f"fast ({number(c['seconds_one_worker'])} s and {number(c['seconds_two_workers'])} s)"
            ".\n"
        )
    return "\n".join(parts)


def _agreement(found: Mapping[str, Any]) -> str:
    rows = [
        [
            what,
            f"{found[key]['vectors']:,}",
            f"{found[key]['median_cosine']:.7f}",
            f"{found[key]['percentile_1']:.7f}",
            f"{found[key]['least']:.7f}",
        ]
        for what, key in (
            ("the same signal", "same_signal"),
            ("decoded by each", "decoded_by_each"),
        )
    ]
    headings = ["vectors of", "vectors", "median cosine", "1st percentile", "least"]
    return f"{len(found['clips'])} clips.\n\n" + table(headings, rows)


def _speed(found: Mapping[str, Any]) -> str:
    rows = [[name.replace("_", " "), number(v)] for name, v in found["times_real_time"].items()]
    return (
        table(["one core, from the signal", "x real time"], rows)
        + "\nEssentia's streaming network takes a signal in memory sample by sample, which is "
        "slow; the table of files, without decoding, compares with it as people run it.\n"
        "\nSeconds of Essentia's streaming network over kinet's: "
        f"{times(found['essentia_streaming_over_kinet'])}; of its algorithms called in a loop: "
        f"{times(found['essentia_loop_over_kinet'])}. Seconds of kinet over those of the Fourier "
        f"transforms alone: {times(found['kinet_over_ffts_alone'])}.\n"
    )


def draw(reports: Reports, folder: Path) -> None:
    """The picture of accuracy against embeddings per second, where both were measured."""
    models, trained = _named(reports, "throughput"), _named(reports, "accuracy")
    if not models or not trained:
        return
    from matplotlib.figure import Figure

    found = points(_cells(models), _cells(trained))
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for block in dict.fromkeys(point.block for point in found):
        own = [point for point in found if point.block == block]
        axes.plot([p.rate for p in own], [p.map for p in own], "o-", label=block)
        for p in own:
            axes.annotate(f"{p.stages}", (p.rate, p.map), xytext=(4, 4), textcoords="offset points")
    axes.set(xscale="log", xlabel="embeddings per second", ylabel="mAP")
    axes.legend(title="block, with S")
    target = folder / PICTURE
    target.parent.mkdir(exist_ok=True)
    write_atomically(target, lambda file: figure.savefig(file, format="png", dpi=120))


@click.command()
@click.option(
    "--results", type=click.Path(exists=True, file_okay=False, path_type=Path), default=RESULTS
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=PAGE)
def command(results: Path, out: Path) -> None:
    """Write the page and, beside it, its picture."""
    reports = read_reports(results)
    draw(reports, out.parent)
    write_text_atomically(out, page(reports))
    click.echo(out)


if __name__ == "__main__":
    command()
