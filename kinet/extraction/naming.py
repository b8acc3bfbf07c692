"""A recording with its ids, and how ids are made of names."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field

from kinet.remote import AnyPath

# Of a file on its own nothing is known but its name, which is its song.
ONLY_VERSION = "1"
# Two ids, "_" and ".npy" fit into the 255 bytes that a file's name may have.
LONGEST_ID = 100

# White space separates the ids in a list; the others cannot be in a file's name everywhere.
_FORBIDDEN = re.compile(r"[\s/\\:*?\"<>|\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Source:
    """One recording, and whose version of which song it is.

    Attributes
    ----------
    path : pathlib.Path or Url
        The audio file, which need not exist.
    song_id, version_id : str
        Without white space, '/' and such.
    fault : str
        Why nothing can be made of it, as ids that are another's too; empty if all is well.
    title, artist : str
        As a person would say it; empty where nothing tells.
    """

    path: AnyPath
    song_id: str
    version_id: str
    fault: str = ""
    # The same recording, whoever read its title.
    title: str = field(default="", compare=False)
    artist: str = field(default="", compare=False)


def make_id(name: str) -> str:
    """The id that a file or folder gets from its name.

    White space around it is dropped; every run of white space and of characters that cannot be
    in a file's name everywhere (``/ \\ : * ? " < > |`` and control characters) becomes one ``-``.
    Letters of all scripts stay, in Unicode's form NFC. An id of more than 100 bytes is cut and
    ends with eight digits that depend on all of it.

    Parameters
    ----------
    name : str
        Any text.

    Returns
    -------
    str
        1 to 100 bytes as UTF-8; an id of an id is the id itself.

    Examples
    --------
    >>> make_id(" Für  Elise / live")
    'Für-Elise-live'
    """
    # What was no text in a file's name comes as lone surrogates, which no file can hold.
    text = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    text = _FORBIDDEN.sub("-", text.strip()) or "-"
    whole = text.encode()
    if len(whole) <= LONGEST_ID:
        return text
    digits = hashlib.sha256(whole).hexdigest()[:8]
    return whole[: LONGEST_ID - 9].decode(errors="ignore") + "-" + digits
