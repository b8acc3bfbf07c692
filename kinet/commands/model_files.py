"""Model files of every format, for the commands that embed lists of tracks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinet.commands.options import start_backend
from kinet.commands.output import say
from kinet.config import FeatureConfig
from kinet.data.inspection import short_tracks
from kinet.data.tracks import Track
from kinet.weights import model_path


@dataclass(frozen=True)
class ModelFile:
    """What a file says before anything is loaded.

    Attributes
    ----------
    path : pathlib.Path
        A ``.keras`` file, or an export.
    features : FeatureConfig
        Of the features it was trained on.
    stages, vectors : int
        S, and the T of the crops that it was trained on.
    load : callable
        Called with the number of tracks to embed, ``--backend`` and ``--gpu``; gives what
        `kinet.embeddings.embed_tracks` takes.
    """

    path: Path
    features: FeatureConfig
    stages: int
    vectors: int
    load: Callable[[int, str | None, str | None], Any]


def is_export(path: Path) -> bool:
    """Whether a path is, by its name, an exported model: a folder, or a file of another format."""
    from kinet.export.formats import FORMATS

    return path.is_dir() or path.suffix in {form.ending for form in FORMATS.values()}


def is_model(path: Path) -> bool:
    """Whether a path is, by its name, a model file, an exported model, or one of kinet's own."""
    from kinet.weights import names

    return path.suffix == ".keras" or is_export(path) or str(path) in names()


def described(path: Path) -> dict[str, Any]:
    """What a model file says of itself, JSON-ready, and its digest; no backend is loaded.

    Raises
    ------
    CheckpointError, ExportError
        As `open_model`.
    """
    from kinet.checkpoint import read_metadata
    from kinet.export import read_export_metadata
    from kinet.files import digest_of

    path = model_path(path)
    said = read_export_metadata(path) if is_export(path) else read_metadata(path).to_dict()
    return {"path": str(path), "digest": digest_of(path), **said}


def open_model(path: Path) -> ModelFile:
    """Read what a model file, or a model that comes with kinet, says of itself.

    Raises
    ------
    CheckpointError, ExportError
        If it is neither a model nor an export of kinet's, nor the name of a model.
    """
    from kinet.checkpoint import read_metadata

    path = model_path(path)
    if is_export(path):
        from kinet.export import load_export, read_export_metadata

        said = read_export_metadata(path)
        features = FeatureConfig.from_dict(said["features"])
        stages, vectors = said["model"]["stages"], said["model"]["vectors"]
        return ModelFile(path, features, stages, vectors, lambda *_: load_export(path))
    metadata = read_metadata(path)

    def load(tracks: int, backend: str | None, gpu: str | None) -> Any:
        start_backend(backend, gpu)
        import kinet
        from kinet.embeddings import embedder_for

        return embedder_for(kinet.load(path), tracks)

    model = metadata.model
    return ModelFile(path, metadata.features, model.stages, model.vectors, load)


def say_of_short_tracks(opened: ModelFile, tracks: Sequence[Track], vectors: int | None) -> None:
    """Tell how many tracks have less than half of what the model looks at."""
    told = short_tracks(tracks, vectors or opened.vectors, opened.features)
    if told:
        say(f"{told}; less is found of them than of whole recordings")
