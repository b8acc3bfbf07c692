"""The pages of an Ogg file: all there, each as it was written.

FFmpeg passes over a page that is damaged and does not miss one that is gone, so that the sound
comes out shorter without an error. Layout and checksum are those of RFC 3533 (Pfeiffer, "The Ogg
Encapsulation Format Version 0", 2003).
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

_HEAD = struct.Struct("<4sBBqIIIB")
_MARK = b"OggS"
_BEGINS, _ENDS = 2, 4  # flags of the first and the last page of a stream
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ogg_fault(file: BinaryIO) -> str:
    """What is wrong with the pages of an Ogg file; empty if nothing is.

    Streams can be mixed and follow each other. Each must have its pages without a gap, from the
    first to the one that is marked as the last. What comes after all have ended is not looked at.

    Parameters
    ----------
    file : binary file
        Open; it begins with a page.

    Examples
    --------
    >>> import io
    >>> ogg_fault(io.BytesIO(b"OggS"))
    'cut off in the page at byte 0'
    """
    following: dict[int, int] = {}  # number of the next page of each stream that has not ended
    position = file.seek(0)
    while True:
        head = file.read(_HEAD.size)
        if not following and not head.startswith(_MARK) and position:
            return ""
        if not head:
            return "cut off: no mark of the end"
        if not _MARK.startswith(head[:4]):
            return f"damaged: no page at byte {position}"
        if len(head) < _HEAD.size:
            return f"cut off in the page at byte {position}"
        _, _, flags, _, stream, number, checksum, segments = _HEAD.unpack(head)
        sizes = file.read(segments)
        body = file.read(sum(sizes))
        if len(sizes) < segments or len(body) < sum(sizes):
            return f"cut off in the page at byte {position}"
        if _checksum(head[:22] + bytes(4) + head[26:] + sizes + body) != checksum:
            return f"damaged: the page at byte {position} has another checksum"
        expected = number if flags & _BEGINS else following.get(stream)
        if number != expected:
            return f"damaged: pages are missing before byte {position}"
        following[stream] = number + 1
        if flags & _ENDS:
            del following[stream]
        position += len(head) + len(sizes) + len(body)


def _checksum(page: bytes) -> int:
    """CRC-32 with the bits in the other order than zlib's, from 0 and not inverted at the end."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{mirrored:032b}"[::-1], 2)
