"""Batches of versions that are made while a model trains: no two are alike."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kinet.config import PITCH_CLASSES, FeatureConfig
from kinet.data.batches import WHOLE
from kinet.errors import DataError, SettingsError
from kinet.versions.arrangement import Material
from kinet.versions.dataset import shares_for
from kinet.versions.generator import make_version
from kinet.versions.note_pack import PackedWork
from kinet.versions.works import CHORDS
from kinet.workers.child import end_with_parent

# Tunes of one voice are easily told apart; many of them teach less than few songs with chords.
WEIGHT_OF_SINGLE_TUNES = 0.2
# Versions of a song in a batch begin within this part of their length of each other.
APART = 0.12
LATEST_START = 0.7
# A quarter of the tracks ends early, as recordings that are padded do.
PADDED, LEAST_LEFT = 0.25, 0.35
MASKED, LONGEST_MASK = 0.15, 1 / 6


@dataclass(frozen=True)
class Draw:
    """What is in a batch.

    Parameters
    ----------
    lengths : tuple of int
        In vectors; all tracks of a batch have one of them.
    songs, versions : int
        Works in a batch, and versions of each.
    batches : int
        In an epoch.
    seed : int
        Of everything that is drawn.

    Raises
    ------
    SettingsError
        If a number is out of range.
    """

    lengths: tuple[int, ...] = (144, 176, 208, 256, 320, 400)
    songs: int = 24
    versions: int = 4
    batches: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("least length", min(self.lengths, default=0), 2),
            ("songs in a batch", self.songs, 2),
            ("versions of a song", self.versions, 2),
            ("batches", self.batches, 1),
            ("seed", self.seed, 0),
        ):
            if value < least:
                raise SettingsError(f"{name} is {value!r}; allowed: an integer from {least}")


def lengths_between(least: int, most: int) -> tuple[int, ...]:
    """Up to six lengths, evenly spaced: few, because some backends compile for every one.

    Examples
    --------
    >>> lengths_between(135, 400)
    (135, 188, 241, 294, 347, 400)
    """
    return tuple(sorted({int(length) for length in np.linspace(least, most, 6)}))


class MadeBatches:
    """Batches of P works x K versions; what is in one depends on seed, epoch and index alone.

    In place of `kinet.data.batches.TrainingBatches`. To be used in a ``with`` block, which ends
    the processes.

    Parameters
    ----------
    works : sequence of PackedWork
    draw : Draw
    workers : int
        Processes that make versions; 0 for none.

    Attributes
    ----------
    songs : tuple of str
        The hashes of the works in the order of their labels.
    versions_per_song, batch_size, left_out : int
        As of `TrainingBatches`; no work is left out.

    Raises
    ------
    DataError
        If there are fewer works than a batch has songs.
    """

    def __init__(self, works: Sequence[PackedWork], draw: Draw, workers: int = 1) -> None:
        if len(works) < draw.songs:
            raise DataError(
                f"{len(works)} works are too few for batches of {draw.songs} songs; allowed: at "
                "least as many works"
            )
        self.songs = tuple(work.record.sha256 for work in works)
        self.versions_per_song = draw.versions
        self.batch_size = draw.songs * draw.versions
        self.left_out = 0
        self._draw = draw
        weights = np.array([_weight(work) for work in works])
        self._weights = weights / weights.sum()
        self._maker = _Maker(works, draw)
        self._pool: ProcessPoolExecutor | None = None
        if workers > 0:
            # A forked process would inherit the threads' locks of whatever backend is loaded.
            self._pool = ProcessPoolExecutor(
                workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(self._maker,),
            )

    def __enter__(self) -> MadeBatches:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Works in every batch of `epoch`, ``(batches, songs)``; none twice in one batch."""
        rng = np.random.default_rng([self._draw.seed, epoch])
        return np.stack(
            [
                rng.choice(len(self.songs), self._draw.songs, replace=False, p=self._weights)
                for _ in range(self._draw.batches)
            ]
        )

    def load(
        self, epoch: int, index: int, members: NDArray[np.int64], rows: slice = WHOLE
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Batch `index` of `epoch`: HPCP ``(B, T, 12)`` and labels ``(B,)``.

        All of it is made, of which `rows` are given: what is drawn for a version hangs on those
        before it.

        Raises
        ------
        DataError
            If a process that makes versions ends early.
        """
        try:
            if self._pool is None:
                hpcp, labels = self._maker.make(epoch, index, members)
            else:
                hpcp, labels = self._pool.submit(_make, epoch, index, members).result()
            return hpcp[rows], labels[rows]
        except BrokenProcessPool as error:
            raise DataError(
                "a process that makes versions ended early; allowed: fewer workers, a script with "
                'if __name__ == "__main__":, and enough memory'
            ) from error


class _Maker:
    """Makes batches; goes to the processes once."""

    def __init__(self, works: Sequence[PackedWork], draw: Draw) -> None:
        self._works = works
        self._draw = draw
        self._materials: dict[int, Material] = {}

    def make(
        self, epoch: int, index: int, members: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        rng = np.random.default_rng([self._draw.seed, epoch, index])
        # TensorFlow takes the first two batches of a run for the shapes of all: that lengths vary
        # must be seen in these two.
        ends = (max(self._draw.lengths), min(self._draw.lengths))
        vectors = ends[index] if index < 2 else int(rng.choice(self._draw.lengths))
        hpcp = [self._versions(int(member), vectors, rng) for member in members]
        labels = np.repeat(members, self._draw.versions).astype(np.int32)
        return np.concatenate(hpcp), labels

    def _versions(self, member: int, vectors: int, rng: Generator) -> NDArray[np.float32]:
        """Versions of about the same part of a work, ``(versions, vectors, 12)``."""
        if member not in self._materials:
            self._materials[member] = self._works[member].material
        material, shares = self._materials[member], shares_for(self._works[member])
        seconds = vectors * FeatureConfig().seconds_per_vector
        room = max(0.0, material.seconds - seconds)
        # Half of the recordings that one has begin at the beginning.
        begin = rng.uniform(0.0, room) if rng.random() < 0.5 else 0.0
        made = np.zeros((self._draw.versions, vectors, PITCH_CLASSES), np.float32)
        for row in made:
            start = begin + rng.uniform(-APART, APART) * seconds
            start = float(np.clip(start, 0.0, LATEST_START * material.seconds))
            row[:] = make_version(material, vectors, rng, shares, start)
            _disturb(row, rng)
        return made


def _weight(work: PackedWork) -> float:
    lead_sheet = CHORDS in work.work.roles
    return 1.0 if lead_sheet or not work.material.is_single_tune else WEIGHT_OF_SINGLE_TUNES


def _disturb(hpcp: NDArray[np.float32], rng: Generator) -> None:
    """Silence or noise for a while, and silence at the end, in some tracks."""
    vectors = len(hpcp)
    if rng.random() < MASKED:
        length = int(rng.integers(1, max(2, int(vectors * LONGEST_MASK))))
        start = int(rng.integers(0, vectors - length + 1))
        noise = rng.random((length, PITCH_CLASSES)) if rng.random() < 0.5 else 0.0
        hpcp[start : start + length] = noise
    if rng.random() < PADDED:
        hpcp[max(1, int(vectors * rng.uniform(LEAST_LEFT, 1.0))) :] = 0.0


_maker: _Maker | None = None


def _begin(maker: _Maker) -> None:
    global _maker
    _maker = maker
    end_with_parent()
    if hasattr(os, "nice"):  # the model goes first
        os.nice(1)


def _make(
    epoch: int, index: int, members: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    assert _maker is not None
    return _maker.make(epoch, index, members)
