"""What a library says of itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinet.address import Address
from kinet.config import FeatureConfig
from kinet.errors import DataError
from kinet.library.models import LibraryModel, find_model
from kinet.reading import PathLike, show_path


@dataclass(frozen=True)
class Identity:
    """What a library is; only `calibration` and `changes` ever change.

    Attributes
    ----------
    identity : bytes
        Sixteen random ones: a library that is made again is another one.
    model, digest : str
        Name of the model, and what decides whether embeddings are its own.
    features : FeatureConfig
        Of all HPCP in it.
    size : int
        D.
    piece, hop : int
        Vectors of a window, and from one to the next.
    calibration : str
        JSON, or empty.
    changes : int
        Transactions so far.
    """

    identity: bytes
    model: str
    digest: str
    features: FeatureConfig
    size: int
    piece: int
    hop: int
    calibration: str
    changes: int

    def values(self) -> tuple[object, ...]:
        """The row in the database, without its checksum."""
        described = json.dumps(self.features.described())
        return (
            *(1, self.identity, self.model, self.digest, described, self.size, self.piece),
            *(self.hop, self.calibration, self.changes),
        )

    @classmethod
    def of(cls, values: tuple[Any, ...]) -> Identity:
        """From `values`."""
        features = FeatureConfig.from_described(json.loads(values[4]))
        return cls(*(*values[1:4], features, *values[5:]))


def require_alike(path: PathLike, there: Identity, other: PathLike, here: Identity) -> None:
    """Refuse two libraries whose recordings cannot stand beside each other.

    Raises
    ------
    DataError
        If they are one, or of different models, features or windows.
    """
    if here.identity == there.identity:
        raise DataError(f"{show_path(path)} is the library {show_path(other)}, or a copy of it")
    wanted = (here.digest, here.features, here.size, here.piece, here.hop)
    if wanted != (there.digest, there.features, there.size, there.piece, there.hop):
        raise DataError(
            f"{show_path(path)} is of {_described(there)}; need {_described(here)}, as "
            f"{show_path(other)}"
        )


def _described(here: Identity) -> str:
    return (
        f"{here.model} ({here.digest[:12]}), features {here.features.fingerprint()}, windows of "
        f"{here.piece} vectors every {here.hop}"
    )


def model_of(path: Path | Address, here: Identity, name: str | None = None) -> LibraryModel:
    """The model of a library, which is where the library says unless a name says otherwise.

    Raises
    ------
    DataError
        As `require_same`.
    CheckpointError, ExportError
        If there is no such model.
    """
    model = find_model(name or here.model)
    require_same(path, here, model)
    return model


def require_same(path: Path | Address, here: Identity, model: LibraryModel) -> None:
    """Refuse a model whose embeddings are not those of the library.

    Raises
    ------
    DataError
        If the model or the settings of its features are others.
    """
    if here.features != model.features:
        raise DataError(
            f"{show_path(path)} holds features {here.features.fingerprint()}, the model "
            f"{model.name} needs {model.features.fingerprint()}; one library has one kind"
        )
    if here.digest != model.digest:
        raise DataError(
            f"{show_path(path)} holds embeddings of {here.model} ({here.digest[:12]}), not "
            f"of {model.name} ({model.digest[:12]}); need that model, or another library (that of "
            "a folder is made again when .kinet in it is removed)"
        )
