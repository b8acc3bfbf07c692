"""What a training list and a validation list must be, and what makes their mAP say little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kinet.config import FeatureConfig
from kinet.data.inspection import short_tracks
from kinet.data.tracks import Track
from kinet.errors import DataError

# Of songs with two versions: with fewer the best epoch is found by chance.
FEW_SONGS = 10


def require_lists(training: Sequence[Track], validation: Sequence[Track]) -> None:
    """Refuse lists with which no epoch would be better than another.

    Parameters
    ----------
    training, validation : sequence of Track
        The lists; the first is empty where training makes its own tracks.

    Raises
    ------
    DataError
        If validation has one song only, no song of two versions, or the tracks of the training.
    """
    versions = Counter(track.song_id for track in validation)
    if not any(count > 1 for count in versions.values()):
        raise DataError(
            f"the validation list has {len(validation)} tracks and no song of two versions; "
            "at least one song must have two"
        )
    if len(versions) < 2:
        raise DataError(
            f"the validation list has one song, {next(iter(versions))}: its mAP would be 1 in "
            "every epoch; at least two songs are needed"
        )
    if _tracks(training) == _tracks(validation):
        raise DataError(
            f"the training list and the validation list hold the same {len(validation)} tracks; "
            "needed are songs that are not trained on, as kinet split draws them"
        )


def doubts(training: Sequence[Track], validation: Sequence[Track]) -> list[str]:
    """Sentences about lists that can be used, but whose validation mAP says little.

    Parameters
    ----------
    training, validation : sequence of Track
        As of `require_lists`.

    Returns
    -------
    list of str
        Empty where all is well.

    Examples
    --------
    >>> from pathlib import Path
    >>> few = [Track(song, version, Path()) for song in "ab" for version in "12"]
    >>> doubts([], few)
    ['the validation list has 2 songs of two and more versions; below 10 its mAP says little, and \
which epoch is best is chance']
    """
    versions = Counter(track.song_id for track in validation)
    songs = sum(count > 1 for count in versions.values())
    found = []
    if songs < FEW_SONGS:
        found.append(
            f"the validation list has {songs} songs of two and more versions; below {FEW_SONGS} "
            "its mAP says little, and which epoch is best is chance"
        )
    shared = sorted(versions.keys() & {track.song_id for track in training})
    if shared:
        found.append(
            f"{len(shared)} of {len(versions)} songs of the validation list are in the training "
            f"list too, first {shared[0]}: its mAP is not that of songs that are new"
        )
    return found


def doubts_about_lengths(tracks: Sequence[Track], vectors: int, config: FeatureConfig) -> list[str]:
    """Sentences about tracks of which a network sees much silence, though they can be used.

    Parameters
    ----------
    tracks : sequence of Track
        To train on and to validate on.
    vectors : int
        T of the network.
    config : FeatureConfig
        Of the features.

    Returns
    -------
    list of str
        Empty where all is well.

    Raises
    ------
    FeatureError
        If a file cannot be used.

    Examples
    --------
    >>> doubts_about_lengths([], 400, FeatureConfig())
    []
    """
    told = short_tracks(tracks, vectors, config)
    return [f"{told}; the rest of these is silence to it"] if told else []


def _tracks(tracks: Sequence[Track]) -> set[tuple[str, str]]:
    return {(track.song_id, track.version_id) for track in tracks}
