"""The notes of many works in one file, so that scores are read once."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinet.errors import DataError
from kinet.files import write_atomically
from kinet.versions.arrangement import Material, material_of
from kinet.versions.harmony import KINDS, Chords, chords_of
from kinet.versions.works import ROLES, Work

FORMAT = 1
_NEEDED = "allowed: a file that kinet scores wrote"

_TYPES: dict[str, type[np.generic]] = {
    "onset": np.float32,
    "duration": np.float32,
    "pitch": np.uint8,
    "velocity": np.uint8,
    "track": np.uint16,
    "notes_end": np.int64,
    "roles": np.uint8,
    "roles_end": np.int64,
    "beat": np.float32,
    "chord_start": np.float32,
    "chord_root": np.uint8,
    "chord_kind": np.uint8,
    "chords_end": np.int64,
    "records": np.uint8,
}


@dataclass(frozen=True)
class Record:
    """What is known of a work beside its notes.

    Parameters
    ----------
    title, file : str
        As of `Work`.
    source : str
        The collection that it comes from.
    licence : str
        Of the file, in its own words.
    sha256 : str
        As of `Work`.
    """

    title: str
    file: str
    source: str
    licence: str
    sha256: str


@dataclass(frozen=True)
class PackedWork:
    """A work and what is known of it; the chords, which take long to find, are kept with it."""

    record: Record
    work: Work
    chords: Chords

    @property
    def material(self) -> Material:
        """Ready for many versions."""
        return material_of(self.work, self.chords)


def packed(work: Work, source: str, licence: str) -> PackedWork:
    """A work with its chords and its origin.

    Parameters
    ----------
    work : Work
    source, licence : str
        As of `Record`.
    """
    record = Record(work.title, work.file, source, licence, work.sha256)
    return PackedWork(record, work, chords_of(work))


def write_note_pack(works: Sequence[PackedWork], path: str | os.PathLike[str]) -> int:
    """Write works to one file (NumPy's npz; nothing in it is pickled).

    Parameters
    ----------
    works : sequence of PackedWork
    path : path
        The file to create or replace.

    Returns
    -------
    int
        Its size in bytes.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    values = {
        "onset": _joined(w.work.onset for w in works),
        "duration": _joined(w.work.duration for w in works),
        "pitch": _joined(w.work.pitch for w in works),
        "velocity": _joined(w.work.velocity for w in works),
        "track": _joined(w.work.track for w in works),
        "notes_end": np.cumsum([len(w.work.onset) for w in works]),
        "roles": _joined(np.array(w.work.roles) for w in works),
        "roles_end": np.cumsum([len(w.work.roles) for w in works]),
        "beat": np.array([w.work.beat for w in works]),
        "chord_start": _joined(w.chords.start for w in works),
        "chord_root": _joined(w.chords.root for w in works),
        "chord_kind": _joined(w.chords.kind for w in works),
        "chords_end": np.cumsum([len(w.chords.start) for w in works]),
        "records": _bytes({"format": FORMAT, "works": [asdict(w.record) for w in works]}),
    }
    content = io.BytesIO()
    typed = {name: np.asarray(values[name], dtype=kind) for name, kind in _TYPES.items()}
    np.savez_compressed(content, allow_pickle=False, **typed)
    write_atomically(path, lambda file: file.write(content.getbuffer()))
    return content.getbuffer().nbytes


def read_note_pack(path: str | os.PathLike[str]) -> list[PackedWork]:
    """Read the works of a file.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of PackedWork

    Raises
    ------
    DataError
        If there is no such file, or it is damaged or none of this kind.
    """
    values = _arrays(Path(path))
    try:
        described = json.loads(values["records"].tobytes())
        if described["format"] != FORMAT:
            raise DataError(
                f"{path} is of format {described['format']!r}; allowed: {FORMAT}, write it anew "
                "with kinet scores"
            )
        records = [Record(**record) for record in described["works"]]
        return [_work(values, i, record) for i, record in enumerate(_whole(values, records))]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"{path} is damaged ({error}); {_NEEDED}") from error


def is_note_pack(path: str | os.PathLike[str]) -> bool:
    """Whether a file is an archive of arrays, by its first bytes; a folder is none."""
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise DataError(f"no file {path}; {_NEEDED}")
    try:
        # Opened here: NumPy leaves the file open if it is damaged.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            values = {name: archive[name] for name in _TYPES}
    except Exception as error:  # zipfile, zlib and NumPy have an error each for damage
        raise DataError(f"{path} cannot be read ({error}); {_NEEDED}") from error
    for name, kind in _TYPES.items():
        if values[name].dtype != kind or values[name].ndim != 1:
            raise DataError(f"{path} is damaged ({name} is {values[name].dtype}); {_NEEDED}")
    return values


def _whole(values: Mapping[str, NDArray[Any]], records: list[Record]) -> list[Record]:
    """The records, once all numbers in the arrays are such as are written."""
    for end, names in (
        ("notes_end", ("onset", "duration", "pitch", "velocity", "track")),
        ("roles_end", ("roles",)),
        ("chords_end", ("chord_start", "chord_root", "chord_kind")),
    ):
        ends = np.concatenate([[0], values[end]])
        if len(ends) != len(records) + 1 or (np.diff(ends) < 1).any():
            raise ValueError(f"{end} does not fit the works")
        for name in names:
            if len(values[name]) != ends[-1]:
                raise ValueError(f"{name} has {len(values[name])} values, not {ends[-1]}")
    if len(values["beat"]) != len(records) or not (values["beat"] > 0).all():
        raise ValueError("a beat is missing or not above 0")
    for name, most in (("roles", len(ROLES)), ("chord_root", 12), ("chord_kind", len(KINDS))):
        if (values[name] >= most).any():
            raise ValueError(f"{name} holds {values[name].max()}")
    for name in ("onset", "duration", "chord_start"):
        if not (np.isfinite(values[name]).all() and (values[name] >= 0).all()):
            raise ValueError(f"{name} holds a time that is none")
    return records


def _work(values: Mapping[str, NDArray[Any]], number: int, record: Record) -> PackedWork:
    def of(name: str, end: str, kind: type[Any]) -> NDArray[Any]:
        ends = values[end]
        return values[name][ends[number - 1] if number else 0 : ends[number]].astype(kind)

    work = Work(
        title=record.title,
        file=record.file,
        sha256=record.sha256,
        beat=float(values["beat"][number]),
        roles=tuple(of("roles", "roles_end", int).tolist()),
        onset=of("onset", "notes_end", np.float64),
        duration=of("duration", "notes_end", np.float64),
        pitch=of("pitch", "notes_end", np.int64),
        velocity=of("velocity", "notes_end", np.int64),
        track=of("track", "notes_end", np.int64),
    )
    if (work.track >= len(work.roles)).any():
        raise ValueError(f"a note of {record.file} is of track {work.track.max()}")
    chords = Chords(
        start=of("chord_start", "chords_end", np.float64),
        root=of("chord_root", "chords_end", np.int64),
        kind=of("chord_kind", "chords_end", np.int64),
    )
    return PackedWork(record, work, chords)


def _joined(arrays: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([np.zeros(0), *arrays])


def _bytes(values: Any) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(values, ensure_ascii=False).encode(), dtype=np.uint8)
