"""One file: weights, settings, feature settings, and the plug-ins with their versions.

A model file is a Keras archive (``.keras``) with one more member, ``kinet.json``; a checkpoint to
resume from has ``state.npz`` besides. Nothing in it is unpickled.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kinet.config import FeatureConfig, ModelConfig, TrainConfig
from kinet.errors import CheckpointError, PluginError, SettingsError
from kinet.files import write_atomically
from kinet.plugins import REGISTRIES
from kinet.registry import Origin

FORMAT = 1
METADATA = "kinet.json"
STATE = "state.npz"


@dataclass(frozen=True)
class PluginUse:
    """A plug-in that a model was built or trained with.

    Attributes
    ----------
    kind, name : str
        What it is, and its name.
    distribution, version : str
        Of the package that it came from; empty if it was registered by a running process.
    file : str
        Name of the Python file that registered it then, without its folder, which is nobody's
        business; empty where there was no file.
    """

    kind: str
    name: str
    distribution: str
    version: str
    file: str = ""

    @classmethod
    def of(cls, kind: str, name: str, origin: Origin) -> PluginUse:
        """The use of a plug-in of this origin."""
        return cls(kind, name, origin.distribution, origin.version, Path(origin.file).name)

    def how_to_get_it(self) -> str:
        """What to do where it is absent."""
        if self.distribution:
            return f"install it with: pip install {self.distribution}=={self.version}"
        if self.file:
            return f"{self.file} registered it: name that file with --plugin, or import it first"
        return "it was registered in a running process: register it in this one first"


@dataclass(frozen=True)
class Metadata:
    """What a model file says of itself.

    Attributes
    ----------
    model : ModelConfig
        The member of the family.
    features : FeatureConfig
        How the HPCP were made that it was trained on.
    training : TrainConfig or None
        How it was trained; None for a converted checkpoint.
    songs : tuple of str
        Song ids in the order of the classifier's columns; empty without a classifier.
    plugins : tuple of PluginUse
        Block, attention and loss with their distributions.
    history : tuple of mapping
        One record per finished epoch.
    kinet : str
        Version of kinet that wrote the file.
    """

    model: ModelConfig
    features: FeatureConfig = dataclasses.field(default_factory=FeatureConfig)
    training: TrainConfig | None = None
    songs: tuple[str, ...] = ()
    plugins: tuple[PluginUse, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    kinet: str = ""

    def to_json(self) -> str:
        """The content of ``kinet.json``."""
        values = {
            "format": FORMAT,
            "kinet": self.kinet or importlib.metadata.version("mulkinet"),
            "model": self.model.to_dict(),
            "features": self.features.to_dict(),
            "fingerprint": self.features.fingerprint(),
            "training": self.training.to_dict() if self.training else None,
            "plugins": [dataclasses.asdict(use) for use in self.plugins],
            "songs": list(self.songs),
            "history": [dict(record) for record in self.history],
        }
        return json.dumps(values, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Metadata:
        """Read the content of ``kinet.json``.

        Raises
        ------
        CheckpointError
            If it is of a later format or incomplete.
        """
        values = json.loads(text)
        if values["format"] > FORMAT:
            raise CheckpointError(
                f"written by kinet {values['kinet']} in format {values['format']}; this kinet "
                f"{importlib.metadata.version('mulkinet')} reads up to format {FORMAT}: upgrade it"
            )
        training = values["training"]
        return cls(
            model=ModelConfig.from_dict(values["model"]),
            features=FeatureConfig.from_dict(values["features"]),
            training=TrainConfig.from_dict(training) if training else None,
            songs=tuple(values["songs"]),
            plugins=tuple(PluginUse(**use) for use in values["plugins"]),
            history=tuple(values["history"]),
            kinet=values["kinet"],
        )


def plugins_of(model: ModelConfig, loss: str | None = None) -> tuple[PluginUse, ...]:
    """The plug-ins of a model, with where they come from."""
    names = [("block", model.block), *(("attention", name) for name in model.attention)]
    if loss:
        names.append(("loss", loss))
    return tuple(PluginUse.of(kind, name, REGISTRIES[kind].origin(name)) for kind, name in names)


def save(
    path: str | Path,
    model: Any,
    metadata: Metadata,
    state: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write a model file in one step: the old one stays until the new one is complete.

    Parameters
    ----------
    path : path
        The ``.keras`` file to create or replace.
    model : keras.Model
        Embedder or classifier.
    metadata : Metadata
        What the file says of itself.
    state : mapping of str to ndarray, optional
        What resuming needs besides weights, such as the optimizer's moments.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """

    def write(file: BinaryIO) -> None:
        with tempfile.TemporaryDirectory(prefix="kinet-") as folder:
            archive = Path(folder, "model.keras")
            model.save(archive, include_optimizer=False)
            with zipfile.ZipFile(archive, "a") as members:
                members.writestr(METADATA, metadata.to_json())
                if state is not None:
                    buffer = io.BytesIO()
                    np.savez(buffer, **state)  # type: ignore[arg-type]
                    members.writestr(STATE, buffer.getvalue())
            with archive.open("rb") as source:
                shutil.copyfileobj(source, file)

    try:
        write_atomically(path, write)
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise CheckpointError(
            f"cannot write {path}: {reason}; the previous file, if any, is unchanged"
        ) from error


def read_metadata(path: str | Path) -> Metadata:
    """What a model file says of itself, without loading Keras.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, not one of kinet's, or of a later format.
    """
    text = _member(Path(path), METADATA)
    try:
        return Metadata.from_json(text.decode())
    except CheckpointError as error:
        raise CheckpointError(f"{path} was {error}") from error
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        raise CheckpointError(
            f"{path} has an unreadable {METADATA} ({type(error).__name__}: {error}); "
            f"expected format {FORMAT}"
        ) from error


def read_state(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays that were saved as `state`.

    Raises
    ------
    CheckpointError
        If the file is not a checkpoint to resume from.
    """
    content = _member(Path(path), STATE)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} has an unreadable {STATE} ({error})") from error


def load_model(path: str | Path) -> tuple[Any, Metadata]:
    """Load the network of a model file as it was saved, and what the file says of itself.

    The code of a plug-in is needed only if it defines layers of its own.

    Returns
    -------
    model : keras.Model
        The classifier, or the embedder where it was trained without one.
    metadata : Metadata

    Raises
    ------
    CheckpointError
        If the file cannot be loaded, with what to do if a plug-in is missing.
    """
    metadata = read_metadata(path)
    import kinet.layers  # noqa: F401 - registers the layers

    try:
        return _load_archive(path), metadata
    except (TypeError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        _require_plugins(path, metadata, error)
        try:
            _register_plugin_layers(metadata)
            return _load_archive(path), metadata
        except (TypeError, ValueError, KeyError, OSError, zipfile.BadZipFile) as again:
            raise CheckpointError(
                f"{path} cannot be loaded ({type(again).__name__}: {str(again).splitlines()[0]}); "
                f"it was written by kinet {metadata.kinet}"
            ) from again


def _load_archive(path: str | Path) -> Any:
    import keras

    with zipfile.ZipFile(path) as archived:
        damaged = archived.testzip()
    if damaged:  # Keras reads the weights without looking at their checksum
        raise zipfile.BadZipFile(f"{damaged} is damaged")
    with tempfile.TemporaryDirectory(prefix="kinet-") as folder:
        # A name that Keras accepts, whatever the user called the file.
        archive = Path(folder, "model.keras")
        shutil.copyfile(path, archive)
        return keras.saving.load_model(archive, compile=False, safe_mode=True)


def _require_plugins(path: str | Path, metadata: Metadata, error: Exception) -> None:
    for use in metadata.plugins:
        if use.kind == "loss":
            continue
        try:
            REGISTRIES[use.kind].get(use.name)
        except PluginError as missing:
            raise CheckpointError(
                f"{path} needs the layers of the {use.kind} {use.name!r}, which is not here; "
                f"{use.how_to_get_it()} ({missing})"
            ) from error


def _register_plugin_layers(metadata: Metadata) -> None:
    """Build the model once: a plug-in may import its layers only then."""
    from kinet.model import build_embedder

    build_embedder(metadata.model)


def _member(path: Path, name: str) -> bytes:
    if not path.is_file():
        raise CheckpointError(f"no model file {path}; expected a .keras file that kinet wrote")
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    except zipfile.BadZipFile as error:
        raise CheckpointError(
            f"{path} is damaged or not a model file ({error}); "
            "expected a .keras file that kinet wrote; kinet convert reads the original's .h5 files"
        ) from error
    except KeyError as error:
        raise CheckpointError(
            f"{path} has no {name}: expected a .keras file that kinet "
            + ("train wrote as last" if name == STATE else "wrote")
        ) from error
