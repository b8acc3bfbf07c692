"""The one exception of this room."""

from __future__ import annotations

import os

from kinet.errors import DataError


class AudioError(DataError):
    """An audio file that cannot be used.

    Attributes
    ----------
    path : path
        The file.
    message : str
        What was received and what is allowed, one line, without the path.

    Examples
    --------
    >>> str(AudioError("a.mp3", "an empty file; need sound"))
    'a.mp3: an empty file; need sound'
    """

    def __init__(self, path: str | os.PathLike[str], message: str) -> None:
        super().__init__(path, message)  # both, so that it crosses to another process
        self.path, self.message = path, message

    def __str__(self) -> str:
        return f"{os.fspath(self.path)}: {self.message}"
