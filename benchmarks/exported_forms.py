"""Exported files of a model, in every precision, beside the original's structure."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Form, made_up_tracks, start
from original import one_at_a_time
from timing import in_turns, per_second, ratio, significant

from kinet.data.feature_files import feature_path
from kinet.data.tracks import Track, read_tracks
from kinet.errors import ExportError
from kinet.evaluation import evaluate

FILES = (
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("openvino", "int8"),
    ("onnx", "float32"),
)
ANY_LOSS = 1.0  # of MAP: it is told, not refused


@dataclass(frozen=True)
class Lists:
    """What decides the MAP of exported files.

    Attributes
    ----------
    list_file, data_dir : str or None
        The list whose MAP is compared; None for none.
    models : pathlib.Path or None
        Folder with ``<block>-<S>.keras``; None for random weights.
    """

    list_file: str | None = None
    data_dir: str | None = None
    models: Path | None = None


def exported(form: Form, lists: Lists) -> dict[str, Any]:
    """Embeddings per second of the compiled network and of the files, and their MAP."""
    start(form)
    from kinet.checkpoint import load_model
    from kinet.embeddings import embed_arrays, embed_tracks, fast_embedder
    from kinet.network import embedder_of

    size = form.batches[0]
    with tempfile.TemporaryDirectory() as folder:
        model_file = _model_file(form, lists, Path(folder))
        tracks = _tracks(form, lists, Path(folder))
        network = embedder_of(load_model(model_file)[0])
        embedders = {"kinet float32": fast_embedder(network)}
        files, refused = _files(model_file, tracks, Path(folder))
        embedders |= files
        batch = list(made_up_tracks(size, form.model.vectors))
        steps: dict[str, Callable[[], object]] = {
            name: partial(embed_arrays, embedder, batch, None, size)
            for name, embedder in embedders.items()
        }
        steps["original"] = partial(one_at_a_time(form.model), batch[:1])
        times = in_turns(steps, form.seconds)
        songs = [track.song_id for track in tracks]
        maps = {
            name: evaluate(embed_tracks(embedder, tracks, None, size), songs).map
            for name, embedder in embedders.items()
            if lists.list_file is not None
        }
    forms = {
        name: {
            "embeddings_per_second": per_second(size, times[name]),
            "times_original": significant(size * ratio(times["original"], times[name])),
            "map": maps.get(name),
            "map_change": maps[name] - maps["kinet float32"] if maps else None,
        }
        for name in embedders
    }
    return {
        "weights": model_file.name if lists.models else "random",
        "list": Path(lists.list_file).name if lists.list_file else None,
        "tracks": len(tracks) if lists.list_file else None,
        "batch": size,
        "original_per_second": per_second(1, times["original"]),
        "forms": forms | refused,
    }


def _files(model_file: Path, tracks: Sequence[Track], folder: Path) -> tuple[dict[str, Any], Any]:
    """The files as embedders; and those that could not be written, each with its cause."""
    from kinet.export import export, load_export

    written, refused = {}, {}
    for kind, precision in FILES:
        name = f"{kind} {precision}"
        suffix = {"openvino": ".xml", "onnx": ".onnx"}[kind]
        reduced = {} if precision == "float32" else {"precision": precision, "tracks": tracks}
        try:
            done = export(
                model_file,
                kind,
                folder / f"{precision}{suffix}",
                allowed_map_loss=ANY_LOSS,
                **reduced,
            )
            written[name] = load_export(done.path)
        except ExportError as error:
            refused[name] = {"not_written": str(error)}
    return written, refused


def _model_file(form: Form, lists: Lists, folder: Path) -> Path:
    if lists.models is not None:
        return lists.models / f"{form.model.block}-{form.model.stages}.keras"
    from kinet.checkpoint import save
    from kinet.model import build_embedder

    path = folder / "random.keras"
    save(build_embedder(form.model), path)
    return path


def _tracks(form: Form, lists: Lists, folder: Path) -> list[Track]:
    if lists.list_file is not None and lists.data_dir is not None:
        return read_tracks(lists.list_file, lists.data_dir)
    tracks = []
    for number, hpcp in enumerate(made_up_tracks(8, form.model.vectors)):
        song, version = str(number // 2), str(number % 2)
        path = feature_path(folder, song, version)
        np.save(path, hpcp)
        tracks.append(Track(song, version, path))
    return tracks
