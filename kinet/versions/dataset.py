"""Made versions as a data set on disk, in the usual layout."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import SeedSequence

from kinet.backend import cores
from kinet.config import FeatureConfig
from kinet.data.manifest import LIST
from kinet.data.settings_file import write_features
from kinet.errors import DataError, SettingsError
from kinet.files import write_array_atomically, write_text_atomically, writing_to
from kinet.versions.arrangement import OF_SINGLE_TUNES, Shares
from kinet.versions.generator import make_version
from kinet.versions.note_pack import PackedWork, Record
from kinet.workers import work_off_in_order

WORKS = "works.csv"


@dataclass(frozen=True)
class Plan:
    """Which versions are made.

    Parameters
    ----------
    versions : int
        Of every work, from 1.
    least_vectors, most_vectors : int
        T of a version is drawn between them, both included.
    seed : int
        From 0.

    Raises
    ------
    SettingsError
        If a number is out of range.
    """

    versions: int = 8
    least_vectors: int = 150
    most_vectors: int = 400
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, fits, allowed in (
            ("versions", self.versions, self.versions >= 1, "an integer from 1"),
            ("least vectors", self.least_vectors, self.least_vectors >= 1, "an integer from 1"),
            (
                "most vectors",
                self.most_vectors,
                self.most_vectors >= self.least_vectors,
                f"an integer from the least, {self.least_vectors}",
            ),
            ("seed", self.seed, self.seed >= 0, "an integer from 0"),
        ):
            if not fits:
                raise SettingsError(f"{name} is {value!r}; allowed: {allowed}")


def shares_for(work: PackedWork) -> Shares:
    """The shares that a work is played with: single tunes mostly get an accompaniment."""
    return Shares(**OF_SINGLE_TUNES) if work.material.is_single_tune else Shares()


def write_versions(
    works: Sequence[PackedWork],
    folder: str | os.PathLike[str],
    plan: Plan,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Write versions of works as features.

    The folder gets ``<song>_<version>.npy``, float32 ``(T, 12)``; ``list``, the lines
    ``<song> <version>``; ``works.csv`` with the song's title, file, source, licence and hash;
    and the settings of the features. The files depend on the works and the plan alone.

    Parameters
    ----------
    works : sequence of PackedWork
        A song each; its id is the number in the sequence.
    folder : path
        Made if it is not there; files of the same names are replaced.
    plan : Plan
    workers : int, optional
        Processes; by default one for every processor, with 1 no process is started.
    progress : callable, optional
        Called with the number of songs written and of all.

    Returns
    -------
    int
        How many tracks were written.

    Raises
    ------
    DataError
        If there are no works, or the folder cannot be written.
    """
    if not works:
        raise DataError("there are no works to make versions of; allowed: at least one")
    folder, done = Path(folder), 0

    def take(_: None) -> bool:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(works))
        return True

    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write = partial(_write_song, folder=folder, plan=plan)
        work_off_in_order(write, list(enumerate(works)), workers or cores(), take)
        write_text_atomically(folder / WORKS, _table([work.record for work in works]))
        write_features(folder, FeatureConfig())
        # The last of all: where it is, the rest is complete.
        write_text_atomically(folder / LIST, _lines(len(works), plan.versions))
    return len(works) * plan.versions


def _write_song(numbered: tuple[int, PackedWork], folder: Path, plan: Plan) -> None:
    song, work = numbered
    material, shares = work.material, shares_for(work)
    for version in range(plan.versions):
        # Of its own, so that a file does not depend on how many others there are.
        rng = np.random.default_rng(SeedSequence(plan.seed, spawn_key=(song, version)))
        vectors = int(rng.integers(plan.least_vectors, plan.most_vectors + 1))
        hpcp = make_version(material, vectors, rng, shares)
        write_array_atomically(folder / f"{song}_{version}.npy", hpcp)


def _table(records: Sequence[Record]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["song_id", *(field.name for field in fields(Record))])
    writer.writerows([song, *astuple(record)] for song, record in enumerate(records))
    return text.getvalue()


def _lines(songs: int, versions: int) -> str:
    return "".join(f"{song}\t{version}\n" for song in range(songs) for version in range(versions))
