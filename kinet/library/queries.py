"""Query files to answers: songs, nothing, or why a file could not be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinet.backend import cores
from kinet.embeddings import Embedder
from kinet.errors import KinetError
from kinet.extraction.recording import Refused
from kinet.library.finding import SHORTEST, Match, Query, Shelf, require_range, search
from kinet.library.pieces import embed_pieces
from kinet.library.sounds import SoundFile, SoundJob, read_sound
from kinet.library.store import Store
from kinet.reading import PathLike
from kinet.workers import Death, work_off


@dataclass(frozen=True)
class Answer:
    """What a library says to a query.

    Attributes
    ----------
    path : pathlib.Path
        The query.
    fault : str
        Why it could not be read or used, in one line; else empty.
    title : str
        Of its tags or its name; empty if it could not be read.
    seconds : float
        Its duration.
    matches : tuple of kinet.library.finding.Match
        The songs that were found, the best first; none is an answer too.
    hpcp : ndarray of float32, shape (T, 12), or None
        Of the query; None if it could not be read.
    """

    path: Path
    fault: str = ""
    title: str = ""
    seconds: float = 0.0
    matches: tuple[Match, ...] = ()
    hpcp: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Asked:
    """Whom queries are put to, and how.

    Attributes
    ----------
    store : Store
        Within `Store.reading`.
    shelf : Shelf
        Of the same moment.
    load : callable
        Gives what embeds.
    top, threshold, aligned
        As of `kinet.library.finding.search`.
    """

    store: Store
    shelf: Shelf
    load: Callable[[], Embedder]
    top: int
    threshold: float
    aligned: int | None

    def answer(self, path: Path, read: SoundFile | Refused | Death) -> Answer:
        """The answer to a query file."""
        if isinstance(read, Death):
            return Answer(path, f"the process that read it was {read.reason}")
        if isinstance(read, Refused):
            return Answer(path, " ".join(read.message.split()))
        if read.seconds < SHORTEST:
            fault = f"{read.seconds:.1f} s long; need at least {SHORTEST:.0f} s to find a song"
            return Answer(path, fault, read.title, read.seconds)
        here, embedder = self.store.identity(), self.load()
        try:
            rows = embed_pieces(embedder, read.hpcp, here.piece, here.hop)
            query = Query(read.hpcp, rows, read.sha256)
            found = search(self.shelf, query, self.top, self.threshold, self.aligned)
        except KinetError as error:
            return Answer(path, str(error), read.title, read.seconds)
        return Answer(path, "", read.title, read.seconds, found, read.hpcp)


def read_queries(
    asked: Asked,
    queries: Sequence[PathLike],
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[Answer]:
    """Read queries, over processes if there are several, and answer each.

    Raises
    ------
    SettingsError
        If a number of `asked` is out of range.
    """
    require_range(asked.top, asked.threshold)
    features = asked.shelf.features
    jobs = {SoundJob(Path(query), features): None for query in queries}
    answers: dict[Path, Answer] = {}

    def finished(job: SoundJob, result: SoundFile | Refused | Death) -> bool:
        answers[job.path] = asked.answer(job.path, result)
        if progress:
            progress(len(answers), len(jobs))
        return True

    work_off(read_sound, list(jobs), min(workers or cores(), max(1, len(jobs))), finished)
    return [answers[Path(query)] for query in queries]
