"""A descriptor of versions without a network: two-dimensional Fourier magnitudes of HPCP.

After T. Bertin-Mahieux and D. P. W. Ellis, "Large-Scale Cover Song Recognition Using the 2D
Fourier Transform Magnitude", ISMIR 2012: a change of key rotates the pitch axis and a shift in
time moves a patch, and the magnitudes of its transform see neither. What differs here: the mean
over patches instead of the median, patches of several lengths, and vectors instead of beats.
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from kinet.config import PITCH_CLASSES
from kinet.errors import DataError, SettingsError
from kinet.files import write_atomically

# Vectors; 11, 22 and 45 seconds. One length alone finds fewer versions.
PATCHES = (24, 48, 96)
# Patches begin at every second vector: neighbours are next to equal.
HOP = 2
_TOO_QUIET = 1e-9


def fourier_magnitudes(hpcp: ArrayLike, patches: tuple[int, ...] = PATCHES) -> NDArray[np.float32]:
    """Mean magnitudes of the two-dimensional Fourier transform of patches.

    Parameters
    ----------
    hpcp : array_like, shape (T, 12)
        A track shorter than a patch is played again until it fills one. Vectors of zeros at its
        end, with which tracks are padded, are not heard.
    patches : tuple of int
        Lengths in vectors, from 2.

    Returns
    -------
    ndarray of float32, shape (d,)
        The unit rows of every patch length, one after the other; 12 (n // 2 + 1) numbers for a
        patch of n vectors, 1,044 by default. Silence gives zeros.

    Raises
    ------
    DataError
        If `hpcp` is not ``(T, 12)``, T from 1, and finite.

    Examples
    --------
    In another key and a little later it is the same:

    >>> hpcp = np.random.default_rng(0).random((75, 12))
    >>> here, there = (fourier_magnitudes(x, (75,)) for x in (hpcp, np.roll(hpcp, (9, 3), (0, 1))))
    >>> here.shape, bool(np.allclose(here, there, atol=1e-6))
    ((456,), True)
    """
    heard = _heard(np.asarray(hpcp, dtype=np.float64))
    rows = []
    for length in patches:
        looped = np.resize(heard, (max(length, len(heard)), PITCH_CLASSES))
        windows = np.lib.stride_tricks.sliding_window_view(looped, length, axis=0)[::HOP]
        magnitudes = np.abs(np.fft.fft(np.fft.rfft(windows, axis=2), axis=1)).mean(axis=0)
        # Of a real signal, all columns but the first stand for two.
        magnitudes[:, 1:] *= np.sqrt(2)
        rows.append(_unit(magnitudes.ravel()))
    return np.concatenate(rows).astype(np.float32)


@dataclass(frozen=True)
class Components:
    """Which directions of the magnitudes tell works apart.

    Parameters
    ----------
    patches : tuple of int
        As of `fourier_magnitudes`.
    mean : ndarray of float32, shape (d,)
        Taken from the magnitudes.
    axes : ndarray of float32, shape (size, d)
        What is measured of the rest, the most important first, scaled by how much it counts.
    """

    patches: tuple[int, ...]
    mean: NDArray[np.float32]
    axes: NDArray[np.float32]

    @property
    def size(self) -> int:
        """Numbers of a descriptor."""
        return len(self.axes)

    def describe(self, hpcp: ArrayLike) -> NDArray[np.float32]:
        """The descriptor of a track, a unit vector of `size` numbers; HPCP ``(T, 12)``."""
        moved = self.axes @ (fourier_magnitudes(hpcp, self.patches) - self.mean)
        return _unit(moved).astype(np.float32)

    def describe_batch(self, batch: ArrayLike) -> NDArray[np.float32]:
        """Of ``(B, T, 12)`` the descriptors ``(B, size)``."""
        rows = [self.describe(hpcp) for hpcp in np.asarray(batch)]
        return np.stack(rows) if rows else np.zeros((0, self.size), np.float32)


def learn_components(
    tracks: Iterable[ArrayLike],
    size: int = 128,
    whitening: float = 0.7,
    patches: tuple[int, ...] = PATCHES,
) -> Components:
    """Principal components of the magnitudes of tracks.

    Parameters
    ----------
    tracks : iterable of array_like, shape (T, 12)
        Of many works, none of which is tested on.
    size : int
        How many components are kept, from 1.
    whitening : float
        0 leaves their scales, 1 makes all of them equal.
    patches : tuple of int
        As of `fourier_magnitudes`.

    Returns
    -------
    Components

    Raises
    ------
    DataError
        If there are not more tracks than components.
    SettingsError
        If a number is out of range.
    """
    _check_learning(size, whitening, patches, "whitening")
    rows = np.array([fourier_magnitudes(hpcp, patches) for hpcp in tracks], dtype=np.float64)
    if len(rows) <= size:
        raise DataError(
            f"{len(rows)} tracks are too few for {size} components; allowed: more tracks than that"
        )
    mean = rows.mean(axis=0)
    _, scale, axes = np.linalg.svd(rows - mean, full_matrices=False)
    count = min(size, int((scale > _TOO_QUIET).sum()))
    divided = axes[:count] / scale[:count, None] ** whitening
    return Components(patches, mean.astype(np.float32), divided.astype(np.float32))


def learn_discriminants(
    magnitudes: ArrayLike,
    songs: Sequence[Hashable],
    size: int = 128,
    shrinkage: float = 0.25,
    patches: tuple[int, ...] = PATCHES,
) -> Components:
    """The directions in which songs differ and their versions do not.

    Fisher's discriminants, each counting by ``b / (b + 1)``, b its variance between songs in
    units of that within them, as in S. Ioffe, "Probabilistic Linear Discriminant Analysis", ECCV
    2006. On two-dimensional Fourier magnitudes: E. J. Humphrey, O. Nieto and J. P. Bello, "Data
    Driven and Discriminative Projections for Large-Scale Cover Song Identification", ISMIR 2013.

    Parameters
    ----------
    magnitudes : array_like, shape (N, d)
        `fourier_magnitudes` of several versions of many works, none of which is tested on.
    songs : sequence
        The work of every track.
    size : int
        How many directions are kept, from 1.
    shrinkage : float
        In [0, 1]: what of the covariance within songs is taken for equal in all directions. The
        fewer tracks, the more.
    patches : tuple of int
        Of which the magnitudes are.

    Returns
    -------
    Components

    Raises
    ------
    DataError
        If there are not more songs than directions, no song has two tracks, or the magnitudes are
        of other patches.
    SettingsError
        If a number is out of range.
    """
    _check_learning(size, shrinkage, patches, "shrinkage")
    rows = np.asarray(magnitudes, dtype=np.float64)
    width = _width(patches)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise DataError(f"magnitudes of shape {rows.shape}; allowed: (N, {width})")
    names, label, count = np.unique(
        np.array([str(song) for song in songs]), return_inverse=True, return_counts=True
    )
    if len(label) != len(rows) or len(names) <= size or count.max(initial=0) < 2:
        raise DataError(
            f"{len(rows)} tracks with {len(label)} labels of {len(names)} songs do not do for "
            f"{size} directions; allowed: a label a track, more songs than directions, some of "
            "them with several tracks"
        )
    mean = rows.mean(axis=0)
    of_song = np.zeros((len(names), rows.shape[1]))
    np.add.at(of_song, label, rows - mean)
    of_song /= count[:, None]
    apart = rows - mean - of_song[label]
    within = apart.T @ apart / (len(rows) - len(names))
    level = np.trace(within) / len(within)
    within = (1 - shrinkage) * within + (shrinkage + _TOO_QUIET) * level * np.eye(len(within))
    last = len(within) - 1
    between, axes = eigh(
        np.cov(of_song, rowvar=False), within, subset_by_index=[max(0, last + 1 - size), last]
    )
    between = np.maximum(between[::-1], 0.0)
    axes = axes[:, ::-1] * np.sqrt(between / (between + 1))
    return Components(patches, mean.astype(np.float32), axes.T.astype(np.float32))


def write_components(components: Components, path: str | os.PathLike[str]) -> None:
    """Write components to an .npz file; nothing in it is pickled.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    settings = json.dumps({"patches": list(components.patches)})

    def write(file: Any) -> None:
        np.savez_compressed(
            file, mean=components.mean, axes=components.axes, settings=np.array(settings)
        )

    write_atomically(path, write)


def read_components(path: str | os.PathLike[str]) -> Components:
    """Read what `write_components` wrote.

    Raises
    ------
    DataError
        If there is no such file, or it is damaged or none of this kind.
    """
    needed = "allowed: a file that write_components wrote"
    if not Path(path).is_file():
        raise DataError(f"no file {path}; {needed}")
    try:
        # Opened here: NumPy leaves the file open if it is damaged.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            mean, axes = archive["mean"], archive["axes"]
            settings = json.loads(str(archive["settings"]))
        patches = tuple(int(n) for n in settings["patches"])
        width = _width(patches)
        fits = mean.shape == (width,) and axes.ndim == 2 and axes.shape[1] == width
        if not (fits and np.isfinite(mean).all() and np.isfinite(axes).all()):
            raise ValueError(f"arrays of {mean.shape} and {axes.shape}, expected {width} columns")
    except Exception as error:  # zipfile, zlib, NumPy and JSON have an error each for damage
        raise DataError(f"{path} cannot be read ({error}); {needed}") from error
    return Components(patches, mean.astype(np.float32), axes.astype(np.float32))


def _width(patches: tuple[int, ...]) -> int:
    """Numbers of the magnitudes of patches."""
    return sum(PITCH_CLASSES * (length // 2 + 1) for length in patches)


def _check_learning(size: int, part: float, patches: tuple[int, ...], name: str) -> None:
    if size < 1 or not 0 <= part <= 1 or min(patches, default=0) < 2:
        raise SettingsError(
            f"size is {size!r}, {name} {part!r}, patches {patches!r}; allowed: from 1, from 0 to "
            "1, lengths from 2"
        )


def _heard(hpcp: NDArray[np.float64]) -> NDArray[np.float64]:
    if hpcp.ndim != 2 or hpcp.shape[1] != PITCH_CLASSES or not len(hpcp):
        raise DataError(f"HPCP is an array of shape {hpcp.shape}; allowed: (T, 12), T from 1")
    if not np.isfinite(hpcp).all():
        raise DataError("HPCP holds NaN or infinite values; allowed: finite numbers")
    sounding = np.flatnonzero(hpcp.any(axis=1))
    return hpcp[: sounding[-1] + 1] if len(sounding) else hpcp[:1]


def _unit(values: NDArray[Any]) -> NDArray[Any]:
    length = np.linalg.norm(values)
    return values / length if length > _TOO_QUIET else np.zeros_like(values)
