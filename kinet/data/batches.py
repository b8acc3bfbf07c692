"""Records to batches ``(B, T, 12)``: the one place that crops, pads and orders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinet.config import PITCH_CLASSES
from kinet.data.feature_files import finite
from kinet.data.tracks import Track
from kinet.errors import DataError

# Rows of a batch: all of it, where no other process makes a part.
WHOLE = slice(None)


def fit_length(hpcp: np.ndarray, vectors: int, start: int = 0) -> np.ndarray:
    """Cut `vectors` vectors from `start`, with zeros at the end where the track is shorter.

    Parameters
    ----------
    hpcp : ndarray
        ``(T, 12)``.
    vectors : int
        Length of the result.
    start : int
        First vector.

    Returns
    -------
    ndarray
        ``(vectors, 12)`` float32.

    Examples
    --------
    >>> fit_length(np.ones((2, 12)), 3).sum(axis=1)
    array([12., 12.,  0.], dtype=float32)
    """
    part = hpcp[start : start + vectors]
    fitted = np.zeros((vectors, PITCH_CLASSES), np.float32)
    fitted[: len(part)] = part
    return fitted


def first_vectors(tracks: Sequence[Track], vectors: int) -> np.ndarray:
    """The first `vectors` vectors of each track, ``(N, vectors, 12)``: what evaluation reads."""
    return np.stack([fit_length(track.read(0, vectors), vectors) for track in tracks])


class TrainingBatches:
    """Batches of random crops; what is in a batch depends on seed, epoch and index alone.

    Parameters
    ----------
    tracks : sequence of Track
        The training list, in any order.
    vectors : int
        Length of a crop.
    batch_size : int
        Tracks in a batch; a shorter list gives one batch of all tracks.
    versions_per_song : int or None
        None for tracks in random order, each once per epoch; K for batches of
        ``batch_size // K`` songs with K versions of each. Songs with one version are left out
        then, and a song's last group is filled up with other versions of the song.
    seed : int
        Of order and crops.

    Attributes
    ----------
    songs : tuple of str
        The song ids in the order of their labels.
    left_out : int
        Tracks that are in no batch.

    Raises
    ------
    DataError
        If `versions_per_song` is given but fewer than two songs have two versions.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        vectors: int,
        batch_size: int,
        versions_per_song: int | None,
        seed: int,
    ) -> None:
        self.tracks = sorted(tracks, key=lambda track: (track.song_id, track.version_id))
        self.vectors = vectors
        self.versions_per_song = versions_per_song
        self.seed = seed
        self.songs = tuple(sorted({track.song_id for track in tracks}))
        label = {song: index for index, song in enumerate(self.songs)}
        self.labels = np.array([label[track.song_id] for track in self.tracks], np.int32)
        members = [np.flatnonzero(self.labels == index) for index in range(len(self.songs))]
        self._members = [versions for versions in members if len(versions) > 1]
        if versions_per_song is None:
            self.left_out = 0
            self.batch_size = min(batch_size, len(self.tracks))
            return
        self.left_out = len(self.tracks) - sum(map(len, self._members))
        if len(self._members) < 2:
            raise DataError(
                f"the training list has {len(self.songs)} songs, {len(self._members)} of them with "
                "two versions; this loss compares versions: at least two songs must have two or "
                "more"
            )
        groups = min(max(2, batch_size // versions_per_song), len(self._members))
        self.batch_size = groups * versions_per_song

    def order(self, epoch: int) -> np.ndarray:
        """Indices of tracks in every batch of `epoch`, ``(batches, batch_size)``.

        The last batch is filled up with tracks from the beginning of the epoch, so that all
        batches have one shape.
        """
        rng = np.random.default_rng([self.seed, epoch])
        if self.versions_per_song is None:
            order = rng.permutation(len(self.tracks))
            count = -(-len(order) // self.batch_size)
            return np.resize(order, (count, self.batch_size))
        return self._grouped_order(rng)

    def _grouped_order(self, rng: np.random.Generator) -> np.ndarray:
        size = self.versions_per_song or 0
        queues: list[list[np.ndarray]] = []
        for versions in self._members:
            count = -(-len(versions) // size)
            queues.append(list(np.resize(rng.permutation(versions), (count, size))))
        songs_per_batch = self.batch_size // size
        batches = []
        while any(queues):
            # Songs with the most groups left go first, so that no song is twice in a batch.
            shuffled = rng.permutation(len(queues))
            left = sorted(shuffled, key=lambda song: -len(queues[song]))[:songs_per_batch]
            groups = [
                queues[song].pop()
                if queues[song]
                else rng.permutation(np.resize(self._members[song], size))
                for song in left
            ]
            batches.append(np.concatenate(groups))
        return np.stack([batches[i] for i in rng.permutation(len(batches))])

    def load(
        self, epoch: int, index: int, members: np.ndarray, rows: slice = WHOLE
    ) -> tuple[np.ndarray, np.ndarray]:
        """Batch `index` of `epoch`: HPCP ``(B, vectors, 12)`` and labels ``(B,)``.

        Of the tracks that are not in `rows` no more than the length is read.
        """
        rng = np.random.default_rng([self.seed, epoch, index])
        tracks = [self.tracks[member] for member in members]
        mapped = [track.load() for track in tracks]
        most = [max(0, len(values) - self.vectors) for values in mapped]
        # All are drawn: where a crop begins hangs on what was drawn before it.
        starts = [int(rng.integers(last + 1)) for last in most]
        own = range(len(tracks))[rows]
        # Crops go from the mapped files into their batch, nowhere in between.
        hpcp = np.zeros((len(own), self.vectors, PITCH_CLASSES), np.float32)
        for row, place in zip(hpcp, own, strict=True):
            part = mapped[place][starts[place] : starts[place] + self.vectors]
            row[: len(part)] = finite(part, tracks[place].path)
        return hpcp, self.labels[members[rows]]
