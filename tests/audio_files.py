"""Sound and video files for tests, made by the encoders that soundfile and PyAV bring.

Nothing is random and nothing is downloaded: the same call makes the same sound.
"""

from __future__ import annotations

import functools
import os
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile

RATE = 44100
PIECE = 1024
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
# What PyAV writes, by suffix: container, codec, sample format. libsndfile writes everything else.
ENCODERS = {
    "m4a": ("ipod", "aac", "fltp"),
    "aac": ("adts", "aac", "fltp"),
    "mka": ("matroska", "libopus", "flt"),
    "wma": ("asf", "wmav2", "fltp"),
    "avi": ("avi", "libmp3lame", "fltp"),
    "ac3": ("ac3", "ac3", "fltp"),
    "mp4": ("mp4", "aac", "fltp"),
    "mov": ("mov", "pcm_s16le", "s16"),
    "mkv": ("matroska", "libmp3lame", "fltp"),
    "webm": ("webm", "libopus", "flt"),
}
VIDEO = {"mp4": "libx264", "mov": "mpeg4", "mkv": "mpeg4", "webm": "libvpx", "avi": "mpeg4"}
SUBTYPES = {"opus": ("OGG", "OPUS"), "ogg": ("OGG", "VORBIS"), "mp3": ("MP3", "MPEG_LAYER_III")}
KINDS = ("music", "silence", "dc", "clipped")


def sound(
    seconds: float = 1.0, rate: int = RATE, channels: int = 1, kind: str = "music"
) -> np.ndarray:
    """A signal: float32, (samples, channels), within -1 to 1 unless `kind` is "clipped"."""
    length = round(seconds * rate)
    time = np.arange(length) / rate
    if kind == "silence":
        mono = np.zeros(length)
    elif kind == "dc":
        mono = np.full(length, 0.25)
    else:  # a major triad with overtones; every half second a fifth higher
        root = 220.0 * 1.5 ** (np.floor(time * 2) % 4)
        pitches = [(k, ratio) for k in (1, 2, 3) for ratio in (1.0, 1.25, 1.5)]
        mono = sum(np.sin(2 * np.pi * root * ratio * k * time) / k for k, ratio in pitches)
        mono *= 8.0 if kind == "clipped" else 0.1
    # Channels differ, so that taking one of them for the mean is seen.
    gains = 1.0 - 0.5 * np.arange(channels) / max(1, channels)
    return (mono[:, None] * gains).astype(np.float32)


def write(
    path: str | os.PathLike[str],
    signal: np.ndarray,
    rate: int = RATE,
    picture: float | None = None,
    **how: str,
) -> Path:
    """Encode a signal of (samples, channels); the suffix says how.

    The picture of a video is as long as its sound, or `picture` seconds.
    `how` goes to soundfile (``subtype="PCM_24"``) or FFmpeg (``movflags="faststart"``).
    """
    path = Path(path)
    suffix = path.suffix[1:]
    if suffix in ENCODERS:
        _write_with_pyav(path, signal, rate, picture, how)
    else:
        container, subtype = SUBTYPES.get(suffix, (None, None))
        settings = {"format": container, "subtype": subtype, **how}
        with soundfile.SoundFile(path, "w", rate, signal.shape[1], **settings) as file:
            for start in range(0, len(signal), PIECE):  # libvorbis crashes on minutes at once
                file.write(signal[start : start + PIECE])
    return path


def make(
    path: str | os.PathLike[str],
    seconds: float = 1.0,
    rate: int = RATE,
    channels: int = 1,
    kind: str = "music",
) -> Path:
    """A file of a given sound; encoded once per process and arguments, then copied."""
    path = Path(path)
    if path.suffix[1:] in ("opus", "webm", "mka") and rate == RATE:
        rate = 48000  # the only one of Opus that is near
    path.write_bytes(_encoded(path.suffix, seconds, rate, channels, kind))
    return path


def video_without_sound(path: str | os.PathLike[str]) -> Path:
    """A video of a quarter of a second with no sound at all."""
    with av.open(str(path), "w") as container:
        stream = _video_stream(container, VIDEO[Path(path).suffix[1:]])
        _encode_video(container, stream, 0.25)
    return Path(path)


@functools.cache
def _encoded(suffix: str, seconds: float, rate: int, channels: int, kind: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        signal = sound(seconds, rate, channels, kind)
        return write(Path(folder, "sound" + suffix), signal, rate).read_bytes()


def _write_with_pyav(
    path: Path, signal: np.ndarray, rate: int, picture: float | None, how: dict[str, str]
) -> None:
    suffix = path.suffix[1:]
    container_format, codec, sample_format = ENCODERS[suffix]
    layout = LAYOUTS[signal.shape[1]]
    with av.open(str(path), "w", format=container_format, options=how) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout, stream.bit_rate = layout, 64_000 * signal.shape[1]
        video = _video_stream(container, VIDEO[suffix]) if suffix in VIDEO else None
        if video is not None:
            _encode_video(container, video, picture or len(signal) / rate)
        resampler = av.AudioResampler(format=sample_format, layout=layout, rate=rate)
        for start in range(0, len(signal), PIECE):
            packed = np.ascontiguousarray(signal[start : start + PIECE]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            frame.sample_rate, frame.pts = rate, start
            frame.time_base = Fraction(1, rate)
            for converted in resampler.resample(frame):
                container.mux(stream.encode(converted))
        container.mux(stream.encode(None))


def _video_stream(container, codec):
    stream = container.add_stream(codec, rate=8)
    stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
    return stream


def _encode_video(container, stream, seconds: float) -> None:
    for index in range(max(1, round(seconds * 8))):
        picture = np.full((32, 32, 3), index % 256, np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    container.mux(stream.encode(None))
