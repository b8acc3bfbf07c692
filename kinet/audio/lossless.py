"""Files that libsndfile decodes: wav, aiff, au and flac.

libsndfile reads mp3, Ogg Vorbis and Opus as well, but not well enough: of a VBR mp3 without a Xing
header it gives the first part only, of chained Ogg streams the first only, both without an error;
mpg123 inside it writes to the standard error; and Opus takes longer than with FFmpeg.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from kinet.audio.errors import AudioError
from kinet.audio.lengths import require_whole
from kinet.audio.mono import CHUNK, mono, require_sane

HEAD = 12  # bytes that tell
_KINDS = {
    b"RIFF": (b"WAVE",),
    b"RIFX": (b"WAVE",),
    b"RF64": (b"WAVE",),
    b"FORM": (b"AIFF", b"AIFC"),
}
_UNKNOWN = 2**62  # libsndfile's number of frames where a flac does not say how many it has


class _Stream(soundfile.SoundFile):
    """A sound file that is read from the first sample to the last."""

    def seekable(self) -> bool:
        """Say no: after each read soundfile would seek to where it is, which takes long in flac."""
        return False


def suits(head: bytes) -> bool:
    """Whether a file that begins so is one for libsndfile.

    It takes a file that it cannot place for what the suffix says, so that is settled here.
    """
    return head[:4] in (b"fLaC", b".snd") or head[8:12] in _KINDS.get(head[:4], ())


def opened(path: Path) -> _Stream | None:
    """The file if libsndfile can decode it, else None; the caller closes it."""
    # Bytes, because soundfile encodes a string strictly, and a name need not be UTF-8.
    name = os.fsencode(path) if os.name == "posix" else os.fspath(path)
    try:
        file = _Stream(name)
    except (soundfile.SoundFileError, RuntimeError):
        return None
    # mp3 in a wav; or a wav whose writer never came to tell the length, of which FFmpeg gives all.
    if file.subtype.startswith("MPEG") or not file.frames:
        file.close()
        return None
    return file


def chunks(path: Path, file: _Stream) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Sample rate and mono chunk, again and again."""
    rate, channels = file.samplerate, file.channels
    require_sane(path, rate, channels)
    # Only flac: of the others libsndfile says what is there, not what was declared.
    declared = file.frames / rate if 0 < file.frames < _UNKNOWN else None
    buffer = np.empty((CHUNK, channels), np.float32)
    held = 0
    while True:
        try:
            samples = file.read(out=buffer)
        except (soundfile.SoundFileError, RuntimeError) as error:
            require_whole(path, held / rate, declared)
            raise AudioError(
                path, f"damaged after {held / rate:.2f} s ({error}); need a whole file"
            ) from error
        if not len(samples):
            break
        held += len(samples)
        yield rate, mono(samples.T)
    require_whole(path, held / rate, declared)
