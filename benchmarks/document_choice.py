"""The page that helps to choose: S and block, how fast they are, and which backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from document_models import TRAINED
from tables import (
    SIZE,
    Cell,
    best_rate,
    distinct,
    first,
    mean_of,
    models,
    name_of,
    number,
    of_model,
    table,
    times,
)

CPU = {"device": "cpu", "precision": "float32"}
# Also shown beside the models that nothing beats: what the original has by default.
OF_THE_ORIGINAL = ("wider", 12)


class Point(NamedTuple):
    """One model in the picture of accuracy against speed."""

    block: str
    stages: int
    rate: float
    map: float


def points(speed: Sequence[Cell], accuracy: Sequence[Cell]) -> list[Point]:
    """Models that have a rate and a mAP, on 12 rows, in float32, on the CPU, of one backend."""
    trained, backend = _compared(accuracy), _backend(speed)
    found = []
    for block, stages in models():
        rate = best_rate(
            of_model(speed, block, stages, part="inference", backend=backend, **_CIRCULAR)
        )
        seeds = [c for c in trained if c["pitch_axis"] == "circular" and c["stages"] == stages]
        if stages > 1:
            seeds = [c for c in seeds if c["block"] == block]
        score = mean_of(seeds, "map")
        if rate is not None and score is not None:
            found.append(Point(block, stages, rate, score))
    return found


_CIRCULAR = {**CPU, "pitch_axis": "circular"}


def best(found: Sequence[Point]) -> list[Point]:
    """Those that no other beats in both, the fastest first."""
    kept = [p for p in found if not any(o.rate > p.rate and o.map > p.map for o in found)]
    return sorted(kept, key=lambda p: -p.rate)


def _backend(speed: Sequence[Cell]) -> str | None:
    """The backend that was measured first."""
    return first(speed, part="inference", **CPU).get("backend")


def _compared(accuracy: Sequence[Cell]) -> list[Cell]:
    """What was trained in one way on one data set: the way that most models were."""
    trained = [c for c in accuracy if "failed" not in c]
    ways = [tuple(c.get(name) for name in TRAINED) for c in trained]
    most = max(ways, key=ways.count, default=None)
    return [c for c, way in zip(trained, ways, strict=True) if way == most]


def choice_section(speed: Sequence[Cell], accuracy: Sequence[Cell], picture: str) -> str:
    """Which S to choose: the picture, and the models that no other beats in both."""
    found = points(speed, accuracy)
    if not found:  # nothing has both
        return ""
    rows = [[name_of(p.block, p.stages), number(p.rate), f"{p.map:.3f}"] for p in best(found)]
    trained = _compared(accuracy)
    wide, few = (
        ", ".join(str(value) for (value,) in distinct(cells, "channels"))
        for cells in ([c for c in speed if c.get("part") == "inference"], trained)
    )
    note = (
        f"Rates are of {wide} channels under {_backend(speed)}, mAP of {few}, attention "
        f"{trained[0].get('attention')}, trained with {trained[0]['loss']} on "
        f"{trained[0]['data']}. "
    )
    return (
        f"## Which S to choose\n\n![mAP against embeddings per second]({picture})\n\n{note}"
        "At S = 1 the blocks are one network. No other model is both faster and better than "
        "these:\n\n" + table(["model", "embeddings per second", "mAP"], rows)
    )


def original_section(cells: Sequence[Cell]) -> str:
    """How fast: our form beside the original's structure."""
    found = [c for c in cells if "failed" not in c]
    about = (
        "An embedding of one track by the original's structure (23 rows, one track at a time, "
        "float32, a graph that TensorFlow compiles), and by `kinet.embeddings.fast_embedder` in "
        "batches, in turns in one process.\n\n"
    )
    parts = []
    for backend, attention, channels, vectors, batch in distinct(found, "backend", *SIZE, "batch"):
        size = {"attention": attention, "channels": channels, "vectors": vectors, "batch": batch}
        rows = []
        for block, stages in models():
            cell = of_model(found, block, stages, **size)
            if cell:
                rates = (cell["original_per_second"], cell["embeddings_per_second"])
                row = [name_of(block, stages), *map(number, rates), times(cell["over_original"])]
                rows.append(row)
        headings = ["model", "original /s", "kinet /s", "x original"]
        title = f"{channels} channels, T = {vectors}, attention {attention}, batches of {batch}"
        parts.append(f"Under {backend}, {title}:\n\n" + table(headings, rows))
    return "## How fast\n\n" + about + "\n".join(parts) if parts else ""


def backends_section(cells: Sequence[Cell], shown: Sequence[tuple[str, int]]) -> str:
    """Backends side by side, a table for each size of the network that two or more have."""
    found = [c for c in cells if all(c.get(name) == value for name, value in CPU.items())]
    found = [c for c in found if c["part"] in ("inference", "training")]
    parts = []
    for size in distinct(found, *SIZE):
        own = [c for c in found if tuple(c.get(name) for name in SIZE) == size]
        backends = [name for (name,) in distinct(own, "backend")]
        if len(backends) > 1:
            attention, channels, vectors = size
            title = f"{channels} channels, T = {vectors}, attention {attention}:\n\n"
            parts.append(title + _backends_table(own, backends, shown))
    about = (
        "The network on 12 rows in float32, embedded in the best batch. Backends ran one after "
        "another in processes of their own, not in turns, so small differences mean nothing.\n\n"
    )
    return "## Which backend on a CPU\n\n" + about + "\n".join(parts) if parts else ""


def _backends_table(
    cells: Sequence[Cell], backends: Sequence[str], shown: Sequence[tuple[str, int]]
) -> str:
    rows = []
    for block, stages in shown:
        own = [
            [of_model(cells, block, stages, part=part, backend=b, pitch_axis="circular")
             for b in backends]
            for part in ("inference", "training")
        ]  # fmt: skip
        rates = [best_rate(c) for c in own[0]] + [c.get("samples_per_second") for c in own[1]]
        if any(rates):
            rows.append([name_of(block, stages), *map(number, rates)])
    headings = [f"{b}: {what}" for what in ("embeddings /s", "training /s") for b in backends]
    return table(["model", *headings], rows)
