"""A library on disk: what it is, its rows, and transactions that are wholly done or not at all."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kinet.address import Address
from kinet.errors import SettingsError
from kinet.library.databases import make_database, open_database
from kinet.library.identity import Identity
from kinet.library.models import LibraryModel
from kinet.library.rows import File, Sound, embeddings_of, hpcp_of
from kinet.library.schema import Conflict, checksum, damaged
from kinet.library.tables import Tables
from kinet.remote import AnyPath

T = TypeVar("T")
# How often a change is begun anew that the database gave up for that of another.
_TIMES = 5
# Recordings that are put in, or read, at once.
_AT_ONCE = 500


class Store:
    """An open library, in whatever database: `database`, for what only one kind of them can do.

    Parameters
    ----------
    path : pathlib.Path or Address
        Its file, or its database.

    Raises
    ------
    DataError
        If there is no library in it, or a damaged one.
    """

    def __init__(self, path: Path | Address) -> None:
        self.path = path
        self.database = open_database(path)
        self._tables = Tables(path, self.database)
        try:
            self.identity()
        except BaseException:
            self.database.close()
            raise

    @classmethod
    def create(
        cls, path: Path | Address, model: LibraryModel, size: int, piece: int, hop: int
    ) -> Store:
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
        """Close it; what was written is in it."""
        self.database.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Within, the library is as it was at the first look, whatever others write."""
        if self.database.is_in_transaction:
            yield
            return
        self.database.begin(is_writing=False)
        try:
            yield
        finally:
            self.database.rollback()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Within, all is done together, or on any error nothing.

        Raises
        ------
        Conflict
            If the database gave this up for what another did; `write` begins anew then.
        DataError
            If another process is writing all the time, or the library cannot be written.
        """
        self.database.begin(is_writing=True)
        try:
            yield
            now = self.identity()
            self._set(calibration=now.calibration, changes=now.changes + 1)
            self.database.commit()
        except BaseException:
            self.database.rollback()
            raise

    def write(self, change: Callable[[], T]) -> T:
        """Do all of a change together, or on any error nothing; what it gives.

        Parameters
        ----------
        change : callable
            May be called again from the start.

        Raises
        ------
        DataError
            As `writing`.
        """
        for _ in range(_TIMES - 1):
            with contextlib.suppress(Conflict), self.writing():
                return change()
        with self.writing():
            return change()

    def identity(self) -> Identity:
        """What the library is, as of now."""
        rows = self._tables.rows("SELECT * FROM library")
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
        self.database.change(
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
        return self.add_sounds([sound])[0]

    def add_sounds(self, sounds: Iterable[Sound]) -> list[int]:
        """Put recordings in, within `writing`; their numbers.

        Parameters
        ----------
        sounds : iterable of Sound
            Taken one after the other, so that few need to be in memory.

        Raises
        ------
        DataError
            If a value is not finite.
        """
        first = int(self._tables.unchecked("SELECT coalesce(max(id), 0) + 1 FROM recordings")[0][0])
        numbers: list[int] = []
        rows: dict[str, list[tuple[object, ...]]] = {table: [] for table in Sound.TABLES}
        for number, sound in enumerate(sounds, start=first):
            numbers.append(number)
            for table, row in sound.values(number).items():
                rows[table].append(row)
            if len(numbers) % _AT_ONCE == 0:
                self._tables.insert(rows)
        self._tables.insert(rows)
        return numbers

    def number_of(self, sha256: bytes) -> int | None:
        """The number of the recording of this content, if it is in the library."""
        rows = self._tables.rows("SELECT * FROM recordings WHERE sha256 = ?", (sha256,))
        return rows[0][0] if rows else None

    def recording(self, number: int) -> tuple[bytes, float]:
        """SHA-256 and seconds of a recording."""
        _, sha256, seconds = self._tables.only("recordings", "id", number)
        return sha256, seconds

    def put_file(self, file: File) -> None:
        """Put a file in, or in place of the one of the same path; within `writing`."""
        self._take_out(file.path, keep=file.recording)
        self.add_files([file])

    def add_files(self, files: Iterable[File]) -> None:
        """Put files in of whose paths there are none; within `writing`."""
        self._tables.insert({"files": [file.values() for file in files]})

    def remove_file(self, path: AnyPath) -> None:
        """Take a file out, and its recording if it was the only one; within `writing`."""
        self._take_out(path)

    def _take_out(self, path: AnyPath, keep: int = 0) -> None:
        name = os.fsencode(path)
        held = self._tables.unchecked("SELECT recording FROM files WHERE path = ?", (name,))
        self.database.change("DELETE FROM files WHERE path = ?", (name,))
        for (number,) in held:
            if number != keep:
                self.database.change(
                    "DELETE FROM recordings WHERE id = ? AND NOT EXISTS "
                    "(SELECT 1 FROM files WHERE recording = ?)",
                    (number, number),
                )

    def files(self) -> list[File]:
        """All files, in the order of their paths."""
        return [File.of(row) for row in self._tables.whole("files", "ORDER BY path")]

    def files_of(self, number: int) -> list[File]:
        """The files of a recording, in the order of their paths."""
        rows = self._tables.rows("SELECT * FROM files WHERE recording = ? ORDER BY path", (number,))
        files = [File.of(row) for row in rows]
        # An index leads to them, and may be damaged itself.
        if not files or any(file.recording != number for file in files):
            raise damaged(self.path, f"no files of recording {number}")
        return files

    def recordings_of_files(self) -> Iterator[int]:
        """The number of the recording of each file, in any order."""
        return (row[1] for row in self._tables.whole("files"))

    def recordings(self) -> Iterator[tuple[int, bytes, float]]:
        """Number, SHA-256 and seconds of all recordings, in the order of their numbers."""
        yield from self._tables.whole("recordings", "ORDER BY id")

    def embeddings(
        self,
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
        """Numbers, pieces and embeddings ``(all pieces, D)`` of some hundred recordings at a time.

        Those of all, in the order of their numbers.
        """
        size = self.identity().size
        every = self._tables.whole("embeddings", "ORDER BY recording")
        while rows := list(itertools.islice(every, _AT_ONCE)):
            numbers, pieces, contents = zip(*rows, strict=True)
            if any(len(c) != 4 * size * n for n, c in zip(pieces, contents, strict=True)):
                raise damaged(self.path, "embeddings of another number of pieces")
            values = self._tables.array(embeddings_of, b"".join(contents), size)
            yield np.array(numbers, np.int64), np.array(pieces, np.int64), values

    def count_of_embeddings(self) -> int:
        """Embeddings of all pieces of all recordings."""
        return int(self._tables.unchecked("SELECT coalesce(sum(pieces), 0) FROM embeddings")[0][0])

    def all_hpcp(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Number and HPCP ``(T, 12)`` of all recordings, in that order."""
        for number, _, content in self._tables.whole("hpcp", "ORDER BY recording"):
            yield number, self._tables.array(hpcp_of, content)

    def hpcp(self, number: int) -> NDArray[np.float32]:
        """HPCP ``(T, 12)`` of a recording."""
        return self._tables.array(hpcp_of, self._tables.only("hpcp", "recording", number)[2])

    def embeddings_of(self, number: int) -> NDArray[np.float32]:
        """Embeddings ``(pieces, D)`` of a recording."""
        content = self._tables.only("embeddings", "recording", number)[2]
        return self._tables.array(embeddings_of, content, self.identity().size)

    def faults(self) -> list[str]:
        """What the database itself finds wrong."""
        return self.database.faults()

    def bytes(self) -> int:
        """Of the library."""
        return self.database.size()

    def compact(self) -> None:
        """Give back the room of what was removed."""
        self.database.compact()

    def cache(self) -> Path:
        """A file for what can be made again from the library."""
        return self.database.cache(self.identity().identity)
