"""Folders of scores to works, over all cores; damaged files are told of and left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kinet.backend import cores
from kinet.errors import DataError
from kinet.versions.doubles import find_doubles, melody_grams
from kinet.versions.note_pack import PackedWork, packed
from kinet.versions.score_files import find_scores, read_works
from kinet.workers import work_off_in_order


@dataclass(frozen=True)
class Gathered:
    """What was read.

    Parameters
    ----------
    works : list of PackedWork
        In the order of the names of their files.
    faults : list of str
        One line for every file that could not be used.
    """

    works: list[PackedWork]
    faults: list[str]


def gather(
    folder: str | os.PathLike[str],
    source: str,
    licence: str,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Gathered:
    """Read all scores below a folder.

    Parameters
    ----------
    folder : path
    source, licence : str
        Of the collection, for every work in it.
    workers : int, optional
        Processes; by default one for every processor, with 1 no process is started.
    progress : callable, optional
        Called with the number of files read and of all.

    Returns
    -------
    Gathered

    Raises
    ------
    DataError
        If the folder is none, holds no scores, or a process is ended from outside.
    SettingsError
        If a package that reads such files is not installed.
    """
    paths = find_scores(folder)
    works: list[PackedWork] = []
    faults: list[str] = []
    done = 0

    def take(read: tuple[list[PackedWork], str]) -> bool:
        nonlocal done
        works.extend(read[0])
        faults.extend([read[1]] if read[1] else [])
        done += 1
        if progress is not None:
            progress(done, len(paths))
        return True

    read = partial(_read, source=source, licence=licence)
    work_off_in_order(read, paths, workers or cores(), take)
    return Gathered(works, faults)


def without_doubles(
    works: Sequence[PackedWork],
) -> tuple[list[PackedWork], list[tuple[PackedWork, PackedWork]]]:
    """Every tune once.

    Parameters
    ----------
    works : sequence of PackedWork

    Returns
    -------
    kept : list of PackedWork
        In their order; of a tune that is there several times the first.
    doubles : list of (PackedWork, PackedWork)
        Every work that is left out, and the one that stands for it.
    """
    first = find_doubles([melody_grams(work.material) for work in works])
    kept = [work for number, work in enumerate(works) if first[number] == number]
    doubles = [
        (work, works[first[number]]) for number, work in enumerate(works) if first[number] != number
    ]
    return kept, doubles


def _read(path: Path, source: str, licence: str) -> tuple[list[PackedWork], str | None]:
    try:
        return [packed(work, source, licence) for work in read_works(path)], None
    except DataError as error:
        return [], str(error)
