"""How a folder of music is read: which of its files are versions of one song."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kinet.errors import DataError, SettingsError, unknown_name
from kinet.extraction.naming import ONLY_VERSION, Source, make_id
from kinet.extraction.searching import NEED, audio_files, unreadable
from kinet.extraction.titles import are_numbered, has_number, read_name, song_of, without_remark
from kinet.reading import reason, show_path
from kinet.remote import AnyPath, absolute, path_or_url

AUTOMATIC, TAGS = "auto", "tags"
#: What makes files one song, by the name of the reading.
READINGS = {
    "folder": "every folder is a song, the files in it are its versions",
    "title": "files of one title are a song, by their names, wherever they lie",
    TAGS: "files of one title are a song, by their tags, else by their names",
}

Found = list[tuple[Source, Hashable]]
Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Reading:
    """How a folder was read.

    Attributes
    ----------
    root : pathlib.Path or Url
        The folder.
    name : str
        Of `READINGS`.
    why : str
        Why this one was chosen.
    sources : tuple of Source
        What was found; the first good one is an example for people.
    """

    root: AnyPath
    name: str
    why: str
    sources: tuple[Source, ...]

    def __str__(self) -> str:
        """Reading, reason, numbers and an example in one line.

        Examples
        --------
        >>> source = Source(Path("music/Help/live.mp3"), "Help", "live")
        >>> print(Reading(Path("music"), "folder", "asked for", (source,)))
        music: every folder is a song, the files in it are its versions (asked for): 1 recordings \
of 1 songs, 0 of them in several versions; such as Help/live.mp3: song Help, version live
        """
        good = [source for source in self.sources if not source.fault]
        versions = Counter(source.song_id for source in good)
        several = sum(count > 1 for count in versions.values())
        line = (
            f"{show_path(self.root)}: {READINGS[self.name]} ({self.why}): {len(good)} recordings "
            f"of {len(versions)} songs, {several} of them in several versions"
        )
        if not good:
            return line
        # One of several versions says most.
        shown = max(good, key=lambda source: versions[source.song_id])
        path = show_path(shown.path.relative_to(self.root))
        return f"{line}; such as {path}: song {shown.song_id}, version {shown.version_id}"


def read_folder(
    root: AnyPath, songs_by: str = AUTOMATIC, progress: Progress | None = None
) -> tuple[Reading, Found]:
    """Recordings in and below a folder.

    Parameters
    ----------
    root : pathlib.Path or Url
        The folder.
    songs_by : str
        A name of `READINGS`, or "auto": by ``title`` where all files lie in the folder itself, or
        most names begin with the number of a track, as those of albums do; else by ``folder``.
    progress : callable, optional
        Called with the number of files whose tags are read, and of all.

    Returns
    -------
    reading : Reading
        How it was read.
    found : list of (Source, hashable)
        Each with what makes it one song with others: equal for the same song. A folder that cannot
        be read is among them, with its fault.

    Raises
    ------
    DataError
        If it holds no audio, or cannot be read.
    SettingsError
        If there is no such reading.
    """
    if songs_by not in (AUTOMATIC, *READINGS):
        raise SettingsError(unknown_name("reading", songs_by, (AUTOMATIC, *READINGS)))
    errors: list[OSError] = []
    files = list(audio_files(root, errors.append))
    if not files:
        raise (
            unreadable(errors[0])
            if errors
            else DataError(f"{show_path(root)}: a folder without audio; {NEED}")
        )
    name, why = (songs_by, "asked for") if songs_by != AUTOMATIC else _chosen(root, files)
    if name == "folder":
        found = [_by_folder(root, path) for path in files]
    else:
        found = _by_title(root, files, _tags(files, progress) if name == TAGS else {})
    found += [_unread(root, error) for error in errors]
    return Reading(root, name, why, tuple(source for source, _ in found)), found


def on_its_own(path: AnyPath) -> tuple[Source, Hashable]:
    """A file of which nothing is known but its name: a song of its own."""
    source = Source(path, make_id(path.stem), ONLY_VERSION, title=path.stem)
    return source, absolute(path)


def _chosen(root: AnyPath, files: Sequence[AnyPath]) -> tuple[str, str]:
    if all(path.parent == root for path in files):
        return "title", "all files lie in the folder itself"
    if are_numbered(path.stem for path in files):
        return "title", "most names begin with the number of a track, as in albums"
    return "folder", "it has folders, and names are not numbered as in albums"


def _by_folder(root: AnyPath, path: AnyPath) -> tuple[Source, Hashable]:
    song = path.parent.relative_to(root)
    if song == Path():
        return on_its_own(path)
    source = Source(path, make_id(song.as_posix()), make_id(path.stem), title=song.name)
    return source, absolute(path.parent)


def _by_title(
    root: AnyPath, files: Sequence[AnyPath], tags: dict[AnyPath, dict[str, str]]
) -> Found:
    """Song from the title; version from folders, artist and remark, and the name where needed."""
    numbered = {}
    for folder in {path.parent for path in files}:
        there = [path.stem for path in files if path.parent == folder]
        numbered[folder] = are_numbered(there)
    sources = [
        _of_title(root, path, numbered[path.parent] and has_number(path.stem), tags.get(path, {}))
        for path in files
    ]
    taken = Counter((source.song_id, source.version_id) for source in sources)
    # Two of one title on one album: their names differ.
    told_apart = [
        replace(source, version_id=make_id(f"{source.version_id} {source.path.stem}"))
        if taken[source.song_id, source.version_id] > 1
        else source
        for source in sources
    ]
    return [(source, ("title", source.song_id)) for source in told_apart]


def _of_title(root: AnyPath, path: AnyPath, numbered: bool, tags: dict[str, str]) -> Source:
    name = read_name(path.stem, numbered)
    folders = list(path.parent.relative_to(root).parts)
    title, remark = without_remark(tags["title"]) if "title" in tags else (name.title, name.remark)
    artist = tags.get("artist") or name.artist or (folders[0] if folders else "")
    if "title" in tags:
        whence = [artist, tags.get("album") or (folders[-1] if folders else "")]
    else:
        whence = [*folders, name.artist]
    parts = list(dict.fromkeys(part for part in (*whence, remark) if part))
    version = make_id(" ".join(parts)) if parts else ONLY_VERSION
    return Source(path, make_id(song_of(title)), version, title=title, artist=artist)


def _tags(files: Sequence[AnyPath], progress: Progress | None) -> dict[AnyPath, dict[str, str]]:
    from kinet.audio.tags import read_tags

    found = {}
    for number, path in enumerate(files, 1):
        found[path] = read_tags(path)
        if progress is not None:
            progress(number, len(files))
    return found


def _unread(root: AnyPath, error: OSError) -> tuple[Source, Hashable]:
    """A folder that cannot be read is told with what else fails; the rest is made."""
    folder = path_or_url(error.filename)
    fault = f"a folder, {reason(error)}: nothing in it was looked at"
    name = make_id(folder.relative_to(root).as_posix())
    return Source(folder, name, ONLY_VERSION, fault), absolute(folder)
