"""Names of music files to title, artist and remark; titles to ids of songs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

# "01 Help", "1-07. Help", "A2 - Help": the number of a track, maybe with that of its disc.
_NUMBER = re.compile(r"(?:\d{1,2}[-.])?(?:\d{1,3}|[A-D]\d{1,2})(?:\s*[-._)]\s*|\s+)(?=\S)")
# "(Live)", "[Remastered 2009]" at the end.
_BRACKETS = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]\s*$")
# What stands behind a title as if it were one: "Help - Remastered 2009".
_REMARK = re.compile(
    r"\b(remaster(ed)?|live|mono|stereo|version|mix|remix|edit|demo|acoustic|take|bonus|"
    r"instrumental|unplugged|session)\b",
    re.IGNORECASE,
)
# What tells versions of a song apart, and no songs.
_NO_SONG = re.compile(
    r"\d+|acoustic|audio|bonus|cover|demo|edit|final|instrumental|karaoke|live|master|mix|mono|new|"
    r"old|original|recording|rehearsal|remaster|remastered|remix|session|stereo|studio|take|track|"
    r"unplugged|untitled|version|video"
)
_SEPARATOR = re.compile(r"\s+[-–—]\s+")


@dataclass(frozen=True)
class Name:
    """What a name says of a recording.

    Attributes
    ----------
    title : str
        Of the song; never empty.
    artist : str
        What stands before the title, else empty.
    remark : str
        What stands behind it, as ``Live`` or ``Remastered 2009``, else empty.
    """

    title: str
    artist: str = ""
    remark: str = ""


def has_number(name: str) -> bool:
    """Whether a name begins with the number of a track.

    Examples
    --------
    >>> has_number("01 Help"), has_number("1-07. Help"), has_number("1970 live"), has_number("99")
    (True, True, False, False)
    """
    return _NUMBER.match(name) is not None


def are_numbered(names: Iterable[str]) -> bool:
    """Whether most names begin with the number of a track, so that these are no part of titles.

    Examples
    --------
    >>> are_numbered(["01 Help", "02 The Night Before"]), are_numbered(["99 Luftballons", "Help"])
    (True, False)
    """
    found = [has_number(name) for name in names]
    return sum(found) * 2 > len(found)


def read_name(name: str, numbered: bool) -> Name:
    """Title, artist and remark of a file's name without its ending.

    Parameters
    ----------
    name : str
        As ``01 Help``, ``The Beatles - Help (Live)`` or ``Help - Remastered 2009``.
    numbered : bool
        Whether a number at its beginning is that of a track.

    Returns
    -------
    Name

    Examples
    --------
    >>> read_name("13 Yesterday - Remastered 2009", numbered=True)
    Name(title='Yesterday', artist='', remark='Remastered 2009')
    >>> read_name("Nina Simone - Feeling Good (Live)", numbered=False)
    Name(title='Feeling Good', artist='Nina Simone', remark='Live')
    """
    rest = _NUMBER.sub("", name, count=1) if numbered else name
    parts = [part for part in _SEPARATOR.split(rest.strip()) if part]
    remarks: list[str] = []
    while len(parts) > 1 and _REMARK.search(without_remark(parts[-1])[0]):
        remarks.insert(0, parts.pop())
    title, in_brackets = without_remark(parts[-1]) if parts else (name, "")
    remarks.insert(0, in_brackets)
    return Name(title, " - ".join(parts[:-1]), " ".join(filter(None, remarks)))


def without_remark(title: str) -> tuple[str, str]:
    """A title without the brackets at its end, and what stood in these.

    Examples
    --------
    >>> without_remark("Feeling Good (Live) [1965]"), without_remark("(What A) Wonderful World")
    (('Feeling Good', 'Live 1965'), ('(What A) Wonderful World', ''))
    """
    remarks: list[str] = []
    while (found := _BRACKETS.search(title)) and title[: found.start()].strip():
        remarks.insert(0, found[1].strip())
        title = title[: found.start()]
    return title.strip(), " ".join(filter(None, remarks))


def names_a_song(title: str) -> bool:
    """Whether a title can be told from others: numbers and words such as "live" name no song.

    Examples
    --------
    >>> names_a_song("Live and Let Die"), names_a_song("Live"), names_a_song("cover 2")
    (True, False, False)
    >>> names_a_song("track01"), names_a_song("1979"), names_a_song("!!!")
    (False, False, True)
    """
    words = re.findall(r"[^\W\d_]+|\d+", title.casefold())
    return not words or not all(map(_NO_SONG.fullmatch, words))


def song_of(title: str) -> str:
    """A title as it is compared: small letters and digits, words joined by ``-``.

    Titles that differ in capitals, punctuation and accents alone are one song.

    Examples
    --------
    >>> song_of("Don't Stop!"), song_of("Für Elise"), song_of("???")
    ('dont-stop', 'fur-elise', '???')
    """
    # A letter may have a small one only once it is taken apart, as that of a script of mathematics.
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", title).casefold())
    letters = "".join(c for c in text if not unicodedata.combining(c) and c not in "'’`´")
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", letters))
    return "-".join(words) or title
