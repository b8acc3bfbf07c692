"""A library of several that are searched together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kinet.address import Address
from kinet.errors import KinetError
from kinet.library.cache import take_snapshot
from kinet.library.finding import Shelf
from kinet.library.identity import Identity
from kinet.library.rows import File
from kinet.library.shelves import every_file, shelf_of
from kinet.library.snapshot import hubs_of
from kinet.library.store import Store

T = TypeVar("T")


class Shard:
    """A library in a thread of its own: what SQLite opens in a thread is that thread's.

    All that is read of it is of one moment. What can fail is a method to be run in the thread.
    """

    store: Store
    identity: Identity
    shelf: Shelf

    def __init__(self, place: Path | Address) -> None:
        self.place = place
        self._thread = ThreadPoolExecutor(1)
        self._closing = contextlib.ExitStack()

    def start(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call a function in the thread."""
        return self._thread.submit(function, *arguments)

    def open(self) -> Identity:
        """What the library is; opened if it is not yet."""
        if not hasattr(self, "store"):
            self.store = Store(self.place)
            self._closing.callback(self.store.close)
            self._closing.enter_context(self.store.reading())
            self.identity = self.store.identity()
        return self.identity

    def read(self) -> None:
        """Have the library's own shelf."""
        if not hasattr(self, "shelf"):
            snapshot = take_snapshot(self.store)
            self.shelf = shelf_of(self.store, snapshot, every_file(self.store))

    def united(
        self,
        files: Mapping[int, Sequence[File]],
        counts: NDArray[np.bool_],
        sample: NDArray[np.float32],
        places: NDArray[np.int64],
    ) -> Shelf:
        """The shelf with what of it counts; the rest is infinitely near to everything."""
        hubs = hubs_of(self.shelf.snapshot, sample, places)
        hubs[~counts] = np.inf
        return replace(self.shelf, snapshot=replace(self.shelf.snapshot, hubs=hubs), files=files)

    def digests(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """SHA-256 of some recordings."""
        return {int(number): self.store.recording(int(number))[0] for number in numbers}

    def hpcp(self, numbers: Iterable[int]) -> list[NDArray[np.float32]]:
        """HPCP of some recordings."""
        return [self.store.hpcp(number) for number in numbers]

    def close(self) -> None:
        """End the thread."""
        with contextlib.suppress(KinetError):
            self.start(self._closing.close).result()
        self._thread.shutdown()
