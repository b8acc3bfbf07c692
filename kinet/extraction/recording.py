"""One recording to features, and to a feature file."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinet.audio import AudioError, read_chunks
from kinet.config import FeatureConfig
from kinet.errors import KinetError
from kinet.features.hpcp import hpcp_of_blocks
from kinet.files import write_array_atomically
from kinet.reading import reason, show_path
from kinet.remote import AnyPath, local_copy


def extract_file(
    path: str | os.PathLike[str], config: FeatureConfig | None = None
) -> NDArray[np.float32]:
    """HPCP of a recording, as the models take them.

    Parameters
    ----------
    path : path
        An audio file, or a video with sound.
    config : FeatureConfig, optional
        By default the settings of the published data.

    Returns
    -------
    ndarray of float32, shape (T, 12)
        In [0, 1], one vector for each 0.46 s by default; T >= 1.

    Raises
    ------
    AudioError
        If the file cannot be decoded, is too short for one vector, or holds nothing but silence.
    SettingsError
        If a setting cannot be used.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> from pathlib import Path
    >>> time = np.arange(2 * 44100) / 44100
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.wav")
    ...     soundfile.write(path, 0.1 * np.sin(2 * np.pi * 440 * time), 44100)
    ...     extract_file(path).shape
    (4, 12)
    """
    return _hpcp_and_seconds(path, config or FeatureConfig(), lambda: None)[0]


@dataclass(frozen=True)
class Job:
    """A recording and the feature file to make of it."""

    recording: AnyPath
    target: AnyPath
    config: FeatureConfig

    @property
    def name(self) -> str:
        """Song and version."""
        return self.target.stem


@dataclass(frozen=True)
class Made:
    """The file is there: duration of the sound in seconds, and T."""

    seconds: float
    vectors: int


@dataclass(frozen=True)
class Refused:
    """Of this recording no features can be made."""

    message: str


@dataclass(frozen=True)
class TooLong(Refused):
    """It holds more sound than was to be read."""


@dataclass(frozen=True)
class Unwritable:
    """The file cannot be written, and others could not be either."""

    message: str


def make(job: Job, check: Callable[[], None]) -> Made | Refused | Unwritable:
    """Do a job.

    Parameters
    ----------
    job : Job
        Its file is replaced if it is there.
    check : callable
        Called between pieces of the sound; may raise to leave the job.

    Returns
    -------
    Made, Refused or Unwritable
    """
    heard = hear(job.recording, job.config, check)
    if isinstance(heard, Refused):
        return heard
    try:
        write_array_atomically(job.target, heard.hpcp)
    except OSError as error:
        return Unwritable(f"{show_path(job.target)}: {error.strerror or error}")
    return Made(heard.seconds, len(heard.hpcp))


@dataclass(frozen=True)
class Heard:
    """HPCP ``(T, 12)`` of a recording, and the duration of its sound in seconds."""

    hpcp: NDArray[np.float32]
    seconds: float


def hear(
    path: AnyPath,
    config: FeatureConfig,
    check: Callable[[], None],
    longest: float = math.inf,
) -> Heard | Refused:
    """Features of a recording, or why there are none.

    Parameters
    ----------
    path : pathlib.Path or Url
        An audio file, or a video with sound.
    config : FeatureConfig
    check : callable
        As of `make`.
    longest : float
        Seconds of sound, of which more is not read.

    Returns
    -------
    Heard or Refused
        `TooLong` where there is more than `longest`.
    """
    try:
        with local_copy(path) as here:
            return Heard(*_hpcp_and_seconds(here, config, check, longest))
    except _TooLongError as error:
        return TooLong(error.message)
    except AudioError as error:
        return Refused(error.message)
    except KinetError as error:
        return Refused(str(error))
    except OSError as error:
        return Refused(reason(error))
    except MemoryError:
        return Refused("not enough memory")


class _TooLongError(AudioError):
    """Found while it is decoded: what a file says of its length need not be true."""


def _hpcp_and_seconds(
    path: str | os.PathLike[str],
    config: FeatureConfig,
    check: Callable[[], None],
    longest: float = math.inf,
) -> tuple[NDArray[np.float32], float]:
    samples = 0

    def counted() -> Iterator[NDArray[np.float32]]:
        nonlocal samples
        for chunk in read_chunks(path, config.sample_rate):
            check()
            samples += len(chunk)
            if samples > longest * config.sample_rate:
                raise _TooLongError(path, f"longer than {longest:g} s; need at most that")
            yield chunk

    hpcp = hpcp_of_blocks(counted(), config)
    seconds = samples / config.sample_rate
    if not len(hpcp):
        need = config.seconds_per_vector
        raise AudioError(path, f"{seconds:.2f} s long; need at least {need:.2f} s")
    if not hpcp.any():
        raise AudioError(path, f"nothing but silence, {seconds:.2f} s; need sound")
    return hpcp, seconds
