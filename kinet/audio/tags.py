"""What a file says of its music: title, artist, album."""

from __future__ import annotations

import os
from pathlib import Path

import av

from kinet.audio.coded import FORMATS
from kinet.audio.errors import AudioError
from kinet.audio.lengths import require_sane_lists
from kinet.reading import open_regular

NAMES = ("title", "artist", "album")


def read_tags(path: str | os.PathLike[str]) -> dict[str, str]:
    """Tags of an audio file, as far as it has them; nothing is decoded.

    Parameters
    ----------
    path : path
        An audio file, or a video. One that cannot be read has no tags: what is wrong with it is
        said when its sound is read.

    Returns
    -------
    dict of str to str
        Of ``title``, ``artist`` and ``album`` those that are there and not empty.

    Examples
    --------
    >>> read_tags("nowhere.mp3")
    {}
    """
    try:
        with open_regular(path) as file:
            require_sane_lists(Path(path), file)
            file.seek(0)
            with av.open(
                file, options={"format_whitelist": FORMATS}, metadata_errors="replace"
            ) as container:
                # Ogg has them at its streams.
                found = [container.metadata, *(each.metadata for each in container.streams)]
    except (av.error.FFmpegError, AudioError, ValueError, OSError):
        return {}
    tags: dict[str, str] = {}
    for metadata in found:
        for key, value in metadata.items():
            text = " ".join(value.split())
            if key.casefold() in NAMES and text:
                tags.setdefault(key.casefold(), text)
    return tags
