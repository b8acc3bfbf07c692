"""``docs/benchmarks.md``, the pages behind it and the picture, from ``benchmarks/results``.

    python benchmarks/document.py

A section is there if its figures are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from document_ablation import ablation_section
from document_alignment import alignment_page
from document_cards import cards_page
from document_choice import (
    OF_THE_ORIGINAL,
    backends_section,
    best,
    choice_section,
    original_section,
    points,
)
from document_cluster import cluster_page
from document_library import draw_reliability, library_page
from document_models import (
    accuracy_section,
    exported_section,
    gpu_section,
    loader_section,
    throughput_section,
)
from document_scale import scale_page
from document_steps import steps_section
from document_training import training_page
from tables import Cell, machine_line, models, number, percent, table, times

from kinet.files import write_atomically, write_text_atomically

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DOCS = ROOT / "docs"
WEIGHTS = ROOT / "kinet" / "weights"
FRONT = "benchmarks.md"
PICTURE = "images/accuracy-speed.png"
Reports = Mapping[str, Mapping[str, Any]]

HEAD = """\
# Benchmarks

Made by `python benchmarks/document.py` from the files in `benchmarks/results`; how to measure
again, here or elsewhere, is told in `benchmarks/README.md`. Ratios come from steps that ran in
turns in one process. Absolute figures depend on the machine and on what else it did.
"""
BEHIND = """\
## The long tables

- [Every model](benchmarks/models.md): parameters, rates, memory, shares of the machine's limit
- [What each step of the fast form gives](benchmarks/steps.md), and where the time goes
- [Exported files](benchmarks/exported.md)
- [Accuracy](benchmarks/accuracy.md) of every model, trained alike
- [Networks trained on versions of scores](benchmarks/training.md), which is how the models that
  come with kinet are trained
- [Around the network](benchmarks/around.md): features beside Essentia, the loader, the metrics
- [Alignment](benchmarks/alignment.md): how well it finds versions, how long a pair takes
- [Libraries](benchmarks/library.md): how fast they are, what is found, what probabilities mean
- [How far it goes](scale.md): what a million recordings cost, and how search grows
- [On a cluster](benchmarks/cluster.md): workers of Dask beside kinet's own processes
"""


def read_reports(folder: Path) -> dict[str, dict[str, Any]]:
    """The reports of a folder, by the names of their files without suffix."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def read_cards(folder: Path) -> list[dict[str, Any]]:
    """The cards of the models that come with kinet."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def pages(reports: Reports, cards: Sequence[Mapping[str, Any]] = ()) -> dict[str, str]:
    """All pages as Markdown, by their paths below ``docs``."""
    return {
        **({"models.md": cards_page(cards)} if cards else {}),
        FRONT: _front(reports),
        "benchmarks/models.md": _page(
            "Every model", reports, {"throughput": [throughput_section, gpu_section]}
        ),
        "benchmarks/steps.md": _page(
            "Steps of the fast form",
            reports,
            {"ablation": [ablation_section], "throughput": [steps_section]},
        ),
        "benchmarks/exported.md": _alone(exported_section, reports, "throughput"),
        "benchmarks/accuracy.md": _alone(accuracy_section, reports, "accuracy"),
        "benchmarks/around.md": _around(reports),
        "benchmarks/alignment.md": alignment_page(_named(reports, "alignment")),
        "benchmarks/training.md": training_page(_named(reports, "training")),
        "benchmarks/library.md": library_page(_named(reports, "index")),
        **({"scale.md": page} if (page := scale_page(reports)) else {}),
        "benchmarks/cluster.md": cluster_page(reports.get("cluster")),
    }


def _front(reports: Reports) -> str:
    """What a user asks: which S, how fast, which backend."""
    speed, trained = _named(reports, "throughput"), _named(reports, "accuracy")
    parts = [HEAD]
    shown = models()
    if speed and trained:
        parts.append(choice_section(_cells(speed), _cells(trained), PICTURE))
        found = [(p.block, p.stages) for p in best(points(_cells(speed), _cells(trained)))]
        shown = [*found, OF_THE_ORIGINAL] if found else shown
    for report in _named(reports, "original").values():
        parts.append(_under(original_section(report["cells"]), report))
    for report in speed.values():
        parts.append(_under(backends_section(report["cells"], shown), report))
    return "\n".join(part for part in [*parts, BEHIND] if part)


Section = Callable[[Sequence[Cell]], str]


def _page(title: str, reports: Reports, sections: Mapping[str, Sequence[Section]]) -> str:
    """A page of sections, each of the cells of every report of one benchmark."""
    parts = [f"# {title}\n"]
    for benchmark, own in sections.items():
        for report in _named(reports, benchmark).values():
            parts += [_under(section(report["cells"]), report) for section in own]
    return "\n".join(part for part in parts if part)


def _alone(section: Section, reports: Reports, benchmark: str) -> str:
    """A page of one section, of the cells of all reports of one benchmark."""
    found = _named(reports, benchmark)
    return _under(section(_cells(found)), next(iter(found.values()))) if found else ""


def _around(reports: Reports) -> str:
    parts = [_page("Around the network", reports, {"throughput": [loader_section]})]
    for name, section in (
        ("evaluation", _evaluation),
        ("extraction", _extraction),
        ("processes", _processes),
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
    """A section with the machine below its heading; nothing for nothing."""
    heading, _, rest = text.partition("\n")
    return f"{heading}\n\n{machine_line(report)}{rest}" if text else ""


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


def _processes(report: Mapping[str, Any]) -> str:
    s = report["settings"]
    rows = [
        [f["processes"], f.get("threads", "as JAX likes"), number(f["tracks_per_second"])]
        for f in report["forms"]
    ]
    return (
        "## Training in several processes\n\n"
        f"`kinet train` on JAX with a batch of {s['batch_size']} tracks of {s['vectors']} vectors: "
        f"{s['block']}, S = {s['stages']}, {s['channels']} channels. Whole epochs of "
        f"{s['tracks']} tracks count, with validation and files; the median of those after the "
        "first.\n\n"
        + table(["processes", "threads of each", "tracks per second"], rows)
        + f"\nTwo processes of a thread train {times(report['two_over_one'])} as fast as one of a "
        f"thread, and {times(report['two_over_threads'])} as fast as one with all cores. Their "
        f"losses differ by {report['largest_difference_of_a_loss']:.1e} of their size at most, "
        "those of one process with one thread and with more by "
        f"{report['largest_difference_by_threads']:.1e}: rounding, which training makes larger.\n"
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
    speed, trained = _named(reports, "throughput"), _named(reports, "accuracy")
    if not speed or not trained:
        return
    from matplotlib.figure import Figure

    found = points(_cells(speed), _cells(trained))
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    alone = [p for p in found if p.stages == 1]
    for block in dict.fromkeys(p.block for p in found if p.stages > 1):
        own = [p for p in found if p.stages > 1 and p.block == block]
        line = alone + own
        axes.plot(
            [p.rate for p in line],
            [p.map for p in line],
            "-o",
            markevery=slice(len(alone), None),
            label=block,
        )
    axes.plot([p.rate for p in alone], [p.map for p in alone], "ks")
    for p in found:
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
@click.option("--docs", type=click.Path(file_okay=False, path_type=Path), default=DOCS)
def command(results: Path, docs: Path) -> None:
    """Write the pages and the picture into the folder of the documentation."""
    reports = read_reports(results)
    draw(reports, docs)
    draw_reliability(_named(reports, "index"), docs)
    for name, text in pages(reports, read_cards(WEIGHTS)).items():
        path = docs / name
        path.parent.mkdir(exist_ok=True)
        write_text_atomically(path, text)
        click.echo(path)


if __name__ == "__main__":
    command()
