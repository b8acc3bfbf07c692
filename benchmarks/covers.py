"""How well models that come with kinet find covers on lists of real tracks; writes JSON.

``python benchmarks/covers.py small --list NAME=LIST:FOLDER --out benchmarks/results/covers.json``
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from alignment import ranked
from machine import write_report

from kinet.backend import choose
from kinet.baselines import mean_chroma
from kinet.config import FeatureConfig, ModelConfig
from kinet.data.tracks import Track, read_tracks
from kinet.metrics import Metrics

NEIGHBOURS = 10
EXCERPTS = (10, 20, 30, 60)


def without_hubs(similarities: np.ndarray) -> np.ndarray:
    """Less the mean similarity to the nearest tracks, of both (Conneau et al., ICLR 2018: CSLS)."""
    others = similarities - 2.0 * np.eye(len(similarities))
    hubs = np.sort(others, axis=1)[:, -NEIGHBOURS:].mean(axis=1)
    return np.asarray(2 * similarities - hubs[:, None] - hubs[None, :])


def excerpt_map(model: Any, tracks: list[Track], seconds: int, seed: int = 0) -> float:
    """MAP where the query is so many seconds from a place drawn at random, the others whole."""
    import kinet

    rng = np.random.default_rng(seed)
    length = round(seconds / FeatureConfig().seconds_per_vector)
    cut = []
    for track in tracks:
        hpcp = np.load(track.path)
        start = int(rng.integers(0, max(1, len(hpcp) - length + 1)))
        cut.append(hpcp[start : start + length])
    similarities = kinet.embed(model, cut) @ kinet.embed(model, tracks).T
    return ranked(similarities, np.array([track.song_id for track in tracks])).map


def systems(model: Any, tracks: list[Track]) -> dict[str, Metrics]:
    """Metrics of the model, of its parts, and of what needs no training."""
    import kinet

    songs = np.array([track.song_id for track in tracks])
    rows = kinet.embed(model, tracks)
    described = model.get_layer("descriptor").output.shape[-1]
    parts = {"network alone": rows[:, :-described], "descriptor alone": rows[:, -described:]}
    heard = [track.read(0, ModelConfig.vectors) for track in tracks]
    found = {"mean chroma": mean_chroma(heard, list(songs))}
    for name, part in parts.items():
        unit = part / np.linalg.norm(part, axis=1, keepdims=True)
        found[name] = ranked(unit @ unit.T, songs)
    found["model"] = ranked(rows @ rows.T, songs)
    found["model, hubs corrected"] = ranked(without_hubs(rows @ rows.T), songs)
    return found


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--list", "lists", multiple=True, required=True, metavar="NAME=LIST:FOLDER")
@click.option("--out", type=Path)
def main(names: tuple[str, ...], lists: tuple[str, ...], out: Path | None) -> None:
    """Rank lists with models, by name or file."""
    choose()
    import kinet

    cells = []
    for name in names:
        model = kinet.load(name)
        for text in lists:
            title, _, rest = text.partition("=")
            path, _, folder = rest.rpartition(":")
            found = systems(model, list(read_tracks(path, folder)))
            for system, metrics in found.items():
                cell = {"model": Path(name).stem, "list": title, "system": system}
                cells.append({**cell, **metrics.to_dict()})
                click.echo(f"{title} {system}: MAP {metrics.map:.4f}", err=True)
    write_report({"cells": cells}, ("keras", "numpy", "tensorflow", "jax", "torch"), out)


if __name__ == "__main__":
    main()
