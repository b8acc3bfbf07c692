"""Batches per second without a model, from files and from one packed file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Form, start, training_step
from timing import in_turns, per_second, ratio, significant

from kinet.config import PITCH_CLASSES
from kinet.data.batches import TrainingBatches
from kinet.data.feature_files import feature_path
from kinet.data.packing import pack
from kinet.data.tracks import Track, read_tracks

TRACKS = 512


def loader(form: Form) -> dict[str, Any]:
    """Tracks per second of the loader alone, beside the training step and inference at S = 1."""
    device = start(form)
    from kinet.embeddings import embed_arrays, fast_embedder
    from kinet.model import build_embedder

    size = max(form.batches)
    batch = list(np.zeros((size, form.model.vectors, PITCH_CLASSES), np.float32))
    embedder = fast_embedder(build_embedder(form.model))
    with tempfile.TemporaryDirectory() as folder:
        files, packed = _written(Path(folder), form.model.vectors)
        steps: dict[str, Callable[[], object]] = {
            "files": _epoch(files, form),
            "packed": _epoch(packed, form),
            "training": training_step(form),
            "inference": partial(embed_arrays, embedder, batch, None, size),
        }
        times = in_turns(steps, form.seconds)
    counts = {"files": TRACKS, "packed": TRACKS, "training": form.training_batch, "inference": size}
    return {
        "device": device,
        "batch": form.training_batch,
        "tracks": TRACKS,
        "tracks_per_second": {name: per_second(counts[name], times[name]) for name in steps},
        **{
            f"{road}_over_{other}": significant(
                ratio(times[other], times[road]) * counts[road] / counts[other]
            )
            for road in ("files", "packed")
            for other in ("training", "inference")
        },
    }


def _written(folder: Path, vectors: int) -> tuple[list[Track], list[Track]]:
    """The same tracks, of one to two times `vectors` vectors, as files and packed."""
    rng = np.random.default_rng(0)
    tracks = []
    for number in range(TRACKS):
        path = feature_path(folder, str(number // 8), str(number % 8))
        length = int(rng.integers(vectors, 2 * vectors))
        np.save(path, rng.random((length, PITCH_CLASSES), dtype=np.float32))
        tracks.append(Track(str(number // 8), str(number % 8), path))
    lines = "".join(f"{track.song_id}\t{track.version_id}\n" for track in tracks)
    (folder / "list").write_text(lines)
    packed = folder / "all.safetensors"
    pack({(track.song_id, track.version_id): track.path for track in tracks}, None, packed)
    return tracks, read_tracks(folder / "list", packed)


def _epoch(tracks: Sequence[Track], form: Form) -> Callable[[], object]:
    # As many batches as there are tracks for: the last is not filled up.
    batches = TrainingBatches(tracks, form.model.vectors, form.training_batch, None, 0)
    order = batches.order(0)[: len(tracks) // batches.batch_size]

    def step() -> None:
        for index, members in enumerate(order):
            batches.load(0, index, members)

    return step
