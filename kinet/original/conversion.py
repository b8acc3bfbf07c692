"""Checkpoints of the original code to networks of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kinet.checkpoint import load_model, metadata_of, save
from kinet.errors import CheckpointError
from kinet.metadata import Metadata
from kinet.model import build_classifier, build_embedder, shapes_without_memory
from kinet.network import Network
from kinet.original.reading import OriginalCheckpoint, read_original


def network_of(original: OriginalCheckpoint) -> Network:
    """The classifier, or the embedder where the checkpoint has no classifier, with its weights.

    The songs of the classifier were numbered from 0 and get these numbers as ids.

    Raises
    ------
    CheckpointError
        If a layer is missing in the checkpoint, or there is one too many.
    """
    config = original.config
    songs = tuple(map(str, range(original.songs)))

    def build() -> Network:
        return build_classifier(config, songs) if songs else build_embedder(config)

    _check_shapes(shapes_without_memory(build), original)
    model = build()
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(original.weights[layer.name])
    return model


def _check_shapes(wanted: dict[str, list[tuple[int, ...]]], original: OriginalCheckpoint) -> None:
    """Compare before anything is built: what a file makes of its sizes can be any size."""
    config = original.config
    if set(wanted) != set(original.weights):
        odd = sorted(set(wanted) ^ set(original.weights))
        raise CheckpointError(
            f"the checkpoint's layers are not those of block {config.block!r} with S = "
            f"{config.stages}: {', '.join(odd[:3])}{' ...' if len(odd) > 3 else ''}"
        )
    for name, shapes in wanted.items():
        found = [values.shape for values in original.weights[name]]
        if found != shapes:
            raise CheckpointError(
                f"the checkpoint's layer {name} has shapes {found}; block {config.block!r} with "
                f"S = {config.stages} needs {shapes}"
            )


def convert(source: str | Path, target: str | Path) -> Metadata:
    """Bring a checkpoint of the original over.

    Block, S and attention are read from the file itself.

    Parameters
    ----------
    source : path
        An ``.h5`` file of the original.
    target : path
        The ``.keras`` file to write.

    Returns
    -------
    Metadata
        What the new file says of itself.

    Raises
    ------
    CheckpointError
        If `source` cannot be read or `target` cannot be written.
    """
    model = network_of(read_original(source))
    save(model, target)
    return metadata_of(model)


def load_any(path: str | Path) -> Any:
    """The network of a model file, or of a checkpoint of the original if it ends in ``.h5``."""
    if Path(path).suffix in (".h5", ".hdf5"):
        return network_of(read_original(path))
    return load_model(path)[0]
