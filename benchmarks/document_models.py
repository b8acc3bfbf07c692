"""The sections of the pages of benchmarks that speak of models."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tables import (
    Cell,
    best_rate,
    by_settings,
    distinct,
    mean_of,
    models,
    name_of,
    number,
    of_model,
    percent,
    table,
    times,
)

from kinet.config import PITCH_AXES

TRAINED = ("data", "loss", "channels", "vectors", "attention", "epochs", "batch")
GPU_PRECISIONS = ("float32", "mixed_bfloat16")


def _limit(cell: Cell) -> float:
    """Multiply-adds per second of the limit, as seen in one process."""
    return max(
        cell["product_multiply_adds_per_second"], cell["convolution_multiply_adds_per_second"]
    )


def throughput_section(cells: Sequence[Cell]) -> str:
    """Inference and training on the CPU: a table for each backend and precision."""
    found = [c for c in cells if c.get("device", "cpu") == "cpu"]
    found = [c for c in found if c["part"] in ("inference", "training")]
    parts = [title + _speed_table(own) for title, own in by_settings(found)]
    return "## Models\n\n" + _explanation() + "\n" + "\n".join(parts) if parts else ""


def _explanation() -> str:
    return (
        "Embeddings per second are those of `kinet.embeddings.fast_embedder`, one track at a time "
        "and in the best batch. Shares are of the multiply-adds that the model takes on 12 rows "
        "(in training three times as many): of a large matrix product in the same process and "
        "precision, and of the best rate of any product or convolution in this table. Transformed "
        "convolutions take fewer, so that a share can exceed 100 %.\n"
    )


def _speed_table(cells: Sequence[Cell]) -> str:
    measured = [c for c in cells if "failed" not in c]
    best_seen = max((_limit(c) for c in measured), default=None)
    rows = []
    for (block, stages), axis in itertools.product(models(), PITCH_AXES):
        own = {"block": block, "stages": stages, "pitch_axis": axis}
        embedding = of_model(cells, part="inference", **own)
        training = of_model(cells, part="training", **own)
        if embedding or training:
            columns = _inference_columns(embedding, best_seen)
            columns += _training_columns(training, best_seen)
            rows.append([f"{name_of(block, stages)}, {axis}", *columns])
    headings = [
        *("model", "parameters", "multiply-adds, 1e9", "one at a time /s", "best batch /s"),
        *("of product", "of best seen", "peak MiB"),
        *("training /s", "x 23 rows", "of product", "of best seen", "peak MiB"),
    ]
    return table(headings, rows)


def _inference_columns(cell: Cell, best_seen: float | None) -> list[str | None]:
    if not cell:
        return [None] * 7
    rate = best_rate(cell)
    batch = cell["best_batch"].removeprefix("batch_")
    return [
        f"{cell['parameters']:,}",
        number(cell["multiply_adds"] / 1e9),
        number(cell["embeddings_per_second"]["batch_1"]),
        f"{number(rate)} ({batch})",
        *_shares(cell, rate, best_seen),
        number(cell["peak_rss_mib"], 4),
    ]


def _training_columns(cell: Cell, best_seen: float | None) -> list[str | None]:
    if not cell:
        return [None] * 5
    rate = cell["samples_per_second"]
    # 23 rows are what the others are compared with.
    faster = times(cell.get("over_unrolled"))
    return [
        number(rate),
        faster,
        *_shares(cell, rate, best_seen),
        number(cell["peak_rss_mib"], 4),
    ]


def _shares(cell: Cell, rate: float | None, best_seen: float | None) -> list[str | None]:
    if rate is None or best_seen is None:
        return [None, None]
    done = rate * cell["multiply_adds_12_rows"]
    return [percent(done / cell["product_multiply_adds_per_second"]), percent(done / best_seen)]


def gpu_section(cells: Sequence[Cell]) -> str:
    """Every block and S on a GPU, in both precisions; nothing without figures."""
    found = [c for c in cells if c.get("device") == "gpu"]
    rows = []
    for block, stages in models():
        row: list[str | None] = []
        for precision in GPU_PRECISIONS:
            own = {"block": block, "stages": stages, "precision": precision}
            own["pitch_axis"] = "circular"
            embedding = of_model(found, part="inference", **own)
            training = of_model(found, part="training", **own)
            rate = training.get("samples_per_second")
            row += [number(best_rate(embedding)), number(rate), _shares(training, rate, 1.0)[0]]
        if any(row):
            rows.append([name_of(block, stages), *row])
    headings = ["model, 12 rows"]
    for precision in GPU_PRECISIONS:
        headings += [f"{precision}: embeddings /s", "training /s", "training, of product"]
    return "## On a GPU\n\n" + table(headings, rows) if rows else ""


def exported_section(cells: Sequence[Cell]) -> str:
    """Exported files beside the network, and what they cost in mAP."""
    found = [c for c in cells if c["part"] == "exported"]
    rows = []
    for cell in found:
        model = f"{name_of(cell['block'], cell['stages'])}, {cell['channels']} channels"
        for name, form in cell.get("forms", {}).items():
            change = form.get("map_change")
            rows.append(
                [
                    f"{model}, attention {cell['attention']}",
                    name,
                    number(form.get("embeddings_per_second")),
                    times(form.get("times_original")),
                    None if form.get("map") is None else f"{form['map']:.4f}",
                    None if change is None else f"{change:+.4f}",
                ]
            )
    if not rows:
        return ""
    about = distinct([c for c in found if "forms" in c], "list", "weights", "batch")
    notes = "; ".join(
        f"batches of {batch}, weights {weights}" + (f", list {name}" if name else "")
        for name, weights, batch in about
    )
    headings = ["model", "form", "embeddings /s", "x original", "mAP", "change of mAP"]
    about_float32 = (
        "Where float32 files change mAP too, the order of that model hangs on rounding.\n\n"
    )
    return f"# Exported files\n\nMeasured in {notes}. {about_float32}" + table(headings, rows)


def loader_section(cells: Sequence[Cell]) -> str:
    """The loader alone beside the model at S = 1."""
    rows = []
    for cell in [c for c in cells if c["part"] == "loader" and "failed" not in c]:
        rates = cell["tracks_per_second"]
        for road, name in (("files", "a file for each track"), ("packed", "one packed file")):
            rows.append(
                [
                    name,
                    cell["backend"],
                    number(rates[road]),
                    times(cell[f"{road}_over_training"]),
                    times(cell[f"{road}_over_inference"]),
                ]
            )
    if not rows:
        return ""
    headings = ["features in", "backend", "tracks /s", "x training, S = 1", "x inference, S = 1"]
    return "## The loader alone\n\n" + table(headings, rows)


def accuracy_section(cells: Sequence[Cell]) -> str:
    """Means over seeds with the widest interval, for each loss."""
    found = [c for c in cells if "failed" not in c]
    parts = []
    for settings in distinct(found, *TRAINED):
        own = [c for c in found if tuple(c[name] for name in TRAINED) == settings]
        data, loss, channels, vectors, attention, epochs, batch = settings
        title = (
            f"## {loss}: {channels} channels, T = {vectors}, attention {attention}, {epochs} "
            f"epochs, batches of {batch}\n\n{data}: {own[0]['train_tracks']} tracks to train, "
            f"{own[0]['tracks']} of {own[0]['songs']} songs in the test list.\n\n"
        )
        parts.append(title + _accuracy_table(own))
    about = (
        "Means over seeds; in brackets from the lowest to the highest end of the seeds' 95 % "
        "intervals (bootstrap over queries).\n\n"
    )
    return "# Accuracy\n\n" + about + "\n".join(parts)


def _accuracy_table(cells: Sequence[Cell]) -> str:
    rows: dict[str, list[object]] = {}
    found = distinct(cells, "block", "stages", "pitch_axis")
    for block, stages, axis in sorted(found, key=lambda key: (key[1] > 1, *key)):
        own = [
            c for c in cells if (c["block"], c["stages"], c["pitch_axis"]) == (block, stages, axis)
        ]
        name = f"{name_of(block, stages)}, {axis}"
        # With S = 1 the blocks are the same network, trained with the same seeds.
        rows[name] = [
            name,
            len(own),
            *(_with_interval(own, name, d) for name, d in (("map", 3), ("p10", 3), ("mr1", 1))),
            number(mean_of(own, "training_seconds")),
        ]
    return table(["model", "seeds", "mAP", "P@10", "MR1", "training s"], rows.values())


def _with_interval(cells: Sequence[Cell], name: str, digits: int) -> str:
    ends = [cell[f"{name}_interval"] for cell in cells]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return f"{mean_of(cells, name):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
