"""kinet: find the covers of a song with key-invariant networks.

Importing this loads no backend. Verbs, each a short function over the rooms of the package:

extract
    A recording to HPCP.
read_tracks
    A list and a folder of features to tracks.
build, build_classifier
    Settings to a Keras model: an embedder, or a classifier of songs.
train
    Lists to weights, in a run that can be killed and resumed.
save, load, list_models
    A model to a file, and back; models by name.
embedder_of
    A classifier to the embedder in it.
embed
    Model and HPCP, features or recordings to embeddings.
evaluate
    Embeddings and song labels to metrics.
align
    HPCP of two recordings to the passages that match, with key and tempo.
find
    Recordings to the songs of a folder of music, or of a library.
Library
    Recordings with their features and embeddings in one file, in which songs are found.

Of `blocks`, `attention`, `losses` and `datasets`, ``register`` makes a plug-in of your own known.

For `compile` and `fit` of Keras:

TrainingData
    A training list to batches, a ``keras.utils.PyDataset``.
Ranking
    Validation by ranking, a ``keras.callbacks.Callback``.
"""

from __future__ import annotations

import importlib.metadata
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinet import attention, blocks, datasets, losses

if TYPE_CHECKING:
    import numpy as np

    from kinet.checkpoint import save
    from kinet.config import FeatureConfig, ModelConfig, TrainConfig
    from kinet.data.tracks import Track, read_tracks
    from kinet.evaluation import evaluate
    from kinet.extraction import extract_file as extract
    from kinet.library import Library, find
    from kinet.matching import align
    from kinet.network import embedder_of
    from kinet.training.data import TrainingData
    from kinet.training.ranking import Ranking

__all__ = [
    "Library",
    "Ranking",
    "TrainingData",
    "__version__",
    "align",
    "attention",
    "blocks",
    "build",
    "build_classifier",
    "datasets",
    "embed",
    "embedder_of",
    "evaluate",
    "extract",
    "find",
    "list_models",
    "load",
    "losses",
    "read_tracks",
    "save",
    "train",
]

# Imported when they are asked for, each from its room.
_ROOMS = {
    "Library": ("kinet.library", "Library"),
    "align": ("kinet.matching", "align"),
    "evaluate": ("kinet.evaluation", "evaluate"),
    "extract": ("kinet.extraction", "extract_file"),
    "find": ("kinet.library", "find"),
    "read_tracks": ("kinet.data.tracks", "read_tracks"),
    "save": ("kinet.checkpoint", "save"),
}
_ROOMS_WITH_KERAS = {
    "Ranking": ("kinet.training.ranking", "Ranking"),
    "TrainingData": ("kinet.training.data", "TrainingData"),
    "embedder_of": ("kinet.network", "embedder_of"),
}

if "keras" in sys.modules:
    # So that keras.saving.load_model opens models of kinet. Where Keras comes later, kinet.layers
    # does it, which all that builds or loads imports.
    from kinet import layers as _layers  # noqa: F401


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("mulkinet")
    if name not in _ROOMS and name not in _ROOMS_WITH_KERAS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _ROOMS_WITH_KERAS:
        from kinet.backend import choose

        choose()
    room, there = {**_ROOMS, **_ROOMS_WITH_KERAS}[name]
    return getattr(importlib.import_module(room), there)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def build(
    block: str = "wider",
    stages: int = 4,
    *,
    features: FeatureConfig | None = None,
    **settings: Any,
) -> Any:
    """Build an embedder with random weights.

    Parameters
    ----------
    block : str
        Name of a registered block: ``simple``, ``bottleneck``, ``wider`` or a plug-in's.
    stages : int
        S: 1, 2, 3, 4, 6 or 12.
    features : FeatureConfig, optional
        How the HPCP that it will see are made; by default as kinet makes them.
    **settings
        Any other field of `kinet.config.ModelConfig`.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, embedding_size)``. It carries its settings:
        what its own `save` writes, `load` takes. As a loss its `compile` also takes the name of a
        registered one that wants embeddings, such as ``"triplet"``.

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

    return build_embedder(config, features)


def build_classifier(
    songs: Sequence[str],
    block: str = "wider",
    stages: int = 4,
    *,
    dropout: float = 0.5,
    features: FeatureConfig | None = None,
    **settings: Any,
) -> Any:
    """Build a classifier of songs with random weights, to train an embedder with.

    Parameters
    ----------
    songs : sequence of str
        Their ids, in the order of the labels: the `songs` of `TrainingData`.
    block, stages, features, **settings
        As of `build`.
    dropout : float
        Before the classifier, from 0 to below 1.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to logits ``(B, len(songs))``; `embedder_of` gives the embedder
        in it, and so does `load` from its file.

    Raises
    ------
    SettingsError, PluginError, BackendError
        If a setting, a plug-in or the backend cannot be used.

    Examples
    --------
    >>> import kinet
    >>> model = kinet.build_classifier(["s1", "s2", "s3"], "simple", 1, channels=8, attention=())
    >>> model.compile("adam", loss="softmax")
    >>> model.output_shape, kinet.embedder_of(model).output_shape
    ((None, 3), (None, 128))
    """
    from kinet.backend import choose
    from kinet.config import ModelConfig, TrainConfig

    config = ModelConfig.from_dict({"block": block, "stages": stages, **settings})
    TrainConfig(dropout=dropout)  # refused there if it cannot be
    choose()
    from kinet.model import build_classifier as make

    return make(config, songs, dropout, features)


def train(
    tracks: Sequence[Track],
    validation: Sequence[Track],
    tag: str | None = None,
    *,
    model: ModelConfig | None = None,
    training: TrainConfig | None = None,
    features: FeatureConfig | None = None,
    optimizer: Any = None,
    schedule: Any = None,
    callbacks: Sequence[Any] = (),
    start_from: Any = None,
    resume: bool = False,
    workers: int = 1,
) -> list[dict[str, Any]]:
    """Train a model as ``kinet train`` does: validate every epoch, keep the best, resume exactly.

    It writes ``models/TAG/best.keras`` and ``last.keras``, and ``log/TAG/`` with ``history.csv``
    and events for TensorBoard.

    Parameters
    ----------
    tracks, validation : sequence of Track
        The training list and the validation list, as `read_tracks` gives them.
    tag : str, optional
        Name of the run; by default made from the settings.
    model, training, features : ModelConfig, TrainConfig, FeatureConfig, optional
        All settings; by default what the benchmarks speak for. `ModelConfig.original` and
        `TrainConfig.original` give those of the original code.
    optimizer : str or keras.optimizers.Optimizer, optional
        By default Adam with the rate of `training`, which falls along a cosine, epoch by epoch.
        One that is given has its own rate or schedule.
    schedule : keras.optimizers.schedules.LearningRateSchedule, optional
        The rate by step in place of the cosine.
    callbacks : sequence of keras.callbacks.Callback
        Their logs have ``loss``, ``val_map``, ``val_p10``, ``val_mr1`` and ``val_hit1``. What they
        remember is not in the checkpoint: a resumed run begins with them anew.
    start_from : keras.Model, optional
        Begin with the weights of this embedder, or of the one in this classifier.
    resume : bool
        Go on with the run of this tag, to the same end as if it had not been stopped.
    workers : int
        Threads that prepare batches.

    Returns
    -------
    list of dict
        One record per epoch: ``epoch`` (from 1), ``learning_rate``, ``loss``, ``seconds`` and the
        validation's ``map``, ``p10``, ``mr1``, ``hit1``.

    Raises
    ------
    SettingsError
        If the run is there already and `resume` is not given, or this is one of several processes
        that a launcher has started.
    DataError
        If another process trains with this tag.
    DataError, PluginError, BackendError, CheckpointError
        If lists, plug-ins, backend or the checkpoint cannot be used.

    Warns
    -----
    UserWarning
        If the validation list has few songs, or songs of the training list, or if tracks are
        shorter than half of the model's `vectors`.
    """
    from kinet.backend import choose
    from kinet.config import FeatureConfig, ModelConfig, TrainConfig
    from kinet.errors import SettingsError
    from kinet.peers import NUMBER, place_here
    from kinet.training.runs import RunFolders, default_tag

    if place_here().others:
        raise SettingsError(
            f"{NUMBER} is set, for one of several processes, and kinet.train trains in one; "
            "allowed: the command kinet train, or no such variable"
        )
    model, training = model or ModelConfig(), training or TrainConfig()
    folders = RunFolders.of(tag or default_tag(model, training))
    choose()
    from kinet.training.lists import doubts, doubts_about_lengths

    features = features or FeatureConfig()
    lengths = doubts_about_lengths([*tracks, *validation], model.vectors, features)
    for doubt in [*doubts(tracks, validation), *lengths]:
        warnings.warn(doubt, stacklevel=2)
    from kinet.training.fitting import Task
    from kinet.training.fitting import train as fit

    task = Task(
        model=model,
        training=training,
        tracks=tracks,
        validation=validation,
        folders=folders,
        features=features,
        workers=workers,
        optimizer=optimizer,
        schedule=schedule,
        callbacks=callbacks,
    )
    with folders.alone():
        if folders.last.exists() and not resume:
            raise SettingsError(
                f"the run {folders.models} is there already; go on with resume=True, or choose "
                "another tag"
            )
        return fit(task, resume=resume, start_from=start_from)


def load(path: str | Path) -> Any:
    """Load the embedder of a model file, or of a model that comes with kinet.

    Parameters
    ----------
    path : str or path
        A ``.keras`` file that kinet wrote, or Keras from a model of kinet's; or a name of
        `list_models`, such as ``"small"``.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, D)``.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or needs something that is not installed, or no model has
        the name.

    Examples
    --------
    >>> import kinet
    >>> kinet.load("small").output_shape
    (None, 256)
    """
    from kinet.backend import choose
    from kinet.checkpoint import load_model, read_metadata
    from kinet.weights import model_path

    path = model_path(path)
    read_metadata(path)  # a wrong file is refused before a backend is loaded
    choose()
    from kinet.network import embedder_of

    return embedder_of(load_model(path)[0])


def list_models() -> list[str]:
    """Names of the models that come with kinet, for `load`; ``kinet models`` tells of them.

    Examples
    --------
    >>> import kinet
    >>> "small" in kinet.list_models()
    True
    """
    from kinet.weights import names

    return names()


def embed(
    model: Any,
    inputs: str | Path | Iterable[np.ndarray | Track | str | Path],
    vectors: int | None = None,
    batch_size: int = 32,
) -> np.ndarray:
    """Embed tracks.

    From 500 tracks on a faster form of the network is made first, which takes seconds and gives
    the same embeddings.

    Parameters
    ----------
    model : keras.Model
        An embedder, from `build`, `load` or `embedder_of`.
    inputs : path, or iterable of arrays, tracks and paths
        Arrays are HPCP ``(T, 12)`` of any T: cut to `vectors` vectors, or padded with zeros at the
        end. Paths are feature files, recordings, or a folder of one of the two, in the order of
        their names.
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
        If the model is no embedder or does not take `vectors` vectors, an array is not finite
        ``(T, 12)``, or a path cannot be used.
    AudioError
        If a recording cannot be decoded.

    Examples
    --------
    >>> import kinet, numpy as np
    >>> model = kinet.build("simple", 1, channels=8, attention=(), embedding_size=16)
    >>> kinet.embed(model, [np.ones((300, 12)), np.ones((500, 12))]).shape
    (2, 16)
    """
    from kinet.embeddings import embed_arrays, embedder_for
    from kinet.extraction.inputs import read_inputs

    said = getattr(model, "metadata", None)
    embedder_for(model, 0)  # a wrong model is refused before anything is read
    hpcp = read_inputs(inputs, said and said.features)
    return embed_arrays(embedder_for(model, len(hpcp)), hpcp, vectors, batch_size)
