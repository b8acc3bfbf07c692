"""A library of recordings on disk, in which songs are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType

from kinet.address import place_of
from kinet.config import FeatureConfig
from kinet.embeddings import Embedder
from kinet.extraction.naming import Source
from kinet.library.adding import Added, Progress, add_files
from kinet.library.cache import take_snapshot
from kinet.library.calibration import Calibration, calibration_of
from kinet.library.databases import is_taken
from kinet.library.finding import TOP, Shelf
from kinet.library.groups import GROUPED_FROM, Group, groups_of
from kinet.library.identity import model_of, require_same
from kinet.library.information import Information, information_of
from kinet.library.models import LibraryModel, default_model, find_model
from kinet.library.nearest import Built, Index, build, index_of, near_to, require_index
from kinet.library.pieces import HOP, PIECE
from kinet.library.queries import Answer, Asked, known_to, read_queries
from kinet.library.rows import File
from kinet.library.shelves import FilesAsked, every_file, shelf_of
from kinet.library.snapshot import Snapshot
from kinet.library.sounds import SoundFile
from kinet.library.store import Store
from kinet.library.upkeep import (
    Compacted,
    calibrate_library,
    faults_of,
    keep_only,
    merge_into,
    take_out,
)
from kinet.processes import Workers
from kinet.reading import PathLike, as_list
from kinet.remote import AnyPath


class Library:
    """Recordings with their features and embeddings, in one file of SQLite or on PostgreSQL.

    One process writes at a time, any number reads; what a reader sees is of one moment. What was
    added stays, whatever happens to the process.

    Parameters
    ----------
    store : kinet.library.store.Store
        Where it is; `open` and `create` give it.
    model : LibraryModel, optional
        By default the one that the library names.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from kinet.extraction.sources import Source
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("one_1", "two_1"):
    ...         hpcp = rng.random((200, 12)) * rng.random(12)
    ...         np.save(Path(folder, f"{name}.npy"), hpcp)
    ...     np.save(Path(folder, "q.npy"), np.load(Path(folder, "two_1.npy"))[40:])
    ...     with Library.create(Path(folder, "library"), "fourier") as library:
    ...         added = library.add([Path(folder, f"{name}.npy") for name in ("one_1", "two_1")])
    ...         answer = library.find([Path(folder, "q.npy")])[0]
    >>> len(added.added), answer.matches[0].title, round(answer.matches[0].score, 2)
    (2, 'two 1', 1.0)
    """

    def __init__(self, store: Store, model: LibraryModel | None = None) -> None:
        if model:
            require_same(store.path, store.identity(), model)
        self._store, self._model = store, model
        self._embedder: Embedder | None = None
        self._snapshot: Snapshot | None = None
        self._index: Index | None = None

    @classmethod
    def open(cls, path: PathLike, model: str | None = None) -> Library:
        """Open a library.

        Parameters
        ----------
        path : path, or str
            Its file, or the address of its database, ``postgresql://user@host/database``.
        model : str, optional
            Name or path of its model, where that is not where it was.

        Raises
        ------
        DataError
            If there is none, it is another program's, of a later version or damaged, or `model` is
            not the one that made its embeddings.
        CheckpointError, ExportError
            If there is no such model.
        """
        store = Store(place_of(path))
        try:
            return cls(store, find_model(model) if model else None)
        except BaseException:
            store.close()
            raise

    @classmethod
    def create(cls, path: PathLike, model: str | None = None) -> Library:
        """Make an empty library; one that is there is opened.

        Parameters
        ----------
        path : path, or str
            Its file, whose folder must exist, or the address of a database, which must be there.
        model : str, optional
            Name or path of what makes its embeddings; by default ``small``, or ``fourier`` where
            that does not come with kinet.

        Raises
        ------
        DataError, CheckpointError, ExportError
            As `open`, and if the file cannot be written.
        """
        place = place_of(path)
        if is_taken(place):
            return cls.open(place, model)
        found = find_model(model or default_model())
        embedder = found.load()
        piece = embedder.fixed_vectors or max(PIECE, embedder.minimum_vectors)
        library = cls(Store.create(place, found, embedder.size, piece, HOP), found)
        library._embedder = embedder
        return library

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it; everything that was done is in it."""
        self._store.close()

    def add(
        self,
        inputs: PathLike | Iterable[PathLike | Source],
        workers: int | Workers | None = None,
        progress: Progress | None = None,
    ) -> Added:
        """Add recordings, as `kinet.library.adding.add_files`; what is known is not read again."""
        return add_files(self._store, self._embed, as_list(inputs), workers, progress)

    def remove(self, paths: PathLike | Iterable[PathLike]) -> list[AnyPath]:
        """Take files out, or all below a folder; the files themselves stay.

        Returns
        -------
        list of pathlib.Path
            What was taken out.

        Raises
        ------
        DataError
            If a path names nothing in the library; then nothing is taken out.
        """
        return take_out(self._store, as_list(paths))

    def keep_only(self, folder: PathLike) -> list[AnyPath]:
        """Take out what is not below a folder, or no more there; gives it."""
        return keep_only(self._store, folder)

    def files(self) -> list[File]:
        """All files, in the order of their paths."""
        with self._store.reading():
            return self._store.files()

    def durations(self) -> dict[int, float]:
        """Seconds of each recording."""
        with self._store.reading():
            return {number: seconds for number, _, seconds in self._store.recordings()}

    def features(self) -> FeatureConfig:
        """How all HPCP in it were made, and those of queries are."""
        return self._store.identity().features

    @property
    def calibration(self) -> Calibration | None:
        """How scores become probabilities."""
        here = self._store.identity()
        return calibration_of(here.calibration, here.digest)

    def info(self) -> Information:
        """What the library is and holds."""
        return information_of(self._store)

    def find(
        self,
        queries: PathLike | Sequence[PathLike],
        top: int = TOP,
        threshold: float = 0.0,
        aligned: int | None = None,
        workers: int | None = None,
        progress: Callable[[int, int], object] | None = None,
        approximate: bool = False,
    ) -> list[Answer]:
        """Look for the songs of recordings.

        Parameters
        ----------
        queries : path, or sequence of path
            Recordings or feature files of 10 seconds or more.
        top : int
            Songs at most, from 1.
        threshold : float
            In [0, 1]: the least probability, or of a library that is not calibrated the least
            score.
        aligned : int, optional
            Recordings that are aligned with each query, by default 20, and the more the shorter
            the query is.
        workers : int, optional
            Processes that read queries, by default one for every core.
        progress : callable, optional
            Called with the number of queries that are answered, and of all.
        approximate : bool
            Whether to look only at what the index of `build_index` says is near.

        Returns
        -------
        list of Answer
            One for each query, in their order. What could not be read says why.

        Raises
        ------
        SettingsError
            If a number is out of range, or an index needs a package that is not installed.
        DataError
            If the library is damaged, or has changed since its index was made.
        """
        with self._store.reading():
            asked = self._near() if approximate else self._all()
            asked = replace(asked, top=top, threshold=threshold, aligned=aligned)
            return read_queries(asked, as_list(queries), workers, progress)

    def find_read(self, path: Path, read: SoundFile, top: int = TOP) -> Answer:
        """The answer to a query that `kinet.library.sounds.read_sound` has read, as of `find`."""
        with self._store.reading():
            return replace(self._all(), top=top).answer(path, read)

    def duplicates(
        self,
        threshold: float = GROUPED_FROM,
        progress: Callable[[int, int], object] | None = None,
    ) -> list[Group]:
        """Groups of recordings that are versions or copies of each other.

        Parameters
        ----------
        threshold : float
            As of `find`, of two recordings of a group.
        progress : callable, optional
            Called with the number of pairs that are compared, and of all; then of those aligned.

        Returns
        -------
        list of Group
            The largest first.
        """
        with self._store.reading():
            return groups_of(self._store, self._shelf(), threshold, progress)

    def calibrate(self, progress: Callable[[int, int], object] | None = None) -> Calibration:
        """Learn how scores become probabilities, from the songs that were stated.

        Raises
        ------
        DataError
            If there are too few recordings whose songs are known.
        """
        with self._store.reading():
            calibration = calibrate_library(self._store, self._shelf(), progress)
        self._store.write(lambda: self._store.set_calibration(calibration.to_json()))
        return calibration

    def build_index(self, progress: Callable[[int, int], object] | None = None) -> Built:
        """Make what `find` with `approximate` looks into, of the library as it is now.

        That of a file lies in the user's folder for what can be made again, that of a database in
        it.

        Parameters
        ----------
        progress : callable, optional
            Called with the number of embeddings that are in it, and of all.

        Raises
        ------
        SettingsError
            If the library is a file, and usearch is not installed.
        DataError
            If the server has no pgvector, the rights do not reach, or a file cannot be written.
        """
        return build(self._store, self._index_of(), progress)

    def check(self) -> list[str]:
        """What is wrong with the library, a line for each fault; none if all is well."""
        return faults_of(self._store)

    def compact(self) -> Compacted:
        """Give back the room of what was removed."""
        before = self._store.bytes()
        self._store.compact()
        return Compacted(before, self._store.bytes())

    def merge(self, others: PathLike | Iterable[PathLike]) -> int:
        """Put in what other libraries of the same model hold, or nothing; how many files came.

        Raises
        ------
        DataError
            If one is no library, or of another model or other features.
        """
        return merge_into(self._store, [place_of(other) for other in as_list(others)])

    def _embed(self) -> Embedder:
        """What embeds, loaded when it is asked for first."""
        if self._embedder is None:
            model = self._model or model_of(self._store.path, self._store.identity())
            self._embedder = model.load()
        return self._embedder

    def _embeddings(self) -> Snapshot:
        """Those of now, read again when they have changed."""
        here = self._store.identity()
        if self._snapshot is None or self._snapshot.key != (here.identity, here.changes):
            self._snapshot = take_snapshot(self._store)
        return self._snapshot

    def _shelf(self) -> Shelf:
        """All of the library."""
        return shelf_of(self._store, self._embeddings(), every_file(self._store))

    def _all(self) -> Asked:
        """Queries are compared with every recording."""
        snapshot = self._embeddings()
        shelf = shelf_of(self._store, snapshot, FilesAsked(self._store, snapshot))
        known = partial(known_to, self._store, shelf)
        return Asked(self._store.identity(), self._embed, known, lambda query, count: shelf)

    def _near(self) -> Asked:
        """Queries are compared with what the index says is near."""
        index = self._index_of()
        require_index(self._store, index)
        near = partial(near_to, self._store, index)
        return Asked(self._store.identity(), self._embed, lambda _: None, near)

    def _index_of(self) -> Index:
        """Kept, for what it has opened."""
        if self._index is None:
            self._index = index_of(self._store)
        return self._index
