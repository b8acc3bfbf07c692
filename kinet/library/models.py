"""What makes the embeddings of a library: a network by its file, an export, or the descriptor."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kinet.config import FeatureConfig, ModelConfig
from kinet.embeddings import Embedder, as_embedder
from kinet.errors import CheckpointError
from kinet.features.fourier_magnitudes import PATCHES, fourier_magnitudes
from kinet.files import digest_of
from kinet.reading import show_path
from kinet.weights import model_path, names

#: The descriptor without training, `kinet.features.fourier_magnitudes`: no backend is needed.
DESCRIPTOR = "fourier"


@dataclass(frozen=True)
class LibraryModel:
    """A model and what decides whether its embeddings may stand beside others.

    Attributes
    ----------
    name : str
        As a user named it.
    digest : str
        SHA-256 of its file, or the settings of the descriptor.
    features : FeatureConfig
        Of the HPCP that it takes.
    load : callable
        Gives the `Embedder`; may load a backend, which takes seconds.
    """

    name: str
    digest: str
    features: FeatureConfig
    load: Callable[[], Embedder]


def find_model(name: str) -> LibraryModel:
    """The model of a name or a file; its weights are not loaded yet.

    Parameters
    ----------
    name : str
        ``fourier``, a model that comes with kinet, or the path of a model file or an export.

    Raises
    ------
    CheckpointError, ExportError
        If it is neither.

    Examples
    --------
    >>> find_model("fourier").load().size
    1044
    """
    if name == DESCRIPTOR:
        return LibraryModel(name, _descriptor_digest(), FeatureConfig(), _descriptor)
    path = model_path(name) if name in names() else Path(name)
    if not os.path.exists(path):
        raise CheckpointError(
            f"no model {show_path(name)}; allowed: {', '.join([DESCRIPTOR, *names()])}, or the "
            "path of a model file or an export"
        )
    # What is no model is refused before all of it is read: it may be a folder of music, or a pipe.
    features, load = _of_file(path)
    digest = digest_of(path)
    is_shipped = path != Path(name)
    return LibraryModel(
        name if is_shipped else str(path.absolute()),
        digest,
        features,
        functools.partial(load, digest),
    )


def default_model() -> str:
    """What makes the embeddings of a new library: ``small``, or without that ``fourier``."""
    return "small" if "small" in names() else DESCRIPTOR


def _of_file(path: Path) -> tuple[FeatureConfig, Callable[[str], Embedder]]:
    """Settings of the features, and what loads the model, given the digest of the file."""
    from kinet.export.formats import FORMATS

    if os.path.isdir(path) or path.suffix in {form.ending for form in FORMATS.values()}:
        from kinet.export import load_export, read_export_metadata

        said = read_export_metadata(path)
        return FeatureConfig.from_dict(said["features"]), lambda _: load_export(path)
    from kinet.checkpoint import read_metadata

    return read_metadata(path).features, lambda digest: _network(path, digest)


@functools.lru_cache(maxsize=2)
def _network(path: Path, digest: str) -> Embedder:
    """Loaded once in a process as long as the file has this digest: it takes seconds."""
    from kinet.backend import choose, import_quietly

    choose()
    import_quietly()
    from kinet.checkpoint import load_model
    from kinet.network import embedder_of

    return as_embedder(embedder_of(load_model(path)[0]))


def _descriptor_digest() -> str:
    return f"{DESCRIPTOR}-1-" + "-".join(map(str, PATCHES))


def _descriptor() -> Embedder:
    # Unit rows of every patch length lie one after the other.
    scale = np.sqrt(len(PATCHES))

    def embed(batch: np.ndarray) -> np.ndarray:
        return np.stack([fourier_magnitudes(hpcp) for hpcp in batch]) / np.float32(scale)

    return Embedder(embed, 12 * sum(n // 2 + 1 for n in PATCHES), ModelConfig.vectors, 1, None)
