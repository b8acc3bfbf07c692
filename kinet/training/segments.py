"""Batches whose tracks are cut into segments, for losses that compare these."""

from __future__ import annotations

import numpy as np

from kinet.config import ModelConfig
from kinet.data.batches import WHOLE
from kinet.errors import SettingsError
from kinet.losses.objective import Objective
from kinet.model import fixed_vectors
from kinet.training.data import Batch, Batches


class SegmentedBatches:
    """Other batches with every track cut into segments, each with the label of its track.

    Parameters
    ----------
    batches : Batches
        Of whole tracks, ``(B, T, 12)``.
    count, least : int
        As of `cut`.

    Attributes
    ----------
    songs : tuple of str
        Those of `batches`.
    batch_size : int
        Tracks in a batch, before they are cut.
    """

    def __init__(self, batches: Batches, count: int, least: int) -> None:
        self._batches, self._count, self._least = batches, count, least
        self.songs, self.batch_size = batches.songs, batches.batch_size

    def order(self, epoch: int) -> np.ndarray:
        """What is in every batch of `epoch`, a row each."""
        return self._batches.order(epoch)

    def load(self, epoch: int, index: int, members: np.ndarray, rows: slice = WHOLE) -> Batch:
        """HPCP ``(B count, length, 12)`` and labels ``(B count,)`` of a row of `order`."""
        hpcp, labels = self._batches.load(epoch, index, members, rows)
        return cut(hpcp, self._count, self._least), np.repeat(labels, self._count)


def segmented(batches: Batches, objective: Objective, model: ModelConfig) -> Batches:
    """The batches as the losses want them: whole, or in segments that the network can embed.

    Raises
    ------
    SettingsError
        If they want segments and an attention module ties the network to one length.
    """
    count = objective.segments
    if count == 1:
        return batches
    if fixed_vectors(model) is not None:
        raise SettingsError(
            f"the loss cuts tracks into {count} segments, but attention {','.join(model.attention)}"
            f" ties the network to T = {model.vectors}; allowed: attention of any length, or none"
        )
    return SegmentedBatches(batches, count, model.minimum_vectors)


def cut(hpcp: np.ndarray, count: int, least: int) -> np.ndarray:
    """Tracks in segments, evenly from their beginning to their end.

    Silence at the end is no segment: a track that is shorter than the others is played again.

    Parameters
    ----------
    hpcp : ndarray
        ``(B, T, 12)``, with T from `least`.
    count : int
        Segments of a track.
    least : int
        Their least length; where it is above ``T / count`` they overlap.

    Returns
    -------
    ndarray
        ``(B count, length, 12)`` with ``length = max(least, T // count)``, the segments of a
        track one after the other.

    Examples
    --------
    >>> hpcp = np.arange(5.0)[None, :, None] + np.ones((1, 1, 12))
    >>> cut(hpcp, 2, 3)[:, :, 0]
    array([[1., 2., 3.],
           [3., 4., 5.]])
    """
    vectors = hpcp.shape[1]
    length = max(least, vectors // count)
    starts = np.linspace(0, vectors - length, count).round().astype(int)
    tracks = [_played_again(track) for track in hpcp]
    return np.stack([track[start : start + length] for track in tracks for start in starts])


def _played_again(track: np.ndarray) -> np.ndarray:
    """A track with its beginning in the place of zeros at its end."""
    sounding = np.flatnonzero(track.any(axis=1))
    return np.resize(track[: sounding[-1] + 1], track.shape) if len(sounding) else track
