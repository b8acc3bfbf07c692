"""A training run on disk: ``models/<tag>/`` with checkpoints and settings, ``log/<tag>/``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinet.config import ModelConfig, TrainConfig
from kinet.errors import CheckpointError, DataError, SettingsError, first_line
from kinet.files import write_text_atomically
from kinet.locks import alone_in

MODELS = Path("models")
LOGS = Path("log")
# What a run's settings hold besides those of model and training.
_KINDS: dict[str, type] = {"data_dir": str, "train_list": str, "validation_list": str}
_KINDS |= {"scores": str, "batches": int}


@dataclass(frozen=True)
class RunFolders:
    """Where a run is kept.

    Attributes
    ----------
    models, logs : pathlib.Path
        ``models/<tag>`` and ``log/<tag>``.
    """

    models: Path
    logs: Path

    @classmethod
    def of(cls, tag: str, root: Path = Path()) -> RunFolders:
        """The folders of the run `tag` below `root`.

        Raises
        ------
        DataError
            If the tag would lead out of the folders.
        """
        if not tag or tag != Path(tag).name or tag in (".", ".."):
            raise DataError(f"tag is {tag!r}; allowed: a name without '/'")
        return cls(root / MODELS / tag, root / LOGS / tag)

    @property
    def last(self) -> Path:
        """The checkpoint after the last finished epoch, to resume from."""
        return self.models / "last.keras"

    @property
    def best(self) -> Path:
        """The model with the best validation MAP so far."""
        return self.models / "best.keras"

    @property
    def settings(self) -> Path:
        """The settings with which the run was started."""
        return self.models / "settings.json"

    def make(self) -> None:
        """Make both folders."""
        self.models.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)

    def alone(self) -> AbstractContextManager[None]:
        """Make the folders of the run, and refuse a second process that trains in them.

        Raises
        ------
        DataError
            On entering, if another process is at work there.
        """
        busy = f"another training is at work in {self.models}; wait for it, or choose another tag"
        return alone_in(self.models, busy)

    def write_settings(self, values: Mapping[str, Any]) -> None:
        """Write the run's settings, folders made as needed."""
        self.make()
        write_text_atomically(self.settings, json.dumps(values, indent=2) + "\n")

    def read_json(self) -> dict[str, Any]:
        """What was written by `write_settings`, whatever it is.

        Raises
        ------
        CheckpointError
            If there is no such run, or it is no JSON object.
        """
        try:
            values = json.loads(self.settings.read_text())
        except FileNotFoundError as error:
            raise CheckpointError(
                f"there is no run to resume: no {self.settings}; start one without --resume"
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(
                f"{self.settings} cannot be read ({first_line(error)})"
            ) from error
        if not isinstance(values, dict):
            raise CheckpointError(f"{self.settings} holds no settings; expected a JSON object")
        return values

    def read_settings(self) -> dict[str, Any]:
        """The settings with which the run was started.

        Raises
        ------
        CheckpointError
            If there is no such run, or its settings cannot be read.
        """
        values = self.read_json()
        try:
            # With the settings that there were not yet when the run began.
            values["model"] = ModelConfig.from_dict(values["model"]).to_dict()
            values["training"] = TrainConfig.from_dict(values["training"]).to_dict()
            kinds = {name: type(values[name]) for name in _KINDS if name in values}
            missing = {"data_dir", "train_list", "validation_list"} - kinds.keys()
        except (LookupError, TypeError, ValueError, AttributeError, SettingsError) as error:
            raise CheckpointError(
                f"{self.settings} holds no settings of a run ({first_line(error)}); it was changed "
                "or damaged: start a run with another --tag"
            ) from error
        if missing:
            raise CheckpointError(f"{self.settings} lacks {', '.join(sorted(missing))}")
        for name, kind in kinds.items():
            if kind is not _KINDS[name]:
                raise CheckpointError(
                    f"{self.settings} has {name} of type {kind.__name__}; expected "
                    f"{_KINDS[name].__name__}"
                )
        return values


def default_tag(model: ModelConfig, training: TrainConfig) -> str:
    """A tag made from the settings.

    Examples
    --------
    >>> default_tag(ModelConfig(block="wider", stages=4), TrainConfig())
    'wider_S4_no-attention_circular_supcon'
    >>> default_tag(ModelConfig(), TrainConfig(loss={"supcon": 1, "softmax": 0.5}))
    'wider_S4_no-attention_circular_supcon-softmax0.5'
    """
    attention = "-".join(model.attention) or "no-attention"
    weights = training.losses.items()
    loss = "-".join(f"{name}{weight:g}" if weight != 1 else name for name, weight in weights)
    return f"{model.block}_S{model.stages}_{attention}_{model.pitch_axis}_{loss}"


def newest_best(root: Path = Path()) -> Path:
    """The best model of the run that was written to last.

    Raises
    ------
    CheckpointError
        If there is no run.
    """
    found = [(path.stat().st_mtime, path) for path in (root / MODELS).glob("*/best.keras")]
    if not found:
        raise CheckpointError(
            f"no {MODELS}/<tag>/best.keras here; name a model with --model-file, "
            "or train one with kinet train"
        )
    return max(found)[1]
