"""Files that FFmpeg's libraries decode: mp3, ogg, opus, m4a, aac, the sound of a video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from kinet.audio.errors import AudioError
from kinet.audio.lengths import require_whole
from kinet.audio.mono import CHUNK, mono, require_sane

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


class _Kind(NamedTuple):
    """What arrays must share to be one array."""

    rate: int  # Hz
    channels: int
    sample_format: str  # FFmpeg's name, without the p of planar


def chunks(path: Path, file: BinaryIO) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Sample rate and mono chunk, again and again; `file` is at its start."""
    try:
        container = av.open(
            _File(file),
            options={"format_whitelist": FORMATS},
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
        frames = _frames(path, container, _sound(path, container))
        arrays = _Arrays(path)
        for kind, samples in _gathered(piece for frame in frames for piece in arrays.of(frame)):
            yield kind.rate, mono(_scaled(samples, kind.sample_format))


class _File:
    """What PyAV reads: a place that a damaged file points to, and that cannot be, gives -1.

    PyAV prints the exceptions of seeks that FFmpeg goes on without.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.tell = file.read, file.tell
        self._seek = file.seek

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


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


def _frames(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    """Frames of a stream, all of them or an error."""
    declared, streams = _declared(container, stream)
    held = reached = 0.0
    idle, fault = 0, ""
    try:
        for packet in container.demux(*streams):
            if len(streams) > 1:
                reached = max(reached, _end(packet))
                if packet.stream.index != stream.index:
                    continue
            frames, why = _decode(stream, packet)
            # Tags and zeros after the last frame are no fault; what sound follows is one.
            fault = fault or why
            if fault and frames:
                raise _damaged(path, held, fault)
            idle = 0 if frames else idle + 1
            if idle > _IDLE:
                raise AudioError(path, f"{_IDLE} packets without sound ({fault}); {NEED}")
            for frame in frames:
                yield frame
                held += frame.samples / frame.sample_rate
    except _ERRORS as error:
        raise _damaged(path, held, _why(error)) from error
    if fault and not held:
        raise AudioError(path, f"sound that cannot be decoded ({fault}); {NEED}")
    require_whole(path, reached if len(streams) > 1 else held, declared)


def _decode(stream: Any, packet: Any) -> tuple[list[Any], str]:
    """Frames of a packet, or why there are none."""
    try:
        return stream.decode(packet), ""
    except _ERRORS as error:
        return [], _why(error)


def _end(packet: Any) -> float:
    """When a packet ends, in seconds; 0 if it does not say."""
    if packet.pts is None or not packet.duration or not packet.time_base:
        return 0.0
    return float((packet.pts + packet.duration) * packet.time_base)


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


def _gathered(pieces: Iterator[tuple[_Kind, Any]]) -> Iterator[tuple[_Kind, Any]]:
    """Arrays of some hundred samples to arrays of at least CHUNK, as long as they are of a kind."""
    gathered: list[Any] = []
    count = 0
    kind: _Kind | None = None
    for piece_kind, piece in pieces:
        if kind is not None and (count >= CHUNK or piece_kind != kind):
            yield kind, np.concatenate(gathered, axis=1)
            gathered, count = [], 0
        kind = piece_kind
        gathered.append(piece)
        count += piece.shape[1]
    if kind is not None:
        yield kind, np.concatenate(gathered, axis=1)


def _scaled(samples: Any, sample_format: str) -> NDArray[np.float32]:
    """Samples as FFmpeg holds them to float32, full scale -1 to 1."""
    with np.errstate(over="ignore"):  # infinity is reported with its time
        samples = samples.astype(np.float32, copy=False)
    if sample_format == "u8":
        samples = samples - np.float32(128)
    scale = _SCALE[sample_format]
    return samples if scale == 1.0 else samples * np.float32(scale)


class _Arrays:
    """Frames to arrays; layout, rate and sample format may change between two frames."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._packers: dict[tuple[str, str, int], Any] = {}

    def of(self, frame: Any) -> list[tuple[_Kind, Any]]:
        """Kind, and (channels, samples) as FFmpeg holds them, of each part of a frame."""
        channels = len(frame.layout.channels)
        require_sane(self.path, frame.sample_rate, channels)
        # PyAV looks for a null pointer after the planes. From eight on there is none, and it reads
        # memory that is not the frame's.
        unsafe = frame.format.is_planar and channels >= _PLANES
        try:
            parts = self._packed(frame) if unsafe else [frame]
            return [self._array(part, channels) for part in parts]
        except _ERRORS as error:
            raise AudioError(
                self.path, f"sound that cannot be converted ({_why(error)}); {NEED}"
            ) from error

    def _packed(self, frame: Any) -> list[Any]:
        key = frame.layout.name, frame.format.name, frame.sample_rate
        if key not in self._packers:
            self._packers[key] = av.AudioResampler("flt", frame.layout, frame.sample_rate)
        return self._packers[key].resample(frame)

    def _array(self, frame: Any, channels: int) -> tuple[_Kind, Any]:
        name = frame.format.name.removesuffix("p")
        if name not in _SCALE:
            raise AudioError(self.path, f"samples of the format {frame.format.name}; {NEED}")
        samples = frame.to_ndarray()
        if not frame.format.is_planar:
            samples = samples.reshape(-1, channels).T
        return _Kind(frame.sample_rate, channels, name), samples


def _damaged(path: Path, held: float, why: str) -> AudioError:
    return AudioError(path, f"damaged after {held:.2f} s ({why}); need a whole file")


def _why(error: Exception) -> str:
    """FFmpeg's own words, without the name of the function that failed."""
    return getattr(error, "strerror", None) or str(error)
