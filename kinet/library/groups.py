"""Which recordings of a library are versions of each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kinet.library.candidates import candidates
from kinet.library.finding import Match, Shelf, compare_pairs, require_range
from kinet.library.rows import File
from kinet.library.shortlisting import share_of_window
from kinet.library.store import Store
from kinet.matching import Passage

#: The score from which on two recordings are taken for versions of one song.
GROUPED_FROM = 0.5


@dataclass(frozen=True)
class Member:
    """A recording of a group.

    Attributes
    ----------
    files : tuple of File
        One, and its exact copies.
    nearest : Match or None
        How it matches the member that it matches best; None if all of the group are copies.
    """

    files: tuple[File, ...]
    nearest: Match | None


@dataclass(frozen=True)
class Group:
    """Recordings that are versions of one song, each of at least one other.

    Attributes
    ----------
    members : tuple of Member
        In the order of their paths.
    """

    members: tuple[Member, ...]


def groups_of(
    store: Store,
    shelf: Shelf,
    threshold: float,
    progress: Callable[[int, int], object] | None = None,
) -> list[Group]:
    """Groups of two files and more.

    Each recording is aligned with those whose embeddings are nearest. Two that reach the threshold
    are in one group, and so is what is joined by others.

    Parameters
    ----------
    store : Store
        The library, within `Store.reading`.
    shelf : Shelf
        Of the same moment.
    threshold : float
        Of the probability, or of a library without calibration the score; in [0, 1].
    progress : callable, optional
        Called with the number of pairs that are compared, and of all; then of those aligned.

    Returns
    -------
    list of Group
        The largest first, of equals in the order of their paths.

    Raises
    ------
    SettingsError
        If the threshold is out of range.
    """
    require_range(1, threshold)
    best: dict[int, Match] = {}
    joined = []
    pairs = candidates(shelf.snapshot, _shares(store, shelf), progress)
    for (one, other), match in compare_pairs(shelf, pairs, progress):
        if match.confidence >= threshold:
            joined.append((one, other))
            for place, seen in ((one, match), (other, _seen_from(match, shelf, one))):
                if place not in best or seen.confidence > best[place].confidence:
                    best[place] = seen
    return _grouped(shelf, joined, best)


def _shares(store: Store, shelf: Shelf) -> NDArray[np.float32]:
    """By how much hubs count to each recording, whose seconds are known without its HPCP."""
    seconds = {number: duration for number, _, duration in store.recordings()}
    of_all = np.array([seconds[number] for number in shelf.snapshot.numbers.tolist()], np.float32)
    vectors = np.floor(of_all / shelf.features.seconds_per_vector + 1e-3)
    return share_of_window(vectors, store.identity().piece)


def _seen_from(match: Match, shelf: Shelf, place: int) -> Match:
    """The same match, as that of the other recording with this one."""
    files = shelf.files[int(shelf.snapshot.numbers[place])]
    return Match(
        title=files[0].title,
        artist=files[0].artist,
        song=next((file.song for file in files if file.song), ""),
        path=files[0].path,
        score=match.score,
        probability=match.probability,
        similarity=match.similarity,
        length=match.length,
        transposition=6 if match.transposition == 6 else -match.transposition,
        tempo_ratio=1 / match.tempo_ratio,
        passages=tuple(map(_turned, match.passages)),
        others=tuple(file.path for file in files[1:]),
    )


def _turned(passage: Passage) -> Passage:
    return Passage(
        *(passage.start_b, passage.end_b, passage.start_a, passage.end_a, passage.length),
        passage.path[:, ::-1],
    )


def _grouped(
    shelf: Shelf, joined: Sequence[tuple[int, int]], best: dict[int, Match]
) -> list[Group]:
    count = len(shelf.snapshot.numbers)
    rows, columns = np.array(joined, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows)), (rows, columns)), (count, count))
    _, labels = connected_components(graph, directed=False)
    members: dict[int, list[Member]] = {}
    for place, label in enumerate(labels):
        files = tuple(shelf.files[int(shelf.snapshot.numbers[place])])
        members.setdefault(int(label), []).append(Member(files, best.get(place)))
    groups = [
        Group(tuple(sorted(found, key=lambda member: member.files[0].path)))
        for found in members.values()
        if sum(len(member.files) for member in found) > 1
    ]
    return sorted(groups, key=lambda group: (-len(group.members), group.members[0].files[0].path))
