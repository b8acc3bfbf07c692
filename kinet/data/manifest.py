"""What a folder of features says of itself: how and of what its files were made.

Beside the ``<song>_<version>.npy`` lie ``features.json`` (the settings and their fingerprint),
``manifest.csv`` (of which recording every file was made) and ``list`` (lines
``<song> <version>``, tab-separated, for the commands that take a list).
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kinet.config import FeatureConfig
from kinet.data.packing import PackedFile
from kinet.data.tracks import Track
from kinet.errors import DataError, SettingsError
from kinet.files import write_atomically, write_text_atomically
from kinet.reading import open_regular, reason, show_path
from kinet.remote import Url, inside, path_or_url, urls_below

FEATURES = "features.json"
MANIFEST = "manifest.csv"
LIST = "list"
# What Python raises for JSON that is none, too deep, or of something else.
_DAMAGED = (ValueError, RecursionError, KeyError, TypeError, AttributeError, SettingsError)
_LARGEST = 2**20  # bytes of settings; they have some hundred


@dataclass(frozen=True)
class Entry:
    """One feature file and the recording that it was made of.

    Attributes
    ----------
    song_id, version_id : str
        As in the name of the file.
    source : str
        Path of the recording.
    bytes, modified_ns : int
        Size of the recording, and when it was changed last, in nanoseconds since 1970.
    seconds : float
        Duration of its sound.
    vectors : int
        T of the features ``(T, 12)``.
    fingerprint : str
        Of the settings, as `kinet.config.FeatureConfig.fingerprint`.
    title, artist : str
        As a person would say it; empty where nothing told.
    """

    song_id: str
    version_id: str
    source: str
    bytes: int
    modified_ns: int
    seconds: float
    vectors: int
    fingerprint: str
    title: str = ""
    artist: str = ""


_COLUMNS = [field.name for field in dataclasses.fields(Entry)]
_OPTIONAL = 2  # the last ones, which manifests of before did not have
_WRITTEN = {"seconds": "{:.3f}".format}
_TYPES = {"bytes": int, "modified_ns": int, "seconds": float, "vectors": int}


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


def write_manifest(data_dir: str | os.PathLike[str], entries: Iterable[Entry]) -> None:
    """Write ``manifest.csv`` and ``list``, sorted by song and version, each in one step.

    Parameters
    ----------
    data_dir : path
        Folder of the features.
    entries : iterable of Entry
        All of its finished files.

    Raises
    ------
    OSError
        If one cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> entry = Entry("s1", "v1", "/music/a.wav", 4096, 0, 12.5, 26, "0123456789ab")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_manifest(folder, [entry])
    ...     read_manifest(folder) == [entry], Path(folder, "list").read_text()
    (True, 's1\\tv1\\n')
    """
    ordered = sorted(entries, key=lambda entry: (entry.song_id, entry.version_id))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for entry in ordered:
        writer.writerow(_WRITTEN.get(name, str)(getattr(entry, name)) for name in _COLUMNS)
    # A path need not be text: its other bytes are kept as they are.
    content = text.getvalue().encode("utf-8", "surrogateescape")
    write_atomically(inside(data_dir, MANIFEST), lambda file: file.write(content))
    write_text_atomically(inside(data_dir, LIST), _lines(ordered))


def has_list_of(data_dir: str | os.PathLike[str], entries: Iterable[Entry]) -> bool:
    """Whether ``list`` names just these entries, as `write_manifest` leaves it.

    A run that was killed between the two files leaves a list that is behind.

    Examples
    --------
    >>> has_list_of("nowhere", [])
    False
    """
    ordered = sorted(entries, key=lambda entry: (entry.song_id, entry.version_id))
    try:
        with open_regular(inside(data_dir, LIST)) as file:
            return file.read() == _lines(ordered).encode()
    except OSError:
        return False


def read_manifest(data_dir: str | os.PathLike[str]) -> list[Entry]:
    """The entries of ``manifest.csv``, in its order; none where there is no such file.

    Parameters
    ----------
    data_dir : path
        Folder of the features.

    Returns
    -------
    list of Entry

    Raises
    ------
    DataError
        If the file cannot be read or a line is not what `write_manifest` writes.
    """
    path = inside(data_dir, MANIFEST)
    try:
        with open_regular(path) as file:
            text = file.read().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}; need what kinet extract writes") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    mend = "restore it, or remove it to make all features again"
    try:
        header = next(reader, [])
        if header not in (_COLUMNS, _COLUMNS[:-_OPTIONAL]):
            raise DataError(f"{path}:1: columns are {header}, expected {_COLUMNS}; {mend}")
        return [_entry(row, header) for row in reader]
    except (csv.Error, ValueError) as error:
        raise DataError(f"{path}:{reader.line_num}: {error}; {mend}") from error


def origins_of(data_dir: str | os.PathLike[str], tracks: Iterable[Track]) -> list[tuple[str, str]]:
    """Title and recording of tracks, as far as the manifest of their features tells.

    Parameters
    ----------
    data_dir : path
        Folder of the features, or a packed file, which has no manifest.
    tracks : iterable of Track
        Whose.

    Returns
    -------
    list of (str, str)
        Title and path of the recording, both printable; empty where nothing tells.

    Raises
    ------
    DataError
        As `read_manifest`.

    Examples
    --------
    >>> origins_of("nowhere", [Track("s1", "v1", Path("s1_v1.npy"))])
    [('', '')]
    """
    known = {(entry.song_id, entry.version_id): entry for entry in read_manifest(data_dir)}
    found = (known.get((track.song_id, track.version_id)) for track in tracks)
    return [(show_path(e.title), show_path(e.source)) if e else ("", "") for e in found]


def _lines(entries: Iterable[Entry]) -> str:
    return "".join(f"{entry.song_id}\t{entry.version_id}\n" for entry in entries)


def _entry(row: list[str], columns: list[str]) -> Entry:
    if len(row) != len(columns):
        raise ValueError(f"{len(row)} fields, expected {len(columns)}")
    fields = zip(columns, row, strict=True)
    return Entry(**{name: _TYPES.get(name, str)(text) for name, text in fields})
