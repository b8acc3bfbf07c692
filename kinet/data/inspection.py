"""Faults of a list and its features, all of them, for a person to mend."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinet.config import FeatureConfig
from kinet.data.feature_files import FeatureError
from kinet.data.packing import PackedFile
from kinet.data.tracks import Track

WARNINGS = frozenset({"out of range"})

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes
    ----------
    kind : str
        ``repeated line``, a `kinet.data.feature_files.FeatureError`'s kind, ``all zero``,
        ``out of range``, ``duplicate``, ``one version``, ``shared song`` or ``shared track``.
    subject : str
        The song, or song and version.
    message : str
        What was found.
    """

    kind: str
    subject: str
    message: str

    @property
    def is_error(self) -> bool:
        """Whether it makes the list wrong; otherwise it is a warning."""
        return self.kind not in WARNINGS


def inspect(
    tracks: Sequence[Track],
    others: Mapping[str, Sequence[Track]] | None = None,
    progress: Progress | None = None,
) -> list[Problem]:
    """Read every feature file of a list once and tell what is wrong.

    Parameters
    ----------
    tracks : sequence of Track
        A list, in which a track can be repeated.
    others : mapping of str to sequence of Track, optional
        Lists by name with which this one should share no song and no track. Their files are not
        read.
    progress : callable, optional
        Called after every file with the number of files read and the number of all.

    Returns
    -------
    list of Problem
        Empty if all is well. In the order: repeated lines, files, duplicates (files that hold
        the same values, all-zero ones apart), songs with one version, songs and tracks shared
        with others.

    Examples
    --------
    >>> import pathlib
    >>> [problem] = inspect([Track("s1", "v1", pathlib.Path("absent.npy"))])[:1]
    >>> problem.kind, problem.subject
    ('missing', 's1 v1')
    """
    unique = list(dict.fromkeys(tracks))
    problems = [*_repeated(tracks), *_faults_of_files(unique, progress), *_alone(unique)]
    for name, other in (others or {}).items():
        problems += _shared_songs(unique, other, name)
        problems += _shared_tracks(unique, other, name)
    return problems


def inspect_unlisted(packed: PackedFile, tracks: Sequence[Track]) -> list[Problem]:
    """Compare what a packed file holds beside the tracks of a list with its checksums.

    Parameters
    ----------
    packed : PackedFile
        The file.
    tracks : sequence of Track
        Those that `inspect` has read.

    Returns
    -------
    list of Problem
        All of the kind ``damaged``.
    """
    problems = []
    listed = {(track.song_id, track.version_id) for track in tracks}
    for ids in packed.ids:
        if ids in listed:
            continue
        try:
            packed.load(*ids)
        except FeatureError as error:
            message = f"{Path(error.path).name}: {error.message}"
            problems.append(Problem(error.kind, " ".join(ids), message))
    return problems


def short_tracks(tracks: Sequence[Track], vectors: int, config: FeatureConfig) -> str:
    """How many tracks have less than half of what a network looks at, as a clause of a sentence.

    Parameters
    ----------
    tracks : sequence of Track
        Their lengths are read, not their values.
    vectors : int
        T that the network looks at.
    config : FeatureConfig
        Of the features, for seconds.

    Returns
    -------
    str
        Empty where there is none.

    Raises
    ------
    FeatureError
        If a file cannot be used.

    Examples
    --------
    >>> short_tracks([], 400, FeatureConfig())
    ''
    """
    lengths = [len(track.load()) for track in tracks]
    short = sum(2 * length < vectors for length in lengths)
    if not short:
        return ""
    seconds, shortest = config.seconds_per_vector, min(lengths)
    return (
        f"{short} of {len(tracks)} tracks are shorter than half of the {vectors} vectors "
        f"({vectors * seconds:.0f} s) that the model looks at, the shortest has {shortest} "
        f"({shortest * seconds:.0f} s)"
    )


def _subject(track: Track) -> str:
    return f"{track.song_id} {track.version_id}"


def _repeated(tracks: Sequence[Track]) -> Iterator[Problem]:
    for track, count in Counter(tracks).items():
        if count > 1:
            yield Problem("repeated line", _subject(track), f"listed {count} times")


def _faults_of_files(tracks: Sequence[Track], progress: Progress | None) -> list[Problem]:
    problems, duplicates = [], []
    first_with: dict[bytes, Track] = {}
    for number, track in enumerate(tracks, start=1):
        try:
            values = track.read()
        except FeatureError as error:
            problems.append(
                Problem(error.kind, _subject(track), f"{track.path.name}: {error.message}")
            )
        else:
            problems += _faults_of_values(track, values)
            first = first_with.setdefault(hashlib.sha256(values.tobytes()).digest(), track)
            if first is not track and values.any():
                song = "the same" if first.song_id == track.song_id else "another"
                message = f"same values as {_subject(first)}, of {song} song"
                duplicates.append(Problem("duplicate", _subject(track), message))
        if progress is not None:
            progress(number, len(tracks))
    return problems + duplicates


def _faults_of_values(track: Track, values: NDArray[np.float32]) -> Iterator[Problem]:
    least, most = float(values.min()), float(values.max())
    if least == most == 0:
        message = f"{track.path.name}: all {len(values)} vectors are zero"
        yield Problem("all zero", _subject(track), message)
    if least < 0 or most > 1:
        message = f"{track.path.name}: values from {least:.4g} to {most:.4g}; HPCP lie in [0, 1]"
        yield Problem("out of range", _subject(track), message)


def _alone(tracks: Sequence[Track]) -> Iterator[Problem]:
    for song, count in Counter(track.song_id for track in tracks).items():
        if count == 1:
            yield Problem("one version", song, "only one version listed; ranking needs two")


def _shared_songs(tracks: Sequence[Track], other: Sequence[Track], name: str) -> Iterator[Problem]:
    songs = dict.fromkeys(track.song_id for track in tracks)
    elsewhere = Counter(track.song_id for track in set(other))
    for song in songs:
        if song in elsewhere:
            message = f"also in {name}, with {elsewhere[song]} tracks there"
            yield Problem("shared song", song, message)


def _shared_tracks(tracks: Sequence[Track], other: Sequence[Track], name: str) -> Iterator[Problem]:
    elsewhere = {(track.song_id, track.version_id) for track in other}
    for track in tracks:
        if (track.song_id, track.version_id) in elsewhere:
            yield Problem("shared track", _subject(track), f"also in {name}")
