"""The sections of ``docs/benchmarks.md`` that help to choose: S, block and backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from document_models import BLOCKS, TRAINED, best_rate
from tables import SIZE, Cell, distinct, first, mean_of, number, table

from kinet.config import STAGE_COUNTS

CPU = {"device": "cpu", "precision": "float32"}


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
    for block in BLOCKS:
        for stages in STAGE_COUNTS:
            model = {"block": block, "stages": stages, "pitch_axis": "circular"}
            rate = best_rate(first(speed, part="inference", backend=backend, **CPU, **model))
            seeds = [c for c in trained if all(c[name] == v for name, v in model.items())]
            score = mean_of(seeds, "map")
            if rate is not None and score is not None:
                found.append(Point(block, stages, rate, score))
    return found


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
    best = [
        p for p in found if not any(o.rate > p.rate and o.map > p.map for o in found)
    ]  # fmt: skip
    rows = [
        [f"{p.block}, S = {p.stages}", number(p.rate), f"{p.map:.3f}"]
        for p in sorted(best, key=lambda p: -p.rate)
    ]
    trained = _compared(accuracy)
    wide, narrow = (
        ", ".join(str(value) for (value,) in distinct(cells, "channels"))
        for cells in ([c for c in speed if c.get("part") == "inference"], trained)
    )
    note = (
        f"Rates are of {wide} channels under {_backend(speed)}, mAP of {narrow}, attention "
        f"{trained[0].get('attention')}, trained with {trained[0]['loss']} on "
        f"{trained[0]['data']}. "
    )
    return (
        f"## Which S to choose\n\n![mAP against embeddings per second]({picture})\n\n{note}"
        "At S = 1 the three blocks are one network. No other model is both faster and better than "
        "these:\n\n" + table(["model", "embeddings per second", "mAP"], rows)
    )


def backends_section(cells: Sequence[Cell]) -> str:
    """Backends side by side, a table for each size of the network that two or more have."""
    found = [c for c in cells if all(c.get(name) == value for name, value in CPU.items())]
    found = [c for c in found if c["part"] in ("inference", "training")]
    parts = []
    for size in distinct(found, *SIZE):
        own = [c for c in found if tuple(c.get(name) for name in SIZE) == size]
        backends = [name for (name,) in distinct(own, "backend")]
        if len(backends) > 1:
            attention, channels, vectors = size
            title = f"### {channels} channels, T = {vectors}, attention {attention}\n\n"
            parts.append(title + _backends_table(own, backends))
    about = (
        "The network on 12 rows in float32, embedded in the best batch. Backends ran one after "
        "another in processes of their own, not in turns, so small differences mean nothing.\n\n"
    )
    return "## Which backend on a CPU\n\n" + about + "\n".join(parts) if parts else ""


def _backends_table(cells: Sequence[Cell], backends: Sequence[str]) -> str:
    rows: list[list[str | None]] = []
    for block in BLOCKS:
        for stages in STAGE_COUNTS:
            model = {"block": block, "stages": stages, "pitch_axis": "circular"}
            embedding = [first(cells, part="inference", backend=b, **model) for b in backends]
            training = [first(cells, part="training", backend=b, **model) for b in backends]
            rates = [best_rate(c) for c in embedding]
            rates += [c.get("samples_per_second") for c in training]
            rows.append([f"{block} {stages}", *map(number, rates)])
    headings = [f"{b}: {what}" for what in ("embeddings /s", "training /s") for b in backends]
    return table(["model", *headings], rows)
