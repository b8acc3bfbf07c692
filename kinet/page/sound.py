"""The sound of a recording, small enough to lie in a page, in a format that every browser plays."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

from kinet.audio import AudioError, read_chunks
from kinet.config import PITCH_CLASSES
from kinet.errors import DataError, first_line
from kinet.reading import reason
from kinet.remote import local_copy, path_or_url

RATE = 24_000
_BITS_PER_SECOND = 48_000
_FORMAT = _CODEC = "mp3"


def speed_to_raise(semitones: int) -> float:
    """How many times as fast as it was played a recording sounds so much higher.

    Examples
    --------
    >>> speed_to_raise(12), round(speed_to_raise(-5), 3)
    (2.0, 0.749)
    """
    return float(2 ** (semitones / PITCH_CLASSES))


def compact_sound(path: str | os.PathLike[str], speed: float = 1.0) -> bytes:
    """A recording as mono mp3 of 48 kbit/s, 0.36 MB a minute.

    Parameters
    ----------
    path : path or Url
        A recording.
    speed : float
        So many times as fast, and as much higher; 0.5 to 2. A browser that plays it slower can
        keep this pitch, and so play it in another key than it was.

    Returns
    -------
    bytes

    Raises
    ------
    AudioError
        As `kinet.audio.read_chunks`, or if it cannot be fetched from its store.
    DataError
        If the library that encodes lacks mp3.

    Examples
    --------
    >>> import soundfile, tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a second.wav")
    ...     soundfile.write(path, np.zeros(44100), 44100)
    ...     len(compact_sound(path)) // 1000
    6
    """
    try:
        with local_copy(path_or_url(path)) as here:
            return _encoded(here, speed)
    except OSError as error:
        raise AudioError(path, f"{reason(error)}; need a recording") from error


def _encoded(here: Path, speed: float) -> bytes:
    import av

    written = io.BytesIO()
    try:
        with av.open(written, "w", format=_FORMAT) as container:
            stream = container.add_stream(_CODEC, rate=RATE, layout="mono")
            stream.bit_rate = _BITS_PER_SECOND
            # Samples of another rate, said to be of this one, are faster and higher.
            for chunk in read_chunks(here, round(RATE / speed)):
                samples = np.clip(chunk, -1, 1)[None]
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                frame.sample_rate = RATE
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except AudioError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        raise DataError(f"cannot encode {_CODEC} here ({first_line(error)})") from error
    return written.getvalue()
