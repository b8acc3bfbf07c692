"""Files of music in notes, MIDI, MusicXML, ABC and kern, found in folders and read to works."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from kinet.errors import DataError, SettingsError
from kinet.versions.midi_abc import read_abc, read_midi
from kinet.versions.musicxml_kern import read_score
from kinet.versions.works import Work

MIDI = (".mid", ".midi")
ABC = (".abc",)
MUSICXML = (".mxl", ".musicxml", ".xml")
KERN = (".krn",)
SUFFIXES = (*MIDI, *ABC, *MUSICXML, *KERN)


def find_scores(folder: str | os.PathLike[str]) -> list[Path]:
    """Files below a folder whose names say that kinet can read their notes, in order of names.

    Parameters
    ----------
    folder : path

    Returns
    -------
    list of Path

    Raises
    ------
    DataError
        If the folder does not exist or holds no such file.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; allowed: a folder of {', '.join(SUFFIXES)}")
    found = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise DataError(f"{root} holds no scores; allowed: files of {', '.join(SUFFIXES)}")
    return found


def read_works(path: str | os.PathLike[str]) -> list[Work]:
    """Read the works of one file.

    Repeats are played where the file says so. Grace notes and percussion are left out.

    Parameters
    ----------
    path : path
        MIDI, ABC (one tune or many), MusicXML (also compressed) or Humdrum's kern.

    Returns
    -------
    list of Work
        One, but for ABC as many as there are tunes. A tune without notes is left out.

    Raises
    ------
    DataError
        If the file cannot be read, is damaged, or holds no note at all.
    SettingsError
        If the package that reads such files is not installed.
    """
    path = Path(path)
    readers: dict[tuple[str, ...], Callable[[Path, bytes], Iterator[Work | None]]] = {
        MIDI: read_midi,
        ABC: read_abc,
        MUSICXML: read_score,
        KERN: read_score,
    }
    reader = next((r for suffixes, r in readers.items() if path.suffix.lower() in suffixes), None)
    if reader is None:
        raise DataError(f"{path} is no score; allowed: files of {', '.join(SUFFIXES)}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    try:
        works = [work for work in reader(path, content) if work is not None]
    except (SettingsError, DataError):
        raise
    except Exception as error:  # whatever a library stumbles over is a fault of the file
        cause = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"cannot read {path}: {cause[:200]}") from error
    if not works:
        raise DataError(f"{path} holds no notes; allowed: files with at least one")
    return works
