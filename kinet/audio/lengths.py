"""How long a file says it is, against what is there.

Half a song has features like a whole one has. So a file that declares its length, or marks its
end, and stops earlier is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kinet.audio.errors import AudioError
from kinet.audio.pages import ogg_fault

# Encoders count their delay, their padding or a frame of tags in or out: 0.13 s at most in AAC of
# 8 kHz. A file that ends earlier by more than this was cut.
TOLERANCE = 0.2  # seconds
# Where the first chunk is, how its size is written, and the name of the chunk with the sound.
_CHUNKS = {
    b"RIFF": (12, "<I", b"data"),
    b"RIFX": (12, ">I", b"data"),
    b"RF64": (12, "<I", b"data"),
    b"FORM": (12, ">I", b"SSND"),
    b"caff": (8, ">Q", b"data"),
}
_MANY = 1000  # chunks; a file of zeros is nothing but chunks
# A program that writes into a pipe cannot know the size; it writes one that no file has.
_UNKNOWN = {4: 0x7FFF_0000, 8: 2**62}
_PAST_ALL = 2**63  # no file reaches this place, to which a damaged one may point
# libsndfile reads a list of titles and names as a whole, however long it says that it is.
_LONGEST_LIST = 2**24  # bytes


def require_whole(path: Path, held: float, declared: float | None) -> None:
    """Refuse a file that holds clearly less than it declares; both in seconds."""
    if declared is not None and held < declared - TOLERANCE:
        raise AudioError(
            path, f"cut off or damaged: holds {held:.2f} s of {declared:.2f} s; need a whole file"
        )


def require_sane_lists(path: Path, file: BinaryIO) -> None:
    """Refuse a wav with a list that it does not hold or that no titles fill."""
    magic, form, held = _at(file, 0, 4), _at(file, 8, 4), file.seek(0, 2)
    if magic not in _CHUNKS or form != b"WAVE":
        return
    for name, position, size in _chunks(file, magic):
        if name == b"LIST" and size > min(_LONGEST_LIST, held - position):
            raise AudioError(
                path,
                f"damaged: a list of {size} bytes, {held - position} are left in the file; need a "
                "whole file",
            )


def require_end(path: Path, file: BinaryIO, held: float) -> None:
    """Refuse a file whose container says that something follows the `held` seconds."""
    magic = _at(file, 0, 4)
    if magic == b"OggS":
        if fault := ogg_fault(file):
            raise AudioError(path, f"{fault}, {held:.2f} s decoded; need a whole file")
    elif (share := _share(file, magic)) is not None:
        require_whole(path, held, held / share)
    elif (seconds := _mp3_seconds(file)) is not None:
        require_whole(path, held, seconds)


def _share(file: BinaryIO, magic: bytes) -> float | None:
    """Bytes of sound that the file has by bytes that it declares, where it has fewer."""
    found = _au_sound(file) if magic == b".snd" else _sound_chunk(file, magic)
    if found is None:
        return None
    position, size, unknown = found
    there = file.seek(0, 2) - position
    return there / size if 0 < there < size < unknown else None


def _au_sound(file: BinaryIO) -> tuple[int, int, int]:
    """As `_sound_chunk`."""
    head = _at(file, 4, 8)
    return int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big"), _UNKNOWN[4]


def _sound_chunk(file: BinaryIO, magic: bytes) -> tuple[int, int, int] | None:
    """Where the chunk with the sound begins, its declared size, what size would mean "unknown"."""
    if magic not in _CHUNKS:
        return None
    _, size_format, wanted = _CHUNKS[magic]
    for name, position, size in _chunks(file, magic):
        if name == wanted and magic == b"RF64" and size == 0xFFFF_FFFF:
            return position, int.from_bytes(_at(file, 28, 8), "little"), _UNKNOWN[8]  # in ds64
        if name == wanted:
            return position, size, _UNKNOWN[struct.calcsize(size_format)]
    return None


def _chunks(file: BinaryIO, magic: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name of every chunk, where its content begins, and what it says is its size in bytes."""
    position, size_format, _ = _CHUNKS[magic]
    width = struct.calcsize(size_format)
    for _ in range(_MANY):
        head = _at(file, position, 4 + width)
        if len(head) < 4 + width:
            break
        (size,) = struct.unpack(size_format, head[4:])
        position += 4 + width
        yield head[:4], position, size
        position += size + (size % 2 if width == 4 else 0)


def _mp3_seconds(file: BinaryIO) -> float | None:
    """Length of an mp3 that says how many frames it has, in a Xing or Info header."""
    start = 0
    for _ in range(_MANY):
        tag = _at(file, start, 10)
        if tag[:3] != b"ID3" or len(tag) < 10:
            break
        start += 10 + _seven_bits(tag[6:])
    frame = _at(file, start, 4 + 32 + 12)
    if len(frame) < 48 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:  # layer III
        return None
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    version, index = frame[1] >> 3 & 3, frame[2] >> 2 & 3
    if at < 0 or len(frame) < at + 12 or not frame[at + 7] & 1 or version == 1 or index == 3:
        return None
    count = int.from_bytes(frame[at + 8 : at + 12], "big")
    rate = (44100, 48000, 32000)[index] >> {3: 0, 2: 1, 0: 2}[version]
    return count * (1152 if version == 3 else 576) / rate


def _seven_bits(number: bytes) -> int:
    """A big-endian number of which each byte holds seven bits, as ID3 writes sizes."""
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(number)))


def _at(file: BinaryIO, position: int, count: int) -> bytes:
    if position >= _PAST_ALL:
        return b""
    file.seek(position)
    return file.read(count)
