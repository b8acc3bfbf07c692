"""A library on disk: what it is, its rows, and transactions that are wholly done or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinet.config import FeatureConfig
from kinet.errors import DataError, SettingsError
from kinet.library.models import LibraryModel
from kinet.library.rows import File, Sound, embeddings_of, hpcp_of, to_blob
from kinet.library.schema import TABLES, checksum, connect, damaged, make_database, speaking_of
from kinet.reading import show_path


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


class Store:
    """An open library.

    Parameters
    ----------
    path : pathlib.Path
        Its file.

    Raises
    ------
    DataError
        If there is no library in it, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = connect(path)
        try:
            self.identity()
        except BaseException:
            self._database.close()
            raise

    @classmethod
    def create(cls, path: Path, model: LibraryModel, size: int, piece: int, hop: int) -> Store:
        """Make an empty library; if one is there already it is opened.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        row = Identity(
            identity=secrets.token_bytes(16),
            model=model.name,
            digest=model.digest,
            features=model.features,
            size=size,
            piece=piece,
            hop=hop,
            calibration="",
            changes=0,
        ).values()
        make_database(path, size, (*row, checksum(*row)))
        return cls(path)

    def close(self) -> None:
        """Close the file; what was written is in it."""
        with speaking_of(self.path):
            self._database.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Within, the library is as it was at the first look, whatever others write."""
        if self._database.in_transaction:
            yield
            return
        with speaking_of(self.path):
            self._database.execute("BEGIN")
            try:
                yield
            finally:
                self._database.execute("ROLLBACK")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Within, all is done together, or on any error nothing.

        Raises
        ------
        DataError
            If another process is writing all the time, or the file cannot be written.
        """
        with speaking_of(self.path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                now = self.identity()
                self._set(calibration=now.calibration, changes=now.changes + 1)
                self._database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # after some errors it is rolled back
                    self._database.execute("ROLLBACK")
                raise

    def identity(self) -> Identity:
        """What the library is, as of now."""
        rows = self._rows("SELECT * FROM library")
        if len(rows) != 1:
            raise damaged(self.path, f"{len(rows)} rows that say what it is")
        try:
            return Identity.of(rows[0])
        except (ValueError, LookupError, TypeError, AttributeError, SettingsError) as error:
            raise damaged(self.path, f"what it says of itself: {error}") from error

    def set_calibration(self, calibration: str) -> None:
        """Keep how scores become probabilities; within `writing`."""
        self._set(calibration=calibration, changes=self.identity().changes)

    def _set(self, calibration: str, changes: int) -> None:
        values = (*self.identity().values()[:-2], calibration, changes)
        self._database.execute(
            "UPDATE library SET calibration = ?, changes = ?, checksum = ?",
            (calibration, changes, checksum(*values)),
        )

    def add_sound(self, sound: Sound) -> int:
        """Put a recording in, within `writing`; the number that it gets.

        Raises
        ------
        DataError
            If a value is not finite.
        """
        number = self._rows_of("SELECT coalesce(max(id), 0) + 1 FROM recordings")[0][0]
        for table, row in _rows_of_sound(number, sound).items():
            self._insert(table, row)
        return int(number)

    def number_of(self, sha256: bytes) -> int | None:
        """The number of the recording of this content, if it is in the library."""
        rows = self._rows("SELECT * FROM recordings WHERE sha256 = ?", (sha256,))
        return rows[0][0] if rows else None

    def recording(self, number: int) -> tuple[bytes, float]:
        """SHA-256 and seconds of a recording."""
        rows = self._rows("SELECT * FROM recordings WHERE id = ?", (number,))
        if len(rows) != 1:
            raise damaged(self.path, f"{len(rows)} recordings of number {number}")
        return rows[0][1], rows[0][2]

    def put_file(self, file: File) -> None:
        """Put a file in, or in place of the one of the same path; within `writing`."""
        self._take_out(file.path, keep=file.recording)
        self._insert("files", file.values())

    def remove_file(self, path: Path) -> None:
        """Take a file out, and its recording if it was the only one; within `writing`."""
        self._take_out(path)

    def _take_out(self, path: Path, keep: int = 0) -> None:
        name = os.fsencode(path)
        held = self._rows_of("SELECT recording FROM files WHERE path = ?", (name,))
        self._do("DELETE FROM files WHERE path = ?", (name,))
        for (number,) in held:
            if number != keep:
                self._do(
                    "DELETE FROM recordings WHERE id = ?1 AND NOT EXISTS "
                    "(SELECT 1 FROM files WHERE recording = ?1)",
                    (number,),
                )

    def files(self) -> list[File]:
        """All files, in the order of their paths."""
        return [File.of(row) for row in self._whole("files", "path")]

    def recordings(self) -> list[tuple[int, bytes, float]]:
        """Number, SHA-256 and seconds of all recordings, in the order of their numbers."""
        return list(self._whole("recordings", "id"))

    def embeddings(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Number and embeddings ``(pieces, D)`` of all recordings, in that order."""
        size = self.identity().size
        for number, pieces, content in self._whole("embeddings", "recording"):
            rows = self._checked(embeddings_of, content, size)
            if len(rows) != pieces:
                raise damaged(self.path, f"{len(rows)} embeddings of {pieces}")
            yield number, rows

    def count_of_embeddings(self) -> int:
        """Embeddings of all pieces of all recordings."""
        return int(self._rows_of("SELECT coalesce(sum(pieces), 0) FROM embeddings")[0][0])

    def all_hpcp(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Number and HPCP ``(T, 12)`` of all recordings, in that order."""
        for number, _, content in self._whole("hpcp", "recording"):
            yield number, self._checked(hpcp_of, content)

    def hpcp(self, number: int) -> NDArray[np.float32]:
        """HPCP ``(T, 12)`` of a recording."""
        rows = self._rows("SELECT * FROM hpcp WHERE recording = ?", (number,))
        if len(rows) != 1:
            raise damaged(self.path, f"{len(rows)} HPCP of recording {number}")
        return self._checked(hpcp_of, rows[0][2])

    def embeddings_of(self, number: int) -> NDArray[np.float32]:
        """Embeddings ``(pieces, D)`` of a recording."""
        rows = self._rows("SELECT * FROM embeddings WHERE recording = ?", (number,))
        if len(rows) != 1:
            raise damaged(self.path, f"{len(rows)} embeddings of recording {number}")
        return self._checked(embeddings_of, rows[0][2], self.identity().size)

    def faults(self) -> list[str]:
        """What SQLite itself finds wrong with its file."""
        found = [str(row[0]) for row in self._rows_of("PRAGMA integrity_check")]
        found += [f"{row[0]}: no recording" for row in self._rows_of("PRAGMA foreign_key_check")]
        return [fault for fault in found if fault != "ok"]

    def bytes(self) -> int:
        """Of the library, what is not in its file yet included."""
        pages, size = (self._rows_of(f"PRAGMA page_{what}")[0][0] for what in ("count", "size"))
        return int(pages * size)

    def compact(self) -> None:
        """Give back the room of what was removed."""
        with speaking_of(self.path):
            self._database.execute("VACUUM")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _whole(self, table: str, order: str) -> Iterator[tuple[Any, ...]]:
        """All rows of a table, checked one by one, and at the end that none was missing."""
        count = total = 0
        for *values, written in self._select(f"SELECT * FROM {table} ORDER BY {order}"):
            if checksum(*values) != written:
                raise damaged(self.path, f"a row of {table}")
            count, total = count + 1, total + written
            yield tuple(values)
        said = self._rows_of("SELECT rows, checksums FROM totals WHERE name = ?", (table,))
        if said != [(count, total)]:
            raise damaged(self.path, f"{count} rows of {table}, which are not all or too many")

    def _rows(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows, each with its checksum looked at and left out."""
        rows = self._rows_of(statement, values)
        for *row, written in rows:
            if checksum(*row) != written:
                raise damaged(self.path, "a checksum does not fit")
        return [row[:-1] for row in rows]

    def _rows_of(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        return list(self._select(statement, values))

    def _select(self, statement: str, values: tuple[object, ...] = ()) -> Iterator[tuple[Any, ...]]:
        with speaking_of(self.path):
            yield from self._database.execute(statement, values)

    def _do(self, statement: str, values: tuple[object, ...] = ()) -> None:
        with speaking_of(self.path):
            self._database.execute(statement, values)

    def _insert(self, table: str, row: tuple[object, ...]) -> None:
        marks = ", ".join("?" * (len(row) + 1))
        self._do(f"INSERT INTO {table} VALUES ({marks})", (*row, checksum(*row)))

    def _checked(self, read: Any, *values: Any) -> NDArray[np.float32]:
        try:
            return read(*values)
        except ValueError as error:
            raise damaged(self.path, str(error)) from error


def _rows_of_sound(number: int, sound: Sound) -> dict[str, tuple[object, ...]]:
    """The rows of a recording by table; the one that others depend on comes first."""
    return {
        "recordings": (number, sound.sha256, float(sound.seconds)),
        "hpcp": (number, len(sound.hpcp), to_blob(sound.hpcp)),
        "embeddings": (number, len(sound.embeddings), to_blob(sound.embeddings)),
    }


def require_same(store: Store, model: LibraryModel) -> None:
    """Refuse a model whose embeddings are not those of the library.

    Raises
    ------
    DataError
        If the model or the settings of its features are others.
    """
    here = store.identity()
    if here.features != model.features:
        raise DataError(
            f"{show_path(store.path)} holds features {here.features.fingerprint()}, the model "
            f"{model.name} needs {model.features.fingerprint()}; one library has one kind"
        )
    if here.digest != model.digest:
        raise DataError(
            f"{show_path(store.path)} holds embeddings of {here.model} ({here.digest[:12]}), not "
            f"of {model.name} ({model.digest[:12]}); need that model, or another library (that of "
            "a folder is made again when .kinet in it is removed)"
        )


__all__ = ["TABLES", "Identity", "Store", "require_same"]
