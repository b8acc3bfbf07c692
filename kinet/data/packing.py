"""The features of many tracks in one file, mapped into memory: no file is opened for a crop.

A packed file is a safetensors file (Hugging Face, 2022: a header in JSON, then the values), so that
other programs read it too. Every track is a tensor ``<song>/<version>``, ``(T, 12)`` float32. The
metadata have

- ``kinet``: ``packed 1``;
- ``features``: the settings of the features and their fingerprint, JSON, where they are known;
- ``checksums``: the CRC-32 of the values of every track, eight hexadecimal digits each, in the
  order of the values;
- ``digest``: the SHA-256 of the other metadata and of the names and lengths of all tracks.

What is checked when: with every opening the whole header, by its digest, and the length of the
file; the values of a track against their checksum when they are loaded first in a process. So no
value that has changed is ever used, and opening reads the header only. ``kinet check`` loads all.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from kinet.config import PITCH_CLASSES, FeatureConfig
from kinet.data.feature_files import FeatureError, feature_path, file_name, read_hpcp, shown
from kinet.errors import DataError, KinetError
from kinet.files import write_atomically
from kinet.reading import open_regular, reason

KIND = "packed 1"
# Bytes; some 150,000 tracks. A header that claims more is not read.
LARGEST_HEADER = 2**24
_PREFIX = 8  # bytes of the header's length, little-endian
_ALIGNMENT = 8
_TYPE = np.dtype("<f4")
_NEED = "need a file that kinet pack wrote, or a folder of features"
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, RecursionError, KinetError)

Ids = tuple[str, str]


def pack(
    files: Mapping[Ids, Path],
    features: FeatureConfig | None,
    out: str | os.PathLike[str],
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Write the features of tracks to one file.

    One track at a time is in memory; the library that reads these files could write only what is
    there as a whole.

    Parameters
    ----------
    files : mapping of (str, str) to pathlib.Path
        The .npy file of each song and version id.
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
        If the features of a track cannot be used, or there are too many tracks for one file; `out`
        is then unchanged.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, out = Path(folder, "s1_v1.npy"), Path(folder, "all.safetensors")
    ...     np.save(path, np.ones((400, 12)))
    ...     size = pack({("s1", "v1"): path}, None, out)
    ...     size == out.stat().st_size, PackedFile(out).load("s1", "v1").shape
    (True, (400, 12))
    """
    sums, lengths = [], []
    for path in files.values():
        values = _values(path)
        sums.append(_checksum(values))
        lengths.append(len(values))
    header = _header([f"{song}/{version}" for song, version in files], lengths, sums, features)
    if len(header) > LARGEST_HEADER:
        raise DataError(
            f"{len(files)} tracks need a header of {len(header)} bytes; allowed: {LARGEST_HEADER}; "
            "pack them into several files"
        )

    def write(file: BinaryIO) -> None:
        file.write(len(header).to_bytes(_PREFIX, "little") + header)
        for number, (path, checksum) in enumerate(zip(files.values(), sums, strict=True), start=1):
            values = _values(path)
            if _checksum(values) != checksum:
                raise FeatureError("damaged", path, "has changed meanwhile; need files at rest")
            file.write(values.data)
            if progress is not None:
                progress(number, len(files))

    write_atomically(out, write)
    return Path(out).stat().st_size


class PackedFile:
    """A packed file, mapped into memory.

    Parameters
    ----------
    path : path
        The file.

    Attributes
    ----------
    features : FeatureConfig or None
        How its features were made; None if it does not say.
    ids : tuple of (str, str)
        Song and version ids of all its tracks, in its order.

    Raises
    ------
    DataError
        If it is not a packed file, or its header is damaged.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, out = Path(folder, "s1_v1.npy"), Path(folder, "all.safetensors")
    ...     np.save(path, np.ones((400, 12)))
    ...     _ = pack({("s1", "v1"): path}, FeatureConfig(hop_size=512), out)
    ...     packed = PackedFile(out)
    ...     packed.ids, packed.features.hop_size
    ((('s1', 'v1'),), 512)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        names, lengths, metadata = _contents(self.path)
        try:
            self.ids = tuple(_ids(name) for name in names)
            self.features = _features(metadata.get("features"))
            sums = [int(digits, 16) for digits in metadata["checksums"].split()]
            if _digest(names, lengths, metadata) != metadata["digest"]:
                raise DataError("the digest is another")
            self._sums = dict(zip(self.ids, sums, strict=True))
        except _DAMAGED as error:
            message = f"damaged header ({type(error).__name__}: {error})"
            raise DataError(f"{self.path}: {message}; {_NEED}") from error
        # The format knows no gaps: the values lie one after the other up to the end of the file.
        count = sum(lengths)
        start = self.path.stat().st_size - count * PITCH_CLASSES * _TYPE.itemsize
        # As a plain array: each slice of a memmap costs ten times as much.
        mapped = np.asarray(np.memmap(self.path, _TYPE, "r", start, (count, PITCH_CLASSES)))
        ends = itertools.accumulate(lengths)
        self._values = {
            ids: mapped[end - length : end]
            for ids, length, end in zip(self.ids, lengths, ends, strict=True)
        }
        self._checked: set[Ids] = set()

    def __contains__(self, ids: Ids) -> bool:
        return ids in self._values

    def load(self, song_id: str, version_id: str) -> NDArray[np.float32]:
        """HPCP ``(T, 12)`` of a track, a part of the mapped file; checked when loaded first.

        Raises
        ------
        FeatureError
            If it is not in the file, or its values are not those that were packed.
        """
        ids = song_id, version_id
        if ids not in self._values:
            raise FeatureError("missing", feature_path(self.path, *ids), "missing in this file")
        values = self._values[ids]
        if ids not in self._checked:
            if _checksum(values) != self._sums[ids]:
                raise FeatureError(
                    "damaged",
                    feature_path(self.path, *ids),
                    "the values are not those that were packed (another CRC-32); pack them again",
                )
            self._checked.add(ids)
        return values


def _values(path: Path) -> NDArray[np.float32]:
    return read_hpcp(path).astype(_TYPE, copy=False)


def _checksum(values: NDArray[np.float32]) -> int:
    return zlib.crc32(values.data)


def _header(
    names: list[str], lengths: list[int], sums: list[int], features: FeatureConfig | None
) -> bytes:
    metadata = {"kinet": KIND, "checksums": " ".join(f"{checksum:08x}" for checksum in sums)}
    if features is not None:
        metadata["features"] = json.dumps(features.described())
    metadata["digest"] = _digest(names, lengths, metadata)
    header: dict[str, Any] = {"__metadata__": metadata}
    ends = itertools.accumulate(length * PITCH_CLASSES * _TYPE.itemsize for length in lengths)
    start = 0
    for name, length, end in zip(names, lengths, ends, strict=True):
        shape, offsets = [length, PITCH_CLASSES], [start, end]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    return text.ljust(-(-len(text) // _ALIGNMENT) * _ALIGNMENT)


def _contents(path: Path) -> tuple[list[str], list[int], dict[str, str]]:
    """Names and lengths in the order of the values, and metadata."""
    try:
        with open_regular(path) as file:
            length = int.from_bytes(file.read(_PREFIX), "little")
            held = os.fstat(file.fileno()).st_size
            if not 0 < length <= min(LARGEST_HEADER, held - _PREFIX) or file.read(1) != b"{":
                raise DataError(f"{path}: not a packed file; {_NEED}")
        with safe_open(path, "np") as tensors:
            metadata = tensors.metadata() or {}
            if metadata.get("kinet") != KIND:
                raise DataError(f"{path}: safetensors of something else; {_NEED}")
            names = tensors.offset_keys()
            lengths = [_length(name, tensors.get_slice(name)) for name in names]
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}; {_NEED}") from error
    except (SafetensorError, ValueError) as error:
        raise DataError(f"{path}: damaged header ({error}); {_NEED}") from error
    return names, lengths, metadata


def _length(name: str, tensor: Any) -> int:
    kind, shape = tensor.get_dtype(), tensor.get_shape()
    if kind != "F32" or len(shape) != 2 or shape[1] != PITCH_CLASSES or shape[0] < 1:
        raise ValueError(f"{shown(name)} is {kind}, {shape[:5]}")
    return int(shape[0])


def _digest(names: Iterable[str], lengths: Iterable[int], metadata: Mapping[str, str]) -> str:
    content = [
        {key: value for key, value in sorted(metadata.items()) if key != "digest"},
        list(zip(names, lengths, strict=True)),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _features(text: str | None) -> FeatureConfig | None:
    return None if text is None else FeatureConfig.from_described(json.loads(text))


def _ids(name: str) -> Ids:
    song, version = name.split("/")
    file_name(song, version)  # refuses what leads out of a folder
    return song, version
