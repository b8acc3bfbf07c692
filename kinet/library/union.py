"""What several libraries would be as one: which recordings and files count, and hubs of all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kinet.library.finding import Shelf
from kinet.library.rows import File
from kinet.library.snapshot import Snapshot, sample_of
from kinet.remote import AnyPath


def shared_numbers(snapshots: Sequence[Snapshot]) -> list[NDArray[np.int64]]:
    """The numbers of recordings that may be in another shard too."""
    hashes, counts = np.unique(np.concatenate([s.hashes for s in snapshots]), return_counts=True)
    return [s.numbers[np.isin(s.hashes, hashes[counts > 1])] for s in snapshots]


def files_of_all(
    shelves: Sequence[Mapping[int, Sequence[File]]], digests: Sequence[Mapping[int, bytes]]
) -> list[dict[int, list[File]]]:
    """For each shard the recordings that count, with their files in all shards."""
    taken: set[AnyPath] = set()
    first: dict[bytes, list[File]] = {}
    found = []
    for files, known in zip(shelves, digests, strict=True):
        own: dict[int, list[File]] = {}
        for number, every in files.items():
            coming = [file for file in every if file.path not in taken]
            digest = known.get(number, b"")
            taken.update(file.path for file in coming)
            if coming and digest in first:
                first[digest] += coming
            elif coming:
                own[number] = coming
                if digest:
                    first[digest] = coming
        found.append(own)
    for every in first.values():
        every.sort(key=lambda file: os.fsencode(file.path))
    return found


def sample_of_all(
    snapshots: Sequence[Snapshot], counting: Sequence[NDArray[np.bool_]]
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.int64]]]:
    """For each shard the embeddings of some recordings of all, and their places in it or -1."""
    there = [np.flatnonzero(counts) for counts in counting]
    places = np.concatenate(there)
    owners = np.repeat(np.arange(len(there)), [len(own) for own in there])
    drawn = sample_of(len(places))
    owners, places = owners[drawn], places[drawn]
    rows = [
        snapshot.vectors[snapshot.starts[places[owners == number]]]
        for number, snapshot in enumerate(snapshots)
    ]
    sample = np.concatenate(rows)
    own = [np.where(owners == number, places, -1) for number in range(len(snapshots))]
    return [sample] * len(snapshots), own


def snapshot_of(chosen: Sequence[tuple[Shelf, int]], size: int) -> Snapshot:
    """Recordings of several shelves, numbered anew from 0."""
    parts = [shelf.snapshot.part(place, place + 1) for shelf, place in chosen]
    none = np.empty((0, size), np.float32)
    return Snapshot(
        *((b"", 0), np.concatenate([none, *(part.vectors for part in parts)])),
        *(np.cumsum([0, *(len(part.vectors) for part in parts)]), np.arange(len(parts))),
        np.array([part.hashes[0] for part in parts], np.uint64),
        np.array([part.hubs[0] for part in parts], np.float32),
        np.array([part.copies[0] for part in parts], np.int64),
    )
