"""What a network says of itself: settings, features, plug-ins, songs, and how it was trained."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinet.config import FeatureConfig, ModelConfig, TrainConfig
from kinet.errors import CheckpointError, SettingsError
from kinet.registry import Origin

FORMAT = 1


@dataclass(frozen=True)
class PluginUse:
    """A plug-in that a network was built or trained with.

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

    @property
    def origin(self) -> Origin:
        """Where it came from."""
        return Origin(self.distribution, self.version, self.file)

    def how_to_get_it(self) -> str:
        """What to do where it is absent."""
        if self.distribution:
            return f"install it with: pip install {self.distribution}=={self.version}"
        if self.file:
            return "name that file with --plugin, or import it first"
        return "register it in this one too"


@dataclass(frozen=True)
class Metadata:
    """What a network says of itself, in memory and in its file.

    Attributes
    ----------
    model : ModelConfig
        The member of the family.
    features : FeatureConfig
        How the HPCP were made that it was trained on.
    training : TrainConfig or None
        How `kinet.train` trained it; None for a network that it did not train.
    optimizer : mapping or None
        What Keras says of the optimizer, where it was not the one of `training`.
    songs : tuple of str
        Song ids in the order of the classifier's columns; empty without a classifier.
    plugins : tuple of PluginUse
        Block, attention and loss with their distributions.
    history : tuple of mapping
        One record per finished epoch.
    kinet : str
        Version of kinet that wrote it.
    """

    model: ModelConfig
    features: FeatureConfig = dataclasses.field(default_factory=FeatureConfig)
    training: TrainConfig | None = None
    optimizer: Mapping[str, Any] | None = None
    songs: tuple[str, ...] = ()
    plugins: tuple[PluginUse, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    kinet: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values.

        Examples
        --------
        >>> values = Metadata(ModelConfig(stages=4)).to_dict()
        >>> values["model"]["stages"], Metadata.from_dict(values).model.stages
        (4, 4)
        """
        return {
            "format": FORMAT,
            "kinet": self.kinet or importlib.metadata.version("mulkinet"),
            "model": self.model.to_dict(),
            "features": self.features.to_dict(),
            "fingerprint": self.features.fingerprint(),
            "training": self.training.to_dict() if self.training else None,
            "optimizer": self.optimizer,
            "plugins": [dataclasses.asdict(use) for use in self.plugins],
            "songs": list(self.songs),
            "history": [dict(record) for record in self.history],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Metadata:
        """From the values of `to_dict`.

        Raises
        ------
        CheckpointError
            If they are of a later format or incomplete.
        """
        try:
            if values["format"] > FORMAT:
                raise CheckpointError(
                    f"written by kinet {values['kinet']} in format {values['format']}; this kinet "
                    f"{importlib.metadata.version('mulkinet')} reads up to format {FORMAT}: "
                    "upgrade it"
                )
            training = values["training"]
            return cls(
                model=ModelConfig.from_dict(values["model"]),
                features=FeatureConfig.from_dict(values["features"]),
                training=TrainConfig.from_dict(training) if training else None,
                optimizer=values["optimizer"],
                songs=tuple(values["songs"]),
                plugins=tuple(PluginUse(**use) for use in values["plugins"]),
                history=tuple(dict(record) for record in values["history"]),
                kinet=values["kinet"],
            )
        except (LookupError, TypeError, ValueError, AttributeError, SettingsError) as error:
            raise CheckpointError(
                f"unreadable in what it says of itself ({type(error).__name__}: {error}); "
                f"expected format {FORMAT}"
            ) from error
