"""What a search takes of an open library: the embeddings of all, and of the rest what it asks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kinet.library.calibration import calibration_of
from kinet.library.finding import Shelf
from kinet.library.rows import File
from kinet.library.schema import damaged
from kinet.library.snapshot import Snapshot
from kinet.library.store import Store


class FilesAsked(Mapping[int, Sequence[File]]):
    """The files of each recording, read when they are asked for, and kept.

    Of a million rows an answer needs some twenty. They are all that there are: how many a
    recording has is known since the whole table was read, at the same moment of the library.

    Parameters
    ----------
    store : Store
        Within `Store.reading`, as long as this is used.
    snapshot : Snapshot
        Of the same moment.
    """

    def __init__(self, store: Store, snapshot: Snapshot) -> None:
        self._store, self._snapshot = store, snapshot
        self._read: dict[int, Sequence[File]] = {}

    def __getitem__(self, number: int) -> Sequence[File]:
        if number not in self._read:
            numbers = self._snapshot.numbers
            place = int(np.searchsorted(numbers, number))
            if place == len(numbers) or numbers[place] != number:
                raise KeyError(number)
            files = self._store.files_of(number)
            if len({file.path for file in files}) != self._snapshot.copies[place]:
                raise damaged(self._store.path, f"not all files of recording {number}")
            self._read[number] = files
        return self._read[number]

    def __iter__(self) -> Iterator[int]:
        return map(int, self._snapshot.numbers)

    def __len__(self) -> int:
        return len(self._snapshot.numbers)


def every_file(store: Store) -> Mapping[int, Sequence[File]]:
    """The files of each recording, all read at once; within `Store.reading`."""
    found = defaultdict(list)
    for file in store.files():
        found[file.recording].append(file)
    return found


def shelf_of(store: Store, snapshot: Snapshot, files: Mapping[int, Sequence[File]]) -> Shelf:
    """What a search takes of a library.

    Parameters
    ----------
    store : Store
        Within `Store.reading`.
    snapshot : Snapshot
        Of the same moment.
    files : mapping of int to sequence of File
        As of `FilesAsked` or `every_file`.
    """
    here = store.identity()
    calibration = calibration_of(here.calibration, here.digest)
    return Shelf(snapshot, files, store.hpcp, here.features, calibration)
