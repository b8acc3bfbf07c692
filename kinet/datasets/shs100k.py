"""SHS100K: lists of songs and versions, and a folder with what is left of their recordings.

The data set is lists: of the songs of SecondHandSongs, and of links to recordings at YouTube, of
which many lead nowhere any more.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from kinet.datasets import AudioDataset, Found, Ids
from kinet.datasets.coverage import collected, files_of, read_lines, require_id
from kinet.errors import DataError
from kinet.extraction.naming import Source
from kinet.reading import show_path

_NEED = "lines '<song> <version>', or with tabs and title, performer and URL after them"
_NEED_LINKS = "tab-separated lines of song, version, title, performer and URL"
_URL = 4
_VIDEO = re.compile(
    r"(?:^|[?&]v=|youtu\.be/|/embed/|/v/|/shorts/)([A-Za-z0-9_-]{11})(?![A-Za-z0-9_-])"
)
# How youtube-dl and yt-dlp end names: "title-<id>" and "title [<id>]".
_NAMED = re.compile(r"-([A-Za-z0-9_-]{11})$|\[([A-Za-z0-9_-]{11})\]$")


def read_shs100k(
    folder: str | os.PathLike[str],
    list_file: str | os.PathLike[str],
    links: str | os.PathLike[str] | None = None,
) -> Found:
    """The recordings of a list that are in a folder.

    In the folder, or anywhere below it, a recording is named ``<song>_<version>``,
    ``<song>/<version>``, or by its YouTube id: alone, or where youtube-dl and yt-dlp put it, at
    the end after ``-`` or in brackets.

    Parameters
    ----------
    folder : path
        Of audio files.
    list_file : path
        Lines ``<song> <version>`` (SHS100K-TEST), or tab-separated with title, performer, URL and
        status after them (``list`` of the data set).
    links : path, optional
        A list of the second kind, for the YouTube ids of `list_file`.

    Returns
    -------
    Found
        Sorted by song and version, as text.

    Raises
    ------
    DataError
        If a list cannot be read or names a track twice, two recordings are of one track, or none
        of the list is there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "12_3.mp3").touch()
    ...     test = Path(folder, "TEST")
    ...     _ = test.write_text("12\\t3\\n12\\t4\\n")
    ...     found = read_shs100k(folder, test)
    >>> len(found.sources), len(found.missing), found.missing[0].version_id
    (1, 1, '4')
    """
    folder, list_file = Path(folder), Path(list_file)
    videos = _listed(list_file)
    if links is not None:
        for ids, video in _linked(Path(links)):
            if ids in videos:
                videos[ids] = videos[ids] | {video}
    every = files_of(folder)
    candidates = list(_candidates(folder, videos, every))
    taken = {path for _, paths in candidates for path in paths}
    found = collected(candidates, (path for path in every if path not in taken))
    if not found.sources:
        raise DataError(
            f"none of the {len(videos)} tracks of {show_path(list_file)} is among the "
            f"{len(every)} audio files in {show_path(folder)}; need names <song>_<version>, "
            "<song>/<version> or, with a list that has the URLs, YouTube ids"
        )
    return found


def _candidates(
    folder: Path, videos: Mapping[Ids, frozenset[str]], every: list[Path]
) -> Iterator[tuple[Source, list[Path]]]:
    """Every listed track with the files that are named like it."""
    by_name: dict[str, list[Path]] = defaultdict(list)
    by_video: dict[str, list[Path]] = defaultdict(list)
    for path in every:
        by_name[path.stem].append(path)
        by_name[f"{path.parent.name}/{path.stem}"].append(path)
        by_video[path.stem].append(path)
        named = _NAMED.search(path.stem)
        if named:
            by_video[named[1] or named[2]].append(path)
    for (song, version), ids in sorted(videos.items()):
        names = (f"{song}_{version}", f"{song}/{version}")
        paths = [path for name in names for path in by_name.get(name, ())]
        paths += [path for video in sorted(ids) for path in by_video.get(video, ())]
        source = Source(folder / f"{song}_{version}", song, version)
        yield source, list(dict.fromkeys(paths))


def _listed(list_file: Path) -> dict[Ids, frozenset[str]]:
    """The tracks of a list, each with its YouTube ids: none or one."""
    videos: dict[Ids, frozenset[str]] = {}
    for number, line in read_lines(list_file, _NEED):
        fields = _fields(line)
        where = f"{show_path(list_file)}:{number}"
        if len(fields) != 2 and len(fields) <= _URL:
            raise DataError(f"{where}: {len(fields)} fields in {line[:60]!r}; need {_NEED}")
        song, version = (require_id(text, where) for text in fields[:2])
        if (song, version) in videos:
            raise DataError(
                f"{where}: song {song} version {version} is listed before; list each track once"
            )
        videos[song, version] = frozenset(_video(fields))
    return videos


def _linked(links: Path) -> Iterator[tuple[Ids, str]]:
    for number, line in read_lines(links, _NEED_LINKS):
        fields = _fields(line)
        if len(fields) <= _URL:
            where = f"{show_path(links)}:{number}"
            raise DataError(f"{where}: {len(fields)} fields in {line[:60]!r}; need {_NEED_LINKS}")
        for video in _video(fields):
            yield (fields[0], fields[1]), video


def _fields(line: str) -> list[str]:
    """Fields between tabs where there are any, for a title has spaces."""
    return [field.strip() for field in line.split("\t")] if "\t" in line else line.split()


def _video(fields: list[str]) -> Iterator[str]:
    match = _VIDEO.search(fields[_URL]) if len(fields) > _URL else None
    if match:
        yield match[1]


dataset = AudioDataset(
    name="shs100k",
    description="recordings of a list of SHS100K, with ids of its lists or of YouTube",
    read=read_shs100k,
    needs=("list_file",),
    takes=("links",),
)
