"""Several libraries that are searched as if all their recordings were in one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from kinet.address import place_of
from kinet.embeddings import Embedder
from kinet.errors import DataError, KinetError
from kinet.library.calibration import Calibration, calibration_of
from kinet.library.finding import TOP, Missing, Shelf
from kinet.library.identity import model_of, require_alike
from kinet.library.queries import Answer, Asked, Known, known_to, read_queries
from kinet.library.shard import Shard
from kinet.library.shortlisting import Query, shortlist
from kinet.library.union import files_of_all, sample_of_all, shared_numbers, snapshot_of
from kinet.reading import PathLike, as_list

T = TypeVar("T")


class Shards:
    """Several libraries, asked together: the answers are those of one with all recordings.

    That is so to the last rank: what is near to everything (`Snapshot.hubs`) is known from a sample
    of the recordings of all libraries, and a recording that several of them have counts once, with
    the files of all. They are in the order in which they are named, as `Library.merge` would put
    them together; of two files of one path the first counts. Probabilities are those of the first
    library that has learned from its own recordings, else those that come with the model.

    All is of the moment at which they were opened. A library that cannot be asked, be it missing,
    damaged or lost in the middle of the work, is in `missing`, and answers are those of the others.

    Parameters
    ----------
    places : path or str, or iterable of these
        Files and addresses of libraries.
    model : str, optional
        Name or path of their model, where that is not where it was.

    Raises
    ------
    DataError
        If none can be asked, two are of different models, features or windows, or one is a copy of
        another.
    CheckpointError, ExportError
        If there is no such model.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from kinet.library import Library, Shards
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("one", "two"):
    ...         np.save(Path(folder, f"{name}.npy"), rng.random((200, 12)) * rng.random(12))
    ...         with Library.create(Path(folder, f"{name}.library"), "fourier") as library:
    ...             added = library.add([Path(folder, f"{name}.npy")], workers=1)
    ...     np.save(Path(folder, "q.npy"), np.load(Path(folder, "two.npy"))[40:])
    ...     places = [Path(folder, f"{name}.library") for name in ("one", "two", "three")]
    ...     with Shards(places) as shards:
    ...         answer = shards.find([Path(folder, "q.npy")])[0]
    >>> answer.matches[0].title, len(answer.matches), answer.missing[0].path.name
    ('two', 2, 'three.library')
    """

    def __init__(self, places: PathLike | Iterable[PathLike], model: str | None = None) -> None:
        self.missing: tuple[Missing, ...] = ()
        self._shards = [Shard(place_of(place)) for place in as_list(places)]
        self._model_name = model
        self._embedder: Embedder | None = None
        self._shelves: list[Shelf] | None = None
        try:
            if not self._shards:
                raise DataError("no libraries to search; need one or more")
            self._without_the_lost(self._open)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Shards:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all of them."""
        for shard in self._shards:
            shard.close()
        self._shards = []

    @property
    def calibration(self) -> Calibration | None:
        """How scores become probabilities."""
        return calibration_of(self._calibration, self._identity.digest)

    def require_all(self) -> None:
        """Refuse to go on without a library.

        Raises
        ------
        DataError
            If one could not be asked.
        """
        if self.missing:
            raise DataError(
                f"{self.missing[0].message}; {len(self.missing)} of "
                f"{len(self.missing) + len(self._shards)} libraries cannot be searched"
            )

    def find(
        self,
        queries: PathLike | Sequence[PathLike],
        top: int = TOP,
        threshold: float = 0.0,
        aligned: int | None = None,
        workers: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> list[Answer]:
        """Look for the songs of recordings, as `Library.find`.

        Returns
        -------
        list of Answer
            One for each query, in their order; with the libraries that it is not of.

        Raises
        ------
        SettingsError
            If a number is out of range.
        """
        asked = Asked(
            *(self._identity, self._embed, self._known, self._near, top, threshold, aligned)
        )
        return read_queries(asked, as_list(queries), workers, progress)

    def _embed(self) -> Embedder:
        if self._embedder is None:
            here = self._identity
            self._embedder = model_of(self._shards[0].place, here, self._model_name).load()
        return self._embedder

    def _known(self, digest: bytes) -> Known | None:
        def ask() -> Known | None:
            found = self._all(
                lambda shard, shelf: known_to(shard.store, shelf, digest), self._united()
            )
            return next((known for known in found if known), None)

        return self._without_the_lost(ask)

    def _near(self, query: Query, count: int) -> Shelf:
        return self._without_the_lost(lambda: self._nearest(query, count))

    def _nearest(self, query: Query, count: int) -> Shelf:
        """The recordings of all shards that are nearest, of which so many are aligned."""
        shelves = self._united()
        lists = self._all(lambda _, shelf: shortlist(shelf.snapshot, query, count), shelves)
        ranked = sorted(
            (query.behind(np.float32(similarity), shelf.snapshot.hubs[place]), number, place)
            for number, (shelf, listed) in enumerate(zip(shelves, lists, strict=True))
            for place, similarity in listed
        )
        places = [
            sorted(p for _, owner, p in ranked[:count] if owner == i) for i in range(len(shelves))
        ]
        numbers = [
            shelf.snapshot.numbers[own].tolist() for shelf, own in zip(shelves, places, strict=True)
        ]
        held = self._all(Shard.hpcp, numbers)
        chosen = [(s, place) for s, own in zip(shelves, places, strict=True) for place in own]
        files = [s.files[n] for s, own in zip(shelves, numbers, strict=True) for n in own]
        hpcp = [each for own in held for each in own]
        return Shelf(
            *(snapshot_of(chosen, self._identity.size), dict(enumerate(files)), hpcp.__getitem__),
            *(self._identity.features, self.calibration, self.missing),
        )

    def _open(self) -> None:
        identities = self._all(Shard.open)
        self._identity = identities[0]
        for number, (shard, there) in enumerate(zip(self._shards, identities, strict=True)):
            for other, here in zip(self._shards[:number], identities, strict=False):
                require_alike(shard.place, there, other.place, here)
        if self._model_name:
            model_of(self._shards[0].place, self._identity, self._model_name)
        self._all(Shard.read)
        self._united()

    def _united(self) -> list[Shelf]:
        """For each shard what of it counts, and how near that is to everything in all shards."""
        if self._shelves is None:
            shards = self._shards
            self._calibration = next((c for s in shards if (c := s.identity.calibration)), "")
            digests = self._all(Shard.digests, shared_numbers([s.shelf.snapshot for s in shards]))
            files = files_of_all([s.shelf.files for s in shards], digests)
            counting = [
                np.isin(shard.shelf.snapshot.numbers, list(own))
                for shard, own in zip(shards, files, strict=True)
            ]
            sample = sample_of_all([shard.shelf.snapshot for shard in shards], counting)
            self._shelves = self._all(Shard.united, files, counting, *sample)
        return self._shelves

    def _all(self, function: Callable[..., T], *columns: Sequence[Any]) -> list[T]:
        """What a function gives of each shard, and a value of each column; all at once.

        Raises
        ------
        _LostError
            If one cannot be asked; it is no more among the shards then.
        DataError
            If there is none left.
        """
        rows = zip(self._shards, *columns, strict=True)
        results = [shard.start(function, shard, *values) for shard, *values in rows]
        found, lost = [], []
        for shard, result in zip(self._shards, results, strict=True):
            try:
                found.append(result.result())
            except KinetError as error:
                lost.append((shard, Missing(shard.place, str(error))))
        for shard, missing in lost:
            shard.close()
            self._shards.remove(shard)
            self.missing += (missing,)
        if not self._shards:
            raise DataError(f"{self.missing[0].message}; no library is left to search")
        if lost:
            self._shelves = None
            raise _LostError
        return found

    def _without_the_lost(self, step: Callable[[], T]) -> T:
        """What a step gives that asks all shards, done again when there are fewer of them."""
        while True:
            with contextlib.suppress(_LostError):
                return step()


class _LostError(Exception):
    """A shard is no more there."""
