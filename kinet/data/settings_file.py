"""How the features of a folder were made: ``features.json``, their settings and fingerprint."""

from __future__ import annotations

import json
import os
from pathlib import Path

from kinet.config import FeatureConfig
from kinet.data.packing import PackedFile
from kinet.errors import DataError, SettingsError
from kinet.files import write_text_atomically
from kinet.reading import open_regular, reason
from kinet.remote import Url, inside, path_or_url, urls_below

FEATURES = "features.json"
# What Python raises for JSON that is none, too deep, or of something else.
_DAMAGED = (ValueError, RecursionError, KeyError, TypeError, AttributeError, SettingsError)
_LARGEST = 2**20  # bytes of settings; they have some hundred


def write_features(data_dir: str | os.PathLike[str], config: FeatureConfig) -> None:
    """Write ``features.json``: with which settings the files of a folder are made.

    Parameters
    ----------
    data_dir : path
        Folder of the features.
    config : FeatureConfig
        Their settings.

    Raises
    ------
    OSError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_features(folder, FeatureConfig(hop_size=512))
    ...     features_of(folder).hop_size
    512
    """
    text = json.dumps(config.described(), indent=1) + "\n"
    write_text_atomically(inside(data_dir, FEATURES), text)


def features_of(data_dir: str | os.PathLike[str]) -> FeatureConfig | None:
    """With which settings the features of a folder were made.

    Parameters
    ----------
    data_dir : path
        Folder of the features, or a packed file.

    Returns
    -------
    FeatureConfig or None
        None where nothing says, as with features from elsewhere.

    Raises
    ------
    DataError
        If there is a ``features.json`` that cannot be used, or a file that is not packed.

    Examples
    --------
    >>> features_of("nowhere") is None
    True
    """
    place = path_or_url(data_dir)
    if isinstance(place, Path) and os.path.isfile(place):
        return PackedFile(place).features
    path = place / FEATURES
    try:
        with open_regular(path) as file:
            return FeatureConfig.from_described(json.loads(file.read(_LARGEST)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}; need what kinet extract writes") from error
    except _DAMAGED as error:
        raise DataError(
            f"{path}: not what kinet extract writes ({type(error).__name__}: {error}); "
            "need settings of features and their fingerprint"
        ) from error


def require_same_features(
    data_dir: str | os.PathLike[str], expected: FeatureConfig, whose: str
) -> None:
    """Refuse a folder whose features are made with other settings than expected.

    Parameters
    ----------
    data_dir : path
        Folder of the features; one that says nothing of them passes.
    expected : FeatureConfig
        The settings that are needed.
    whose : str
        Who needs them, for the message.

    Raises
    ------
    DataError
        If the settings differ, with both fingerprints and every setting that differs.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_features(folder, FeatureConfig(hop_size=512))
    ...     try:
    ...         require_same_features(folder, FeatureConfig(), "the model")
    ...     except DataError as error:
    ...         print(str(error).split("; ")[1])
    hop_size is 512 there, needed is 1024
    """
    found = features_of(data_dir)
    if found is None or found == expected:
        return
    there, needed = found.to_dict(), expected.to_dict()
    differing = "; ".join(
        f"{name} is {there[name]!r} there, needed is {needed[name]!r}"
        for name in needed
        if there[name] != needed[name]
    )
    raise DataError(
        f"the features in {data_dir} have the fingerprint {found.fingerprint()}, {whose} needs "
        f"{expected.fingerprint()}; {differing}"
    )


def require_own(data_dir: str | os.PathLike[str], config: FeatureConfig, whose: str) -> None:
    """Refuse to put features beside those of unknown or other settings.

    Parameters
    ----------
    data_dir : path
        Folder for the features, which need not exist.
    config : FeatureConfig
        The settings of what is to be written.
    whose : str
        Who writes, for the message.

    Raises
    ------
    DataError
        If there are features that nothing says the settings of, or other settings.

    Examples
    --------
    >>> require_own("nowhere", FeatureConfig(), "this run")
    """
    require_same_features(data_dir, config, whose)
    if features_of(data_dir) is not None:
        return
    place = path_or_url(data_dir)
    there = urls_below(place) if isinstance(place, Url) else place.glob("*.npy")
    strange = next((path for path in there if path.suffix == ".npy"), None)
    if strange is not None:
        raise DataError(
            f"{data_dir} holds {os.fsencode(strange.name).decode(errors='replace')} without a "
            f"{FEATURES} that says how it was made; allowed: a new folder, or one that kinet "
            "extract has made"
        )
