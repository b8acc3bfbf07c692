"""kinet: find the covers of a song with key-invariant networks.

Verbs, each a short function over the rooms of the package; importing this loads no backend.

build
    Settings to an embedder.
load
    A model file to an embedder.
embed
    Model and HPCP to embeddings.
evaluate
    Embeddings and song labels to metrics.
extract
    A recording to HPCP.

Of `blocks`, `attention`, `losses` and `datasets`, ``register`` makes a plug-in of your own known.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinet import attention, blocks, datasets, losses

if TYPE_CHECKING:
    import numpy as np

    from kinet.metrics import Metrics

__all__ = [
    "attention",
    "blocks",
    "build",
    "datasets",
    "embed",
    "evaluate",
    "extract",
    "load",
    "losses",
]


def build(block: str = "wider", stages: int = 12, **settings: Any) -> Any:
    """Build an embedder with random weights.

    Parameters
    ----------
    block : str
        Name of a registered block: ``simple``, ``bottleneck``, ``wider`` or a plug-in's.
    stages : int
        S: 1, 2, 3, 4, 6 or 12.
    **settings
        Any other field of `kinet.config.ModelConfig`.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, embedding_size)``.

    Raises
    ------
    SettingsError, PluginError, BackendError
        If a setting, a plug-in or the backend cannot be used.

    Examples
    --------
    >>> import kinet
    >>> model = kinet.build(block="simple", stages=1, channels=8, attention=("channel",))
    >>> model.output_shape
    (None, 128)
    """
    from kinet.backend import choose
    from kinet.config import ModelConfig

    config = ModelConfig.from_dict({"block": block, "stages": stages, **settings})
    choose()
    from kinet.model import build_embedder

    return build_embedder(config)


def load(path: str | Path) -> Any:
    """Load the embedder of a model file that kinet wrote.

    Parameters
    ----------
    path : path
        A ``.keras`` file.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, D)``.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or needs something that is not installed.
    """
    from kinet.backend import choose
    from kinet.checkpoint import load_model, read_metadata

    read_metadata(path)  # a wrong file is refused before a backend is loaded
    choose()
    from kinet.model import embedder_of

    return embedder_of(load_model(path)[0])


def embed(
    model: Any, hpcp: Iterable[np.ndarray], vectors: int | None = None, batch_size: int = 32
) -> np.ndarray:
    """Embed tracks.

    Parameters
    ----------
    model : keras.Model
        An embedder, from `build` or `load`.
    hpcp : iterable of ndarray
        ``(T, 12)`` each, of any T: cut to `vectors` vectors, or padded with zeros at the end.
    vectors : int, optional
        By default the length that the model was built for.
    batch_size : int
        Tracks that go through the network at once.

    Returns
    -------
    ndarray
        ``(N, D)`` float32 unit rows.

    Raises
    ------
    DataError
        If an array is not finite ``(T, 12)``, or the model does not take `vectors` vectors.

    Examples
    --------
    >>> import kinet, numpy as np
    >>> model = kinet.build("simple", 1, channels=8, attention=(), embedding_size=16)
    >>> kinet.embed(model, [np.ones((300, 12)), np.ones((500, 12))]).shape
    (2, 16)
    """
    from kinet.embeddings import embed_arrays

    return embed_arrays(model, hpcp, vectors, batch_size)


def evaluate(
    embeddings: np.ndarray | Sequence[Sequence[float]],
    labels: Iterable[Hashable],
    *,
    protocol: str = "standard",
) -> Metrics:
    """Rank every track against all others and measure the ranking.

    Parameters
    ----------
    embeddings : (N, D) array of float
        One row per track.
    labels : N values
        The song of each track.
    protocol : {"standard", "original"}
        See `kinet.evaluation.evaluate`.

    Returns
    -------
    Metrics
        With ``map``, ``p10``, ``mr1``, ``hit1``, their intervals and the values per query.

    Raises
    ------
    DataError
        If the embeddings or labels cannot be ranked.

    Examples
    --------
    >>> import kinet
    >>> kinet.evaluate([[1, 0], [0.9, 0.1], [0, 1]], ["a", "a", "b"]).map
    1.0
    """
    from kinet.evaluation import evaluate as rank

    return rank(embeddings, labels, protocol=protocol)


def extract(path: str | Path) -> np.ndarray:
    """Make the features of a recording, as the models take them.

    Parameters
    ----------
    path : path
        Of an audio file (wav, flac, ogg, opus, mp3, m4a and others) or a video with sound.

    Returns
    -------
    ndarray
        HPCP ``(T, 12)``, float32 in [0, 1]: one vector for each 0.46 s, T >= 1.

    Raises
    ------
    AudioError
        If the file cannot be decoded, is shorter than one vector, or holds nothing but silence.

    Examples
    --------
    >>> import kinet, numpy as np, pathlib, soundfile, tempfile
    >>> time = np.arange(10 * 44100) / 44100
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "tone.wav")
    ...     soundfile.write(path, 0.1 * np.sin(2 * np.pi * 440 * time), 44100)
    ...     hpcp = kinet.extract(path)
    >>> hpcp.shape, int(hpcp[0].argmax())
    ((21, 12), 0)
    """
    from kinet.extraction import extract_file

    return extract_file(path)
