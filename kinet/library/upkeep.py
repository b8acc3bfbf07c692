"""Looking after a library: faults, taking out, merging, learning what its scores mean."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kinet.address import Address
from kinet.errors import DataError
from kinet.library.calibration import Calibration, calibrate
from kinet.library.finding import Shelf, compare_pairs
from kinet.library.identity import require_alike
from kinet.library.rows import Sound
from kinet.library.shortlisting import Query, shortlist
from kinet.library.store import Store
from kinet.reading import PathLike, show_path
from kinet.remote import AnyPath, absolute, is_there, path_or_url

# Recordings whose pairs a calibration is learned from, at most.
_LEARNED_FROM = 500
# Pairs of other songs for each recording: the nearest, which are hard to tell from versions.
_OTHERS = 20


@dataclass(frozen=True)
class Compacted:
    """Bytes of a library before and after."""

    before: int
    after: int


def faults_of(store: Store) -> list[str]:
    """What is wrong with a library: everything in it is read, and held against its checksums."""
    found: list[str] = []
    with store.reading():
        try:
            found += store.faults()
            recordings = {number for number, _, _ in store.recordings()}
            heard = {file.recording for file in store.files()}
            hpcp = {number for number, _ in store.all_hpcp()}
            embedded = {int(number) for own, *_ in store.embeddings() for number in own}
        except DataError as error:
            return [*found, str(error)]
    for what, numbers in (("file", heard), ("HPCP", hpcp), ("embeddings", embedded)):
        odd = sorted(recordings ^ numbers)
        if odd:
            found.append(f"{len(odd)} recordings without {what}, the first is number {odd[0]}")
    return found


def take_out(store: Store, paths: Iterable[PathLike]) -> list[AnyPath]:
    """Take out files, or all below folders; gives what was taken out.

    Raises
    ------
    DataError
        If a path names nothing in the library; then nothing is taken out.
    """
    with store.reading():
        here = [file.path for file in store.files()]
    out: dict[AnyPath, None] = {}
    for given in paths:
        path = absolute(path_or_url(given))
        found = [file for file in here if file.is_relative_to(path)]
        if not found:
            raise DataError(
                f"{show_path(given)} is not in {show_path(store.path)}; kinet index list shows "
                "what is"
            )
        out |= dict.fromkeys(found)
    _take_out(store, out)
    return list(out)


def keep_only(store: Store, folder: PathLike) -> list[AnyPath]:
    """Take out what is not below a folder, or no more there; gives it."""
    root = Path(os.path.abspath(folder))
    with store.reading():
        here = [file.path for file in store.files()]
    out = [path for path in here if not (path.is_relative_to(root) and is_there(path))]
    if out:
        _take_out(store, out)
    return out


def _take_out(store: Store, paths: Iterable[AnyPath]) -> None:
    def change() -> None:
        for path in paths:
            store.remove_file(path)

    store.write(change)


def merge_into(store: Store, places: Iterable[Path | Address]) -> int:
    """Put in what other libraries hold; how many files came. All of them, or nothing.

    Raises
    ------
    DataError
        If one is no library, the same one, or of another model, other features or other windows.
    """
    with contextlib.ExitStack() as stack:
        others = []
        for place in places:
            others.append(stack.enter_context(contextlib.closing(Store(place))))
            require_alike(place, others[-1].identity(), store.path, store.identity())
            stack.enter_context(others[-1].reading())
        return store.write(lambda: sum(_take_all(store, other) for other in others))


def _take_all(store: Store, other: Store) -> int:
    known = {file.path for file in store.files()}
    coming = [file for file in other.files() if file.path not in known]
    wanted = {file.recording for file in coming}
    here = {digest: number for number, digest, _ in store.recordings()}
    there = {number: digest for number, digest, _ in other.recordings() if number in wanted}
    new = [number for number, digest in there.items() if digest not in here]
    sounds = (
        Sound(*other.recording(number), other.hpcp(number), other.embeddings_of(number))
        for number in new
    )
    numbers = {number: here[digest] for number, digest in there.items() if digest in here}
    numbers |= zip(new, store.add_sounds(sounds), strict=True)
    store.add_files(replace(file, recording=numbers[file.recording]) for file in coming)
    return len(coming)


def calibrate_library(
    store: Store, shelf: Shelf, progress: Callable[[int, int], object] | None = None
) -> Calibration:
    """Learn from the recordings whose songs were stated; within `Store.reading`.

    Each is compared with all other versions of its song, and with the nearest recordings of other
    songs.

    Raises
    ------
    DataError
        If there are too few.
    """
    snapshot = shelf.snapshot
    numbers = [int(number) for number in snapshot.numbers]
    songs = [next((f.song for f in shelf.files[n] if f.song), "") for n in numbers]
    known = [place for place, song in enumerate(songs) if song]
    if len(known) > _LEARNED_FROM:
        drawn = np.random.default_rng(0).permutation(len(known))[:_LEARNED_FROM]
        known = [known[i] for i in sorted(drawn)]
    pairs: dict[tuple[int, int], float] = {}
    for place in known:
        for other, similarity in _pairs_with(store, shelf, place, songs):
            pairs.setdefault((min(place, other), max(place, other)), similarity)
    matches = [match for _, match in compare_pairs(shelf, pairs, progress)]
    labels = [songs[one] == songs[other] for one, other in pairs]
    return calibrate(
        [match.score for match in matches],
        [match.similarity for match in matches],
        [match.length for match in matches],
        labels,
    )


def _pairs_with(
    store: Store, shelf: Shelf, place: int, songs: list[str]
) -> list[tuple[int, float]]:
    """Other versions of a recording's song, and the nearest recordings of other songs."""
    snapshot = shelf.snapshot
    number = int(snapshot.numbers[place])
    digest = snapshot.hashes[place].tobytes()
    embeddings, piece = store.embeddings_of(number), store.identity().piece
    query = Query(shelf.hpcp(number), embeddings, digest, piece)
    listed = [pair for pair in shortlist(snapshot, query, len(songs)) if songs[pair[0]]]
    versions = [pair for pair in listed if songs[pair[0]] == songs[place]]
    others = [pair for pair in listed if songs[pair[0]] != songs[place]]
    return versions + others[:_OTHERS]
