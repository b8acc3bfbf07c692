"""Covers80 as LabROSA distributes it.

D. P. W. Ellis, "The covers80 cover song data set", Columbia University, 2007: 80 songs, each by
two artists. The archive unpacks to ``coversongs/``. In ``covers32k/<song>/`` lie mp3 files; the
i-th lines of two lists name the two versions of song i, as ``<song>/<file without ending>``.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from kinet.datasets import AudioDataset, Found
from kinet.datasets.coverage import collected, files_of, read_lines
from kinet.errors import DataError
from kinet.extraction.naming import Source, make_id
from kinet.reading import show_path

# The archive has the lists beside the songs; copies have them one level higher, or as .txt.
_PLACES = ("", "covers32k", "coversongs", "coversongs/covers32k")
_LISTS = (("list1.list", "list2.list"), ("list1.txt", "list2.txt"))


def read_covers80(folder: str | os.PathLike[str]) -> Found:
    """The tracks of the two lists of Covers80, paired by line.

    Parameters
    ----------
    folder : path
        ``coversongs``, as the archive unpacks, its parent, or ``covers32k`` in it.

    Returns
    -------
    Found
        A song's id is the name of its folder, a version's that of its file without ending, both
        by `kinet.extraction.sources.make_id`. Sorted by them.

    Raises
    ------
    DataError
        If there are no two lists of one length, a line does not name a file of the same song as
        its partner, a track is listed twice or there twice, or none is there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("Lodi/tesla+Live+09-Lodi", "Lodi/ccr+Live+08-Lodi"):
    ...         path = Path(folder, name + ".mp3")
    ...         path.parent.mkdir(exist_ok=True)
    ...         path.touch()
    ...     _ = Path(folder, "list1.list").write_text("Lodi/tesla+Live+09-Lodi\\n")
    ...     _ = Path(folder, "list2.list").write_text("Lodi/ccr+Live+08-Lodi\\n")
    ...     [(source.song_id, source.version_id) for source in read_covers80(folder).sources]
    [('Lodi', 'ccr+Live+08-Lodi'), ('Lodi', 'tesla+Live+09-Lodi')]
    """
    folder = Path(folder)
    names = _paired(*_lists(folder))
    root = _root(folder, names)
    files: dict[str, list[Path]] = defaultdict(list)
    for path in files_of(root):
        files[path.relative_to(root).with_suffix("").as_posix()].append(path)
    candidates = [(_source(root, name), files.pop(name, [])) for name in sorted(names)]
    found = collected(candidates, (path for rest in files.values() for path in rest))
    if not found.sources:
        raise DataError(
            f"none of the {len(names)} listed tracks is in {show_path(root)}; need "
            f"{found.missing[0].path.relative_to(root).as_posix()} and the others"
        )
    return found


def _source(root: Path, name: str) -> Source:
    song, version = name.split("/")
    return Source(root / f"{name}.mp3", make_id(song), make_id(version))


def _lists(folder: Path) -> tuple[Path, Path]:
    for place in _PLACES:
        for first, second in _LISTS:
            pair = folder / place / first, folder / place / second
            if all(path.is_file() for path in pair):
                return pair
    raise DataError(
        f"{show_path(folder)}: no list1.list and list2.list in it, in covers32k or in coversongs; "
        "need the folder to which covers80.tgz unpacks"
    )


def _root(folder: Path, names: set[str]) -> Path:
    """The folder in which those of the songs are."""
    songs = {name.split("/")[0] for name in names}
    places = [folder / place for place in _PLACES]
    there = (place for place in places if any((place / song).is_dir() for song in songs))
    return next(there, folder)


def _paired(first: Path, second: Path) -> set[str]:
    """The names in the two lists; the i-th lines of both are of one song."""
    rows = [read_lines(path, "lines of '<song>/<file without ending>'") for path in (first, second)]
    if len(rows[0]) != len(rows[1]):
        raise DataError(
            f"{show_path(first)} has {len(rows[0])} lines and {show_path(second)} "
            f"{len(rows[1])}; need two versions of a song in lines of one number"
        )
    names: set[str] = set()
    for pair in zip(*rows, strict=True):
        songs = []
        for path, (number, name) in zip((first, second), pair, strict=True):
            where = f"{show_path(path)}:{number}"
            song, _, version = name.partition("/")
            if not song or not version or "/" in version or song == "..":
                raise DataError(f"{where}: {name!r}; need '<song>/<file without ending>'")
            if name in names:
                raise DataError(f"{where}: {name!r} is listed before; list each track once")
            names.add(name)
            songs.append(song)
        if songs[0] != songs[1]:
            raise DataError(
                f"{where}: {songs[1]!r}, but the other version is of {songs[0]!r}; need two "
                "versions of a song in lines of one number"
            )
    return names


dataset = AudioDataset(
    name="covers80",
    description="Covers80 (Ellis 2007) as it unpacks: 80 songs in two versions",
    read=read_covers80,
    is_whole=True,
)
