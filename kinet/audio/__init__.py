"""Audio files to mono signals, in pieces.

The content of a file decides, not its suffix. wav, aiff, au and flac go to libsndfile (soundfile),
everything else, mp3, ogg, opus, m4a, aac and the sound of a video, to FFmpeg's libraries (PyAV).
Both bring their codecs; no program is called.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soxr
from numpy.typing import NDArray

from kinet.audio.errors import AudioError
from kinet.audio.lengths import require_end, require_sane_lists
from kinet.audio.mono import RATES
from kinet.errors import SettingsError

__all__ = ["SUFFIXES", "AudioError", "read_audio", "read_chunks"]

#: Lower-case suffixes that a search of folders takes for audio, or for video with sound.
SUFFIXES = frozenset(
    {
        *(".wav", ".wave", ".aif", ".aiff", ".aifc", ".au", ".caf", ".flac", ".ape", ".wv", ".tta"),
        *(".mp3", ".ogg", ".oga", ".opus", ".m4a", ".m4b", ".aac", ".ac3", ".wma"),
        *(".mp4", ".m4v", ".mov", ".mkv", ".mka", ".webm", ".avi", ".flv"),
    }
)

_QUALITY = "HQ"


def read_chunks(
    path: str | os.PathLike[str], sample_rate: int = 44100
) -> Iterator[NDArray[np.float32]]:
    """Decode a file piece by piece.

    Several channels become their mean. A signal that has the wanted rate passes untouched, any
    other is resampled (soxr, HQ). The samples do not depend on how the file is cut into pieces,
    and memory does not grow with its length. The file is closed when the iterator ends or is
    closed.

    The delay of an encoder is taken away where the file tells it: in mp3 with a LAME header, ogg,
    opus, m4a and video. It stays in mp3 without (1105 samples from LAME), in bare .aac (1024) and
    .ac3 (256). At the end of m4a and mp4 less than 1024 samples of padding can remain.

    A file that declares its length and ends more than 0.2 s earlier is an error: wav, aiff, au,
    caf, flac, mp3 with a Xing or Info header, m4a, mp4, mov, mkv, webm. So is an ogg or opus file
    without the mark of its end, as a recording of a running stream can be, or with a page that is
    damaged or missing. An mp3 without such a
    header, bare .aac, .ac3, avi or wma that was cut cannot always be told from a whole one; then
    what is there is decoded. Damage is an error where the decoder notices it: bytes that changed
    in a wav, or an mp3 that decodes to noise, pass.

    Parameters
    ----------
    path : path
        An audio file, or a video file, of which the first audio stream is taken.
    sample_rate : int
        Of the result, 4,000 to 768,000 Hz.

    Yields
    ------
    array of float32, (samples,)
        In order, never empty, some 2**15 samples at the file's own rate; all finite. Full scale
        is -1 to 1; float and lossy files may exceed it.

    Raises
    ------
    AudioError
        While it is iterated, if the file is missing, no regular file, unreadable, empty, holds no
        audio that can be decoded, is damaged or cut off, has no sample, NaN or infinity, or claims
        a rate outside 4,000 to 768,000 Hz or more than 64 channels. The chunks given before are
        then a part of the signal, not to be used.
    SettingsError
        If `sample_rate` is outside its range.

    Examples
    --------
    >>> import soundfile, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "half a second of silence.flac")
    ...     soundfile.write(path, np.zeros((11025, 2)), 22050)
    ...     sum(len(chunk) for chunk in read_chunks(path))
    22050
    """
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise SettingsError(
            f"sample rate {sample_rate} Hz asked for; allowed: {RATES[0]} to {RATES[1]} Hz"
        )
    path = Path(path)
    given = 0
    for chunk in _resampled(_decoded(path), sample_rate):
        if not len(chunk):
            continue
        finite = np.isfinite(chunk)
        if not finite.all():
            seconds = (given + int(finite.argmin())) / sample_rate
            raise AudioError(path, f"NaN or infinity at {seconds:.2f} s; need finite samples")
        given += len(chunk)
        yield chunk
    if not given:
        raise AudioError(path, "no samples in it; need sound")


def read_audio(path: str | os.PathLike[str], sample_rate: int = 44100) -> NDArray[np.float32]:
    """Decode a whole file.

    Parameters
    ----------
    path, sample_rate
        As in `read_chunks`.

    Returns
    -------
    array of float32, (samples,)
        Mono; memory for the whole is needed.

    Raises
    ------
    AudioError, SettingsError
        As `read_chunks`.

    Examples
    --------
    >>> import soundfile, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "left and right.wav")
    ...     soundfile.write(path, [[0.5, 0.0], [0.5, 0.25]], 44100)
    ...     read_audio(path)
    array([0.25 , 0.375], dtype=float32)
    """
    return np.concatenate(list(read_chunks(path, sample_rate)))


def _decoded(path: Path) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Rate and mono chunk, again and again, by the decoder that suits the content."""
    # Not at the top: what only needs SUFFIXES or AudioError should not wait for FFmpeg.
    from kinet.audio import coded, lossless

    with _opened(path) as file:
        suits = lossless.suits(file.read(lossless.HEAD))
        require_sane_lists(path, file)
        sound = lossless.opened(path) if suits else None
        held = 0.0
        if sound is not None:
            with sound:
                for rate, chunk in lossless.chunks(path, sound):
                    held += len(chunk) / rate
                    yield rate, chunk
        else:
            file.seek(0)
            for rate, chunk in coded.chunks(path, file):
                held += len(chunk) / rate
                yield rate, chunk
        require_end(path, file, held)


def _opened(path: Path) -> BinaryIO:
    """The file, open; it is a regular one and not empty."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise AudioError(path, "a folder; need an audio file")
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, a device has no end
            raise AudioError(path, "not a regular file; need an audio file")
        if not status.st_size:
            raise AudioError(path, "an empty file; need sound")
        return open(path, "rb")
    except FileNotFoundError as error:
        raise AudioError(path, "no such file; need an audio file") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        why = getattr(error, "strerror", None) or error
        raise AudioError(path, f"cannot be read ({why}); need an audio file") from error


def _resampled(
    chunks: Iterator[tuple[int, NDArray[np.float32]]], sample_rate: int
) -> Iterator[NDArray[np.float32]]:
    """Chunks of any rate, which may change between two, to chunks of one rate."""
    rate, resampler = sample_rate, None
    nothing = np.empty(0, np.float32)
    for chunk_rate, chunk in chunks:
        if chunk_rate != rate:
            if resampler is not None:
                yield resampler.resample_chunk(nothing, last=True)
            rate, resampler = chunk_rate, None
            if rate != sample_rate:
                resampler = soxr.ResampleStream(rate, sample_rate, 1, quality=_QUALITY)
        yield chunk if resampler is None else resampler.resample_chunk(chunk)
    if resampler is not None:
        yield resampler.resample_chunk(nothing, last=True)
