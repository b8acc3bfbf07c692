"""Split a list into training, validation and test tracks that share no song."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit

from kinet.data.tracks import Track
from kinet.errors import DataError, SettingsError

LEAST_SONGS = 2


@dataclass(frozen=True)
class Split:
    """Tracks for training, validation and test, each in the order of the list."""

    training: list[Track]
    validation: list[Track]
    test: list[Track]


def split_by_song(
    tracks: Sequence[Track], validation: float = 0.1, test: float = 0.2, seed: int = 0
) -> Split:
    """Draw songs for validation and test; all versions of a song stay together.

    Parameters
    ----------
    tracks : sequence of Track
        The list.
    validation, test : float
        Shares of the songs (not of the tracks), from 0 and together below 1. The number of songs
        is rounded; a share above 0 gets two songs at least, because in a list of one every
        ranking is perfect.
    seed : int
        Same seed, same songs, whatever the order of the list.

    Returns
    -------
    Split

    Raises
    ------
    SettingsError
        If a share or the seed is out of range.
    DataError
        If there are too few songs for every part to get one.

    Examples
    --------
    >>> import pathlib
    >>> tracks = [Track(song, version, pathlib.Path()) for song in "abcde" for version in "12"]
    >>> split = split_by_song(tracks, validation=0.2, test=0.2)
    >>> len(split.training), len(split.validation), len(split.test)
    (2, 4, 4)
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise SettingsError(
            f"shares of validation and test are {validation} and {test}; allowed: from 0, "
            "together below 1"
        )
    if not 0 <= seed < 2**32:
        raise SettingsError(f"seed is {seed}; allowed: an integer from 0 to {2**32 - 1}")
    songs = np.array([track.song_id for track in tracks])
    count = len(set(songs.tolist()))
    for_validation, for_test = _songs_of(validation, count), _songs_of(test, count)
    if for_validation + for_test >= count:
        raise DataError(
            f"{count} songs cannot give {for_validation} to validation and {for_test} to test; "
            "training needs at least one"
        )
    everything = np.arange(len(tracks))
    rest, test_part = _draw(everything, songs, for_test, seed)
    training_part, validation_part = _draw(rest, songs, for_validation, seed)
    parts = (training_part, validation_part, test_part)
    return Split(*([tracks[i] for i in np.sort(part)] for part in parts))


def _songs_of(share: float, count: int) -> int:
    return max(LEAST_SONGS, round(share * count)) if share > 0 else 0


def _draw(
    part: NDArray[np.int64], songs: NDArray[np.str_], count: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions in `part` without and with the versions of `count` songs drawn from it."""
    if count == 0:
        return part, part[:0]
    splitter = GroupShuffleSplit(n_splits=1, test_size=count, random_state=seed)
    kept, drawn = next(splitter.split(part, groups=songs[part]))
    return part[kept], part[drawn]
