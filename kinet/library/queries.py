"""Query files to answers: songs, nothing, or why a file could not be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kinet.backend import cores
from kinet.embeddings import Embedder
from kinet.errors import KinetError
from kinet.extraction.recording import Refused
from kinet.files import digest_of
from kinet.library.finding import (
    SHORTEST,
    TOP,
    Match,
    Missing,
    Shelf,
    require_range,
    search,
)
from kinet.library.identity import Identity
from kinet.library.pieces import embed_pieces
from kinet.library.shortlisting import Query, recordings_aligned
from kinet.library.snapshot import prefix_of
from kinet.library.sounds import SoundFile, SoundJob, read_sound
from kinet.library.store import Store
from kinet.reading import PathLike
from kinet.remote import AnyPath, path_or_url
from kinet.workers import Death, work_off


@dataclass(frozen=True)
class Answer:
    """What a library says to a query.

    Attributes
    ----------
    path : pathlib.Path or Url
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
    missing : tuple of kinet.library.finding.Missing
        Of several libraries those that could not be asked: their songs are not among `matches`.
    """

    path: AnyPath
    fault: str = ""
    title: str = ""
    seconds: float = 0.0
    matches: tuple[Match, ...] = ()
    hpcp: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True)
class Known:
    """A query whose content is in the library, which need not be read.

    Attributes
    ----------
    query : Query
    title : str
    seconds : float
    """

    query: Query
    title: str
    seconds: float


@dataclass(frozen=True)
class Asked:
    """Whom queries are put to, and how.

    Attributes
    ----------
    identity : Identity
        What is in the library.
    load : callable
        Gives what embeds.
    known : callable
        From a SHA-256 to the recording of that content, or None.
    near : callable
        Gives what a query is compared with, and of which so many recordings are aligned.
    top, threshold, aligned
        As of `kinet.library.finding.search`.
    """

    identity: Identity
    load: Callable[[], Embedder]
    known: Callable[[bytes], Known | None]
    near: Callable[[Query, int], Shelf]
    top: int = TOP
    threshold: float = 0.0
    aligned: int | None = None

    def answer(self, path: AnyPath, read: SoundFile | Refused | Death) -> Answer:
        """The answer to a query file that was read."""
        if isinstance(read, Death):
            return Answer(path, f"the process that read it was {read.reason}")
        if isinstance(read, Refused):
            return Answer(path, " ".join(read.message.split()))
        answer = Answer(path, "", read.title, read.seconds)
        if read.seconds < SHORTEST:
            return _refused(answer)
        here, embedder = self.identity, self.load()
        try:
            rows = embed_pieces(embedder, read.hpcp, here.piece, here.hop)
        except KinetError as error:
            return replace(answer, fault=str(error))
        return self._found(answer, Query(read.hpcp, rows, read.sha256, here.piece))

    def answer_of_known(self, path: AnyPath) -> Answer | None:
        """The answer to a query whose content is in the library, which need not be read."""
        try:
            is_file = stat.S_ISREG(os.stat(path).st_mode)
            digest = bytes.fromhex(digest_of(path)) if is_file else b""
        except (OSError, ValueError):
            return None  # who reads it says why
        known = self.known(digest) if digest else None
        if known is None:
            return None
        return self._found(Answer(path, "", known.title, known.seconds), known.query)

    def _found(self, answer: Answer, query: Query) -> Answer:
        if answer.seconds < SHORTEST:
            return _refused(answer)
        try:
            count = recordings_aligned(query, self.top, self.aligned)
            shelf = self.near(query, count)
            found = search(shelf, query, self.top, self.threshold, self.aligned)
        except KinetError as error:
            return replace(answer, fault=str(error))
        return replace(answer, matches=found, hpcp=query.hpcp, missing=shelf.missing)


def known_to(store: Store, shelf: Shelf, digest: bytes) -> Known | None:
    """The recording of a content that a library has.

    Parameters
    ----------
    store : Store
        Within `Store.reading`.
    shelf : Shelf
        Of the same moment.
    digest : bytes
        SHA-256.
    """
    snapshot = shelf.snapshot
    for place in np.flatnonzero(snapshot.hashes == prefix_of(digest)):
        number = int(snapshot.numbers[place])
        held, seconds = store.recording(number)
        if held == digest and number in shelf.files:
            embeddings, piece = store.embeddings_of(number), store.identity().piece
            query = Query(shelf.hpcp(number), embeddings, digest, piece)
            return Known(query, shelf.files[number][0].title, seconds)
    return None


def _refused(answer: Answer) -> Answer:
    fault = f"{answer.seconds:.1f} s long; need at least {SHORTEST:.0f} s to find a song"
    return replace(answer, fault=fault)


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
    paths = list(dict.fromkeys(map(path_or_url, queries)))
    answers: dict[AnyPath, Answer] = {}

    def keep(answer: Answer) -> bool:
        answers[answer.path] = answer
        if progress:
            progress(len(answers), len(paths))
        return True

    for path in paths:
        known = asked.answer_of_known(path)
        if known:
            keep(known)
    jobs = [SoundJob(path, asked.identity.features) for path in paths if path not in answers]
    work_off(
        read_sound,
        jobs,
        min(workers or cores(), max(1, len(jobs))),
        lambda job, result: keep(asked.answer(job.path, result)),
    )
    return [answers[path_or_url(query)] for query in queries]
