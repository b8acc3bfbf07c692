"""What a user holds in hand, arrays, features or recordings, to HPCP."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kinet.config import FeatureConfig
from kinet.data.feature_files import read_hpcp
from kinet.data.settings_file import require_same_features
from kinet.data.tracks import Track
from kinet.errors import DataError
from kinet.extraction.recording import extract_file
from kinet.extraction.searching import audio_files
from kinet.reading import show_path
from kinet.remote import Url, path_or_url

_FEATURES = ".npy"

Input = np.ndarray | Track | str | os.PathLike[str]


def read_inputs(
    inputs: Input | Iterable[Input], features: FeatureConfig | None = None
) -> list[np.ndarray]:
    """HPCP of each input, in their order; of a folder in the order of its files' names.

    Parameters
    ----------
    inputs : path, or iterable of arrays, tracks and paths
        An array is HPCP ``(T, 12)``; a path is a feature file, a recording, or a folder of one of
        the two; a track has its features with it.
    features : FeatureConfig, optional
        How HPCP of recordings are made, and how those of a folder must have been; by default as
        kinet makes them.

    Returns
    -------
    list of (T, 12) arrays

    Raises
    ------
    DataError
        If a path is missing or cannot be used, a folder holds nothing, both kinds, or features of
        other settings.
    AudioError
        If a recording cannot be decoded.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder, "s1_v1.npy"), np.ones((300, 12)))
    ...     [hpcp.shape for hpcp in read_inputs(folder)]
    [(300, 12)]
    """
    features = features or FeatureConfig()
    given = [inputs] if isinstance(inputs, str | os.PathLike | Track) else inputs
    return [hpcp for one in given for hpcp in _read(one, features)]


def _read(one: Any, features: FeatureConfig) -> list[np.ndarray]:
    if isinstance(one, Track):
        return [one.load()]
    if not isinstance(one, str | os.PathLike):
        return [one]
    path = path_or_url(one)
    if isinstance(path, Url):
        raise DataError(f"{path} is in an object store; need a path of this machine")
    return [_read_file(file, features) for file in (_files(path, features) or [path])]


def _files(path: Path, features: FeatureConfig) -> list[Path]:
    """The feature files of a folder, or the recordings in and below it; of a file nothing."""
    if not os.path.isdir(path):
        return []
    arrays, recordings = sorted(path.glob(f"*{_FEATURES}")), list(audio_files(path))
    if bool(arrays) == bool(recordings):
        found = f"{len(arrays)} feature files and {len(recordings)} recordings"
        raise DataError(f"{show_path(path)} holds {found}; allowed: a folder of one of the two")
    if arrays:
        require_same_features(path, features, "the model")
    return arrays or recordings


def _read_file(path: Path, features: FeatureConfig) -> np.ndarray:
    if path.suffix == _FEATURES:
        return read_hpcp(path)
    if features.other_processing:
        raise DataError(
            f"{show_path(path)} is a recording, and the model needs features with "
            f"{features.other_processing!r}, which kinet does not make; allowed: {_FEATURES} files"
        )
    return extract_file(path, features)
