"""One file to what a library keeps of it, in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinet.config import FeatureConfig
from kinet.data.feature_files import FeatureError, read_hpcp
from kinet.extraction.recording import Refused, hear
from kinet.extraction.titles import has_number, names_a_song, read_name
from kinet.files import digest_of
from kinet.reading import reason, status_of
from kinet.remote import AnyPath, absolute, local_copy

#: Files that hold HPCP already.
FEATURES = ".npy"


@dataclass(frozen=True)
class SoundJob:
    """A file to read, how its HPCP are made, and how many seconds of sound it may have."""

    path: AnyPath
    config: FeatureConfig
    longest: float = math.inf

    @property
    def name(self) -> str:
        """That of the file."""
        return self.path.name


@dataclass(frozen=True)
class SoundFile:
    """What a file holds.

    Attributes
    ----------
    sha256 : bytes
        Of its content.
    bytes, modified_ns : int
        Its size, and when it was changed.
    title, artist : str
        Of its tags, else the title of its name.
    hpcp : ndarray of float32, shape (T, 12)
    seconds : float
        Duration.
    """

    sha256: bytes
    bytes: int
    modified_ns: int
    title: str
    artist: str
    hpcp: NDArray[np.float32]
    seconds: float


def read_sound(job: SoundJob, check: Callable[[], None]) -> SoundFile | Refused:
    """Read a recording or a feature file.

    Parameters
    ----------
    job : SoundJob
    check : callable
        Called between pieces of the sound; may raise to leave the job.

    Returns
    -------
    SoundFile or Refused
    """
    try:
        before = status_of(job.path)
        with local_copy(job.path) as here:
            digest = bytes.fromhex(digest_of(here))
            is_made = job.path.suffix == FEATURES
            heard = _features(here, job.config) if is_made else _heard(here, job, check)
            if isinstance(heard, Refused):
                return heard
            tags = file_tags(here, job.path)
        if status_of(job.path) != before:
            return Refused("changed while it was read; need a file at rest")
    except OSError as error:
        return Refused(reason(error))
    return SoundFile(digest, before.size, before.modified_ns, *tags, *heard)


def file_tags(here: Path, path: AnyPath) -> tuple[str, str]:
    """Title and artist of a file: of the tags of what is here of it, else of its name."""
    from kinet.audio.tags import read_tags

    tags = read_tags(here)
    title, artist = said_by_name(absolute(path))
    return tags.get("title", title), tags.get("artist", artist)


def said_by_name(path: AnyPath) -> tuple[str, str]:
    """Title and artist that a file's name says; the artist may be empty.

    A name that names no song stands behind that of its folder. That of other files does not count:
    a file has one title, whatever lies beside it and whenever that came.

    Examples
    --------
    >>> said_by_name(Path("01 - Let_It_Be (Live).mp3")), said_by_name(Path("Muse - Feeling Good"))
    (('Let It Be (Live)', ''), ('Feeling Good', 'Muse'))
    >>> said_by_name(Path("Yesterday/live.mp3")), said_by_name(Path("Help/03 Take 2 (Mono).flac"))
    (('Yesterday - live', ''), ('Help - Take 2 (Mono)', ''))
    """
    stem = path.stem.replace("_", " ")
    name = read_name(stem, has_number(stem))
    title = f"{name.title} ({name.remark})" if name.remark else name.title
    folder = path.parent.name.replace("_", " ")
    if folder and not names_a_song(name.title):
        title = f"{folder} - {title}"
    return title, name.artist


def _heard(
    here: Path, job: SoundJob, check: Callable[[], None]
) -> tuple[NDArray[np.float32], float] | Refused:
    if job.config.other_processing:
        return Refused(
            f"a recording, where the model needs features with {job.config.other_processing!r}, "
            f"which kinet does not make; allowed: {FEATURES} files"
        )
    heard = hear(here, job.config, check, job.longest)
    return heard if isinstance(heard, Refused) else (heard.hpcp, heard.seconds)


def _features(here: Path, config: FeatureConfig) -> tuple[NDArray[np.float32], float] | Refused:
    try:
        hpcp = np.asarray(read_hpcp(here), np.float32)
    except FeatureError as error:
        return Refused(error.message)
    return hpcp, len(hpcp) * config.seconds_per_vector
