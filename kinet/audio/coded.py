"""Files that FFmpeg's libraries decode: mp3, ogg, opus, m4a, aac, the sound of a video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from kinet.audio.errors import AudioError
from kinet.audio.lengths import require_whole
from kinet.audio.mono import BLOCK, mono, require_sane

# What people keep music in. FFmpeg knows hundreds of formats more; some are lists of other files,
# which a text named .mp3 may turn out to be, and would be opened.
FORMATS = (
    "mp3,aac,ogg,mov,matroska,asf,flac,wav,w64,aiff,au,caf,ac3,eac3,dts,avi,flv,mpegts,mpeg,"
    "ape,wv,tta,mpc,mpc8,dsf,amr,loas"
)
NEED = "need wav, flac, ogg, opus, mp3, m4a, aac or a video with sound"
_DECLARING = {"mov", "matroska", "flac"}  # the others' durations FFmpeg may have guessed
_SCALE = {"u8": 2.0**-7, "s16": 2.0**-15, "s32": 2.0**-31, "flt": 1.0, "dbl": 1.0}
_IDLE = 1000  # packets on end without a sample: this is not sound
# PyAV's own, what it raises on values that it does not know, and what reading the file raises.
_ERRORS = (av.error.FFmpegError, ValueError, OSError)
_PLANES = 8
_READ = 2**17  # bytes at once


def blocks(path: Path, file: BinaryIO) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Sample rate and mono block, again and again; `file` is at its start."""
    try:
        container = av.open(
            file,
            options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            metadata_errors="replace",
            buffer_size=_READ,
        )
    except _ERRORS as error:
        file.seek(4)
        if file.read(4) == b"ftyp":  # mp4: the index is at the end, unless it was put first
            message = "cut off or damaged: an mp4 without its index; need a whole file"
        else:
            message = f"no audio in a known format ({_why(error)}); {NEED}"
        raise AudioError(path, message) from error
    with container:
        yield from _gathered(path, _decoded(path, container, _sound(path, container)))


def _sound(path: Path, container: Any) -> Any:
    """The first audio stream."""
    if not container.streams.audio:
        kinds = ", ".join(stream.type for stream in container.streams) or "none"
        raise AudioError(path, f"no sound in it (streams: {kinds}); {NEED}")
    stream = container.streams.audio[0]
    codec = stream.codec_context
    if codec is None:
        raise AudioError(path, f"sound that FFmpeg has no decoder for; {NEED}")
    if codec.sample_rate:  # else the first frame tells
        require_sane(path, codec.sample_rate, max(1, codec.channels))
    codec.thread_count = 1  # one file per processor is faster than one file on all
    return stream


def _decoded(path: Path, container: Any, stream: Any) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Rate and mono samples of each frame of a stream."""
    declared, streams = _declared(container, stream)
    held = reached = 0.0
    idle, fault, to_mono = 0, "", _Mono(path)
    try:
        for packet in container.demux(*streams):
            if packet.pts is not None and packet.duration:
                reached = max(reached, float((packet.pts + packet.duration) * packet.time_base))
            if packet.stream.index != stream.index:
                continue
            idle += 1
            if idle > _IDLE:
                raise AudioError(path, f"{_IDLE} packets without sound; {NEED}")
            try:
                frames = stream.decode(packet)
            except _ERRORS as error:
                # Tags and zeros after the last frame are no fault; what sound follows is one.
                fault = _why(error)
                continue
            for frame in frames:
                if fault:
                    raise AudioError(
                        path, f"damaged after {held:.2f} s ({fault}); need a whole file"
                    )
                idle = 0
                for samples in to_mono(frame):
                    yield frame.sample_rate, samples
                    held += len(samples) / frame.sample_rate
    except _ERRORS as error:
        raise AudioError(
            path, f"damaged after {held:.2f} s ({_why(error)}); need a whole file"
        ) from error
    require_whole(path, reached if len(streams) > 1 else held, declared)


def _declared(container: Any, stream: Any) -> tuple[float | None, list[Any]]:
    """Seconds that the file says it has, and the streams that must be read to know they are there.

    Matroska declares one length, that of its longest stream; often that is the picture's.
    """
    if not _DECLARING & set(container.format.name.split(",")):
        return None, [stream]
    if stream.duration is not None:
        return float(stream.duration * stream.time_base), [stream]
    if container.duration is None:
        return None, [stream]
    return container.duration / 1e6, list(container.streams)


def _gathered(
    path: Path, pieces: Iterator[tuple[int, NDArray[np.float32]]]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Pieces of some hundred samples to blocks."""
    gathered: list[NDArray[np.float32]] = []
    count = rate = 0
    for piece_rate, piece in pieces:
        if gathered and (count >= BLOCK or piece_rate != rate):
            yield rate, np.concatenate(gathered)
            gathered, count = [], 0
        rate = piece_rate
        gathered.append(piece)
        count += len(piece)
    if gathered:
        yield rate, np.concatenate(gathered)


class _Mono:
    """Frames of any layout and sample format, which may change between two, to (samples,)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._packers: dict[tuple[str, str, int], Any] = {}

    def __call__(self, frame: Any) -> Iterator[NDArray[np.float32]]:
        channels = len(frame.layout.channels)
        require_sane(self.path, frame.sample_rate, channels)
        # PyAV looks for a null pointer after the planes. From eight on there is none, and it reads
        # memory that is not the frame's.
        whole = frame.format.is_planar and channels >= _PLANES
        for part in self._packed(frame) if whole else [frame]:
            yield self._samples(part, channels)

    def _packed(self, frame: Any) -> list[Any]:
        key = frame.layout.name, frame.format.name, frame.sample_rate
        if key not in self._packers:
            self._packers[key] = av.AudioResampler("flt", frame.layout, frame.sample_rate)
        return self._packers[key].resample(frame)

    def _samples(self, frame: Any, channels: int) -> NDArray[np.float32]:
        name = frame.format.name.removesuffix("p")
        if name not in _SCALE:
            raise AudioError(self.path, f"samples of the format {frame.format.name}; {NEED}")
        samples = frame.to_ndarray()
        if not frame.format.is_planar:
            samples = samples.reshape(-1, channels).T
        if name != "flt":
            with np.errstate(over="ignore"):  # infinity is reported with its time
                samples = samples.astype(np.float32)
            samples = (samples - np.float32(128 if name == "u8" else 0)) * np.float32(_SCALE[name])
        return mono(samples)


def _why(error: Exception) -> str:
    """FFmpeg's own words, without the name of the function that failed."""
    return getattr(error, "strerror", None) or str(error)
