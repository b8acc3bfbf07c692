"""Models that come with kinet, by name: each a model file and its card, JSON, of the same name."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinet.errors import CheckpointError, unknown_name
from kinet.files import digest_of

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Card:
    """What is known of a model that comes with kinet.

    Attributes
    ----------
    name : str
        What `kinet.load` takes.
    description : str
        One line.
    path : pathlib.Path
        The model file.
    values : mapping
        All that the card says: material with licences, commands, seed, hours, machine, results
        with intervals, and what the model cannot do.
    """

    name: str
    description: str
    path: Path
    values: dict[str, Any]


def names() -> list[str]:
    """Names of the models that come with kinet.

    Examples
    --------
    >>> "small" in names()
    True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def card(name: str) -> Card:
    """The card of a model.

    Raises
    ------
    CheckpointError
        If no model has this name.
    """
    if name not in names():
        raise CheckpointError(f"{unknown_name('model', name, names())}, or a model file")
    values = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return Card(name, values["description"], _FOLDER / f"{name}.keras", values)


def model_path(model: str | os.PathLike[str]) -> Path:
    """The file of a model that is given by its path, or by the name of one that comes with kinet.

    What lies where the user stands goes before a name.

    Parameters
    ----------
    model : str or path

    Returns
    -------
    pathlib.Path
        A path that is no name comes back as it is, whether or not there is a file.

    Raises
    ------
    CheckpointError
        If a text without ending or folder is neither a file nor a name, or the file of the model
        is not the one that its card was written for.

    Examples
    --------
    >>> model_path("small").name, model_path("models/mine/best.keras").name
    ('small.keras', 'best.keras')
    """
    path = Path(model)
    if os.path.exists(path) or path.suffix or len(path.parts) != 1:
        return path
    found = card(str(model))
    digest = digest_of(found.path)
    if digest != found.values["sha256"]:
        raise CheckpointError(
            f"{found.path} has the digest {digest}, and its card says {found.values['sha256']}; "
            "install kinet again"
        )
    return found.path
