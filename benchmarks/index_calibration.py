"""What a model's scores mean, learned from versions that were made of scores.

Of score and length alone. Embeddings of made versions are more alike than those of recordings, of
which a model has learned less, so that their similarity would promise too much.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from index_accuracy import SECONDS, queries_of

from kinet.config import FeatureConfig
from kinet.extraction.sources import Source
from kinet.library import Library
from kinet.library.calibration import Calibration, calibrate
from kinet.library.finding import Match, Shelf, compared, one_thread
from kinet.library.shortlisting import length_of_shortlist, shortlist
from kinet.versions.dataset import shares_for
from kinet.versions.generator import make_version
from kinet.versions.note_pack import PackedWork, read_note_pack

VERSIONS = 3
# Of all recordings every so many are queries: one version of every second work.
EVERY = 6
SHORTEST, LONGEST = 60, 400
# A version may begin later than the work, and be longer than it was played.
LATEST_START, LONGER = 0.25, 1.5


def read_works(packs: Sequence[Path]) -> list[PackedWork]:
    """The works of all packs."""
    return [work for pack in packs for work in read_note_pack(pack)]


def versions_of(works: Sequence[PackedWork], folder: Path, seed: int) -> Iterator[Source]:
    """Feature files of made versions of all works."""
    seconds = FeatureConfig().seconds_per_vector
    for song, work in enumerate(works):
        most = int(np.clip(LONGER * work.material.seconds / seconds, SHORTEST, LONGEST))
        for version in range(VERSIONS):
            rng = np.random.default_rng([seed, song, version])
            start = float(rng.uniform(0, LATEST_START)) * work.material.seconds
            vectors = int(rng.integers(SHORTEST, most + 1))
            path = folder / f"{song}_{version}.npy"
            np.save(path, make_version(work.material, vectors, rng, shares_for(work), start))
            yield Source(path, str(song), str(version))


def learned(library: Library, works: Sequence[PackedWork], folder: Path, seed: int) -> Calibration:
    """Of an empty library: what its scores mean, for queries of all lengths."""
    library.add(list(versions_of(works, folder, seed)), workers=1)
    found: list[tuple[Match, bool]] = []
    with library._store.reading():
        shelf = library._shelf()
        for seconds in SECONDS:
            found += pairs_of(library, shelf, seconds, seed)
    matches, is_version = zip(*found, strict=True)
    scores, lengths = ([getattr(match, name) for match in matches] for name in ("score", "length"))
    return calibrate(scores, np.zeros(len(scores)), lengths, is_version)


def pairs_of(
    library: Library, shelf: Shelf, seconds: int | None, seed: int
) -> Iterator[tuple[Match, bool]]:
    """Queries, each with all that `find` would align it with."""
    songs = [shelf.files[int(number)][0].song for number in shelf.snapshot.numbers]
    for own, query in queries_of(library, shelf, seconds, seed, EVERY):
        aligned = length_of_shortlist(len(query.hpcp))
        with one_thread():
            for place, similarity in shortlist(shelf.snapshot, query, aligned):
                match = compared(shelf, query.hpcp, place, similarity)
                yield match, songs[place] == songs[own]
