"""The features of many tracks in one file, mapped into memory: no file is opened for a crop.

A packed file holds, one after the other:

- the 8 bytes ``KINETPK1``;
- the length of the header in bytes, an unsigned integer of 64 bits, little-endian;
- the header, JSON in UTF-8: ``tracks``, a list of ``[song id, version id, T]``, and ``features``,
  the settings of the features, or null where nothing says;
- zeros up to the next multiple of 64 bytes;
- the HPCP of all tracks in the order of the header, ``(sum of T, 12)`` float32, little-endian.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from kinet.config import PITCH_CLASSES, FeatureConfig
from kinet.data.tracks import FeatureError, Track, feature_path, read_hpcp, read_list
from kinet.errors import DataError, SettingsError
from kinet.files import write_atomically

MAGIC = b"KINETPK1"
_LENGTH = 8  # bytes of the header's length
_ALIGNMENT = 64
_TYPE = np.dtype("<f4")
_NEEDED = "need a file that kinet pack wrote"


@dataclass(frozen=True)
class PackedTrack(Track):
    """A track within a packed file.

    Attributes
    ----------
    values : (T, 12) array of float32 or None
        Its part of the mapped file; None if it is not in there.
    """

    values: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)

    def load(self) -> NDArray[Any]:
        """Its HPCP ``(T, 12)``, read when it is used.

        Raises
        ------
        FeatureError
            If it is not in the packed file.
        """
        if self.values is None:
            raise FeatureError("missing", self.path, "missing in the packed file")
        return self.values


@dataclass(frozen=True)
class _Packed:
    tracks: tuple[tuple[str, str, int], ...]
    features: FeatureConfig | None
    start: int  # of the values, in bytes

    @property
    def vectors(self) -> int:
        return sum(length for *_, length in self.tracks)


def pack(
    tracks: Sequence[Track],
    features: FeatureConfig | None,
    out: str | os.PathLike[str],
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Write the features of tracks to one file.

    Parameters
    ----------
    tracks : sequence of Track
        Each once.
    features : FeatureConfig or None
        How they were made, if that is known.
    out : path
        The file to create or replace.
    progress : callable, optional
        Called with the number of tracks done and of all; every track is read twice.

    Returns
    -------
    int
        Its size in bytes.

    Raises
    ------
    DataError
        If the features of a track cannot be used; `out` is then unchanged.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, out = Path(folder, "s1_v1.npy"), Path(folder, "all.pack")
    ...     np.save(path, np.ones((400, 12)))
    ...     size = pack([Track("s1", "v1", path)], None, out)
    ...     size == out.stat().st_size, Path(folder, "all.pack").read_bytes()[:8]
    (True, b'KINETPK1')
    """
    lengths = [len(track.load()) for track in tracks]
    rows = [[t.song_id, t.version_id, length] for t, length in zip(tracks, lengths, strict=True)]
    settings = features.to_dict() if features else None
    header = json.dumps({"features": settings, "tracks": rows}).encode()

    def write(file: BinaryIO) -> None:
        file.write(MAGIC + len(header).to_bytes(_LENGTH, "little") + header)
        file.write(bytes(_values_start(len(header)) - file.tell()))
        for number, (track, length) in enumerate(zip(tracks, lengths, strict=True), start=1):
            values = read_hpcp(track.path)
            if len(values) != length:
                message = f"has {len(values)} vectors, a moment ago {length}; need files at rest"
                raise FeatureError("shape", track.path, message)
            file.write(values.astype(_TYPE, copy=False).tobytes())
            if progress is not None:
                progress(number, len(tracks))

    write_atomically(out, write)
    return Path(out).stat().st_size


def is_packed(data: str | os.PathLike[str]) -> bool:
    """Whether `data` is a packed file, by its first bytes; a folder of features is none."""
    try:
        with open(data, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def packed_features(path: str | os.PathLike[str]) -> FeatureConfig | None:
    """With which settings the features of a packed file were made; None if it does not say.

    Raises
    ------
    DataError
        If it is not a packed file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, out = Path(folder, "s1_v1.npy"), Path(folder, "all.pack")
    ...     np.save(path, np.ones((400, 12)))
    ...     _ = pack([Track("s1", "v1", path)], FeatureConfig(hop_size=512), out)
    ...     packed_features(out).hop_size
    512
    """
    return _header(Path(path)).features


def read_tracks(list_file: str | os.PathLike[str], data: str | os.PathLike[str]) -> list[Track]:
    """The tracks of a list, with features from a folder or from a packed file.

    Parameters
    ----------
    list_file : path
        As `kinet.data.tracks.read_list`.
    data : path
        The folder, which is not looked at, or the packed file, which is mapped into memory.

    Returns
    -------
    list of Track
        In the order of the list; one that a packed file lacks says so when it is loaded.

    Raises
    ------
    DataError
        As `kinet.data.tracks.read_list`, and if `data` is a file but no packed one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, out, list_file = (Path(folder, n) for n in ("s1_v1.npy", "all.pack", "list"))
    ...     np.save(path, np.ones((400, 12)))
    ...     _ = pack([Track("s1", "v1", path)], None, out), list_file.write_text("s1 v1")
    ...     read_tracks(list_file, out)[0].load().shape
    (400, 12)
    """
    listed = read_list(list_file, data)
    if not Path(data).is_file():
        return listed
    there = _values(Path(data))
    return [
        PackedTrack(t.song_id, t.version_id, t.path, there.get((t.song_id, t.version_id)))
        for t in listed
    ]


def _values(path: Path) -> dict[tuple[str, str], NDArray[np.float32]]:
    """The features of every track, all views of one mapped file."""
    header = _header(path)
    shape = (header.vectors, PITCH_CLASSES)
    # As a plain array: each slice of a memmap costs ten times as much.
    mapped = np.asarray(np.memmap(path, _TYPE, "r", header.start, shape))
    ends = itertools.accumulate(length for *_, length in header.tracks)
    return {
        (song, version): mapped[end - length : end]
        for (song, version, length), end in zip(header.tracks, ends, strict=True)
    }


def _values_start(header_length: int) -> int:
    before = len(MAGIC) + _LENGTH + header_length
    return -(-before // _ALIGNMENT) * _ALIGNMENT


def _header(path: Path) -> _Packed:
    try:
        with open(path, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise DataError(f"{path}: not a packed file; {_NEEDED}, or a folder of features")
            length = int.from_bytes(file.read(_LENGTH), "little")
            held = os.fstat(file.fileno()).st_size
            text = file.read(min(length, held))
    except OSError as error:
        raise DataError(f"{path}: unreadable ({error.strerror or error}); {_NEEDED}") from error
    try:
        values = json.loads(text)
        tracks = tuple(_rows(values["tracks"]))
        features = values["features"]
        config = None if features is None else FeatureConfig.from_dict(features)
    except (ValueError, KeyError, TypeError, DataError, SettingsError) as error:
        message = f"damaged header ({type(error).__name__}: {error})"
        raise DataError(f"{path}: {message}; {_NEEDED}") from error
    packed = _Packed(tracks, config, _values_start(length))
    expected = packed.start + packed.vectors * PITCH_CLASSES * _TYPE.itemsize
    if held != expected:
        raise DataError(f"{path}: {held} bytes, expected {expected}; {_NEEDED}")
    return packed


def _rows(rows: Any) -> Iterator[tuple[str, str, int]]:
    for song, version, length in rows:
        for name in (song, version):
            if not isinstance(name, str):
                raise ValueError(f"{name!r} is no id")
        feature_path("", song, version)  # refuses what leads out of a folder
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise ValueError(f"T is {length!r}")
        yield song, version, length
