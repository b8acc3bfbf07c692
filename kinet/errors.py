"""The exceptions that a user can meet.

Every message is one line: what was wrong, what was received, what is allowed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# What others' errors quote can be a whole file.
_LONGEST = 300


class KinetError(Exception):
    """Base of all errors that are caused by input, settings or the machine, not by a bug."""


class SettingsError(KinetError):
    """A setting, or a combination of settings, that cannot work."""


class DataError(KinetError):
    """A list, a feature file or an array that is not what it should be."""


class CheckpointError(KinetError):
    """A model file that is damaged, of another version, or needs something that is absent."""


class PluginError(KinetError):
    """A plug-in that is unknown, claimed twice, broken or does not keep its contract."""


class BackendError(KinetError):
    """A backend or a device that is not there."""


class PeerLost(BackendError):
    """Another process of the same training that has ended, or that cannot be heard any more."""


class ExportError(KinetError):
    """A format that cannot be written here, or a file that does not agree with its model."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Message for a name that nobody registered, with the closest known one.

    Examples
    --------
    >>> unknown_name("block", "widr", ["simple", "wider"])
    "unknown block 'widr', did you mean 'wider'? Known: simple, wider"
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    guess = f", did you mean {close[0]!r}?" if close else "."
    return f"unknown {kind} {name!r}{guess} Known: {', '.join(names) or 'none'}"


def printable(text: str) -> str:
    """`text` for a terminal: what would steer it, or turn the direction of writing, is escaped.

    Names of files, ids and what a model file says of itself can hold such characters.

    Examples
    --------
    >>> printable("caf\\u00e9 \\x1b[2J \\u202e3pm")
    'caf\u00e9 \\\\x1b[2J \\\\u202e3pm'
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def first_line(error: BaseException) -> str:
    """Type and first line of an error of foreign code, to quote it in another one."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else "no message"
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} ..."
    return f"{type(error).__name__}: {text}"
