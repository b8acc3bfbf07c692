"""What is there of a data set, what of its lists is missing, and what is in none of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from kinet.data.feature_files import feature_path
from kinet.datasets import Found, Ids
from kinet.errors import DataError
from kinet.extraction.naming import Source, make_id
from kinet.extraction.searching import audio_files
from kinet.files import write_text_atomically, writing_to
from kinet.reading import read_text, reason, show_path


def write_coverage(
    out: str | os.PathLike[str], name: str, listed: Iterable[Ids]
) -> tuple[Path, Path, int]:
    """Write which tracks of a list have features: ``there-<name>`` and ``missing-<name>``.

    Both are lists as all commands take them; a file without tracks is empty.

    Parameters
    ----------
    out : path
        Folder of the features, in which the two files are written.
    name : str
        Of the list, for the names of the two.
    listed : iterable of (str, str)
        Song and version ids, in the order in which they are written.

    Returns
    -------
    there, missing : pathlib.Path
        The two files.
    count : int
        Tracks that have features.

    Raises
    ------
    DataError
        If one cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "7_1.npy").touch()
    ...     there, missing, count = write_coverage(folder, "TEST", [("7", "1"), ("7", "2")])
    ...     there.name, there.read_text(), missing.read_text(), count
    ('there-TEST', '7\\t1\\n', '7\\t2\\n', 1)
    """
    lines: dict[bool, list[str]] = {True: [], False: []}
    for song, version in listed:
        lines[feature_path(out, song, version).is_file()].append(f"{song}\t{version}\n")
    paths = Path(out, f"there-{name}"), Path(out, f"missing-{name}")
    with writing_to(out):
        for path, is_there in zip(paths, (True, False), strict=True):
            write_text_atomically(path, "".join(lines[is_there]))
    return *paths, len(lines[True])


def files_of(folder: Path) -> list[Path]:
    """The audio files in and below the folder of a data set.

    Raises
    ------
    DataError
        If it is missing or no folder, or one below it cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{show_path(folder)}: no such folder; need the folder of the data set")
    return list(audio_files(folder))


def read_lines(path: Path, need: str) -> list[tuple[int, str]]:
    """Lines of a list that are not blank, with their numbers from 1.

    Raises
    ------
    DataError
        If the file cannot be read, is not text or has no line; `need` says what is needed.
    """
    try:
        text = read_text(path)
    except OSError as error:
        raise DataError(f"{show_path(path)}: {reason(error)}; need {need}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{show_path(path)}: not UTF-8 text; need {need}") from error
    # Not splitlines(): a title may hold what Unicode takes for the end of a line.
    rows = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1)]
    rows = [(number, line) for number, line in rows if line]
    if not rows:
        raise DataError(f"{show_path(path)}: no lines; need {need}")
    return rows


def require_id(text: str, where: str) -> str:
    """An id as it stands in a list.

    Raises
    ------
    DataError
        If it could not be a part of a file's name.
    """
    if make_id(text) != text:
        raise DataError(
            f"{where}: the id {text!r}; allowed: up to 100 bytes without white space, '/' and "
            f"such, as {make_id(text)!r}"
        )
    return text


def collected(candidates: Sequence[tuple[Source, list[Path]]], unlisted: Iterable[Path]) -> Found:
    """What is there of listed tracks, each with the files that could be it.

    Parameters
    ----------
    candidates : sequence of (Source, list of pathlib.Path)
        Where one is looked for, and what is there.
    unlisted : iterable of pathlib.Path
        As in `Found`.

    Raises
    ------
    DataError
        If there are several recordings of a track: one would be taken by chance. Told are the
        first such track, two of its files, and the number of others.
    """
    several = [(source, paths) for source, paths in candidates if len(paths) > 1]
    if several:
        source, paths = several[0]
        others = f", as of {len(several) - 1} other tracks" if len(several) > 1 else ""
        raise DataError(
            f"{show_path(paths[0])} and {show_path(paths[1])} are both version "
            f"{source.version_id} of song {source.song_id}{others}; keep one recording of a track"
        )
    there = tuple(replace(source, path=paths[0]) for source, paths in candidates if paths)
    missing = tuple(source for source, paths in candidates if not paths)
    return Found(there, missing, tuple(unlisted))
