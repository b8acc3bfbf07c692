"""Title and artist that a file says of itself."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Tags:
    """What is written in a file; empty where nothing is.

    Attributes
    ----------
    title, artist : str
        On one line.
    """

    title: str = ""
    artist: str = ""


def read_tags(path: str | os.PathLike[str]) -> Tags:
    """The tags of an audio or video file; none of a file that cannot be read.

    Parameters
    ----------
    path : path
        Any file.

    Examples
    --------
    >>> read_tags("no such file.mp3")
    Tags(title='', artist='')
    """
    # Not at the top: what lists a library should not wait for FFmpeg.
    import av

    from kinet.audio.coded import FORMATS

    try:
        with av.open(
            os.fspath(path), options={"format_whitelist": FORMATS}, metadata_errors="replace"
        ) as container:
            # Ogg has them at its stream, the others at the file.
            said = [container.metadata, *(stream.metadata for stream in container.streams.audio)]
    except (av.error.FFmpegError, ValueError, OSError):
        return Tags()
    found = {key.lower(): value for tags in reversed(said) for key, value in tags.items()}
    return Tags(*(" ".join(found.get(name, "").split()) for name in ("title", "artist")))
