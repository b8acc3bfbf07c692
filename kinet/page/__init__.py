"""One file to see and hear where recordings match, which loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinet.config import FeatureConfig
from kinet.errors import printable
from kinet.files import write_text_atomically
from kinet.matching import Alignment, Passage
from kinet.matching.recurrence import MOMENT, Hpcp, cross_similarity, in_steps
from kinet.page.sound import compact_sound, speed_to_raise
from kinet.pictures import pitch_names
from kinet.remote import AnyPath

__all__ = ["Match", "Recording", "write_page"]

# Values along a side of a matrix: more than a screen shows would only make the file larger.
_SIDE = 600
# Vectors of a path that become one point: steps of half a second would sound uneven.
_POINT = 8


@dataclass(frozen=True)
class Recording:
    """What a page shows of a recording.

    Attributes
    ----------
    title : str
        Any text.
    hpcp : ndarray, shape (T, 12)
        As it was aligned.
    sound : path or None
        The recording itself, which is put into the page; None where there are features only.
    """

    title: str
    hpcp: Hpcp
    sound: AnyPath | None = None


@dataclass(frozen=True)
class Match:
    """A recording and how it matches the first of the page: ``align(first.hpcp, its hpcp)``."""

    recording: Recording
    alignment: Alignment


def write_page(
    path: str | os.PathLike[str],
    first: Recording,
    matches: Sequence[Match],
    config: FeatureConfig | None = None,
) -> None:
    """Write a page of a recording and those that match it, in one step.

    Parameters
    ----------
    path : path
        The HTML file.
    first : Recording
        The one that the others are compared with.
    matches : sequence of Match
        The others, in the order in which they are listed; from one on.
    config : FeatureConfig, optional
        With which settings all HPCP were made; by default kinet's.

    Raises
    ------
    AudioError
        If a recording cannot be decoded.
    DataError
        If no mp3 can be encoded here.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from kinet.matching import align
    >>> hpcp = np.eye(12, dtype=np.float32)
    >>> match = Match(Recording("<b>", hpcp), align(hpcp, hpcp))
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_page(Path(folder, "a.html"), Recording("a", hpcp), [match])
    ...     "<b>" in Path(folder, "a.html").read_text()
    False
    """
    config = config or FeatureConfig()
    others = [_recording(each.recording, config, -each.alignment.transposition) for each in matches]
    values = {
        "pitches": pitch_names(config),
        "recordings": [_recording(first, config), *others],
        "matches": [_match(first, each, at, config) for at, each in enumerate(matches, start=1)],
    }
    script, style = _resource("page.js"), _resource("page.css")
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        "media-src blob:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "POLICY": policy,
        "TITLE": html.escape(printable(f"{first.title} - kinet")),
        "STYLE": style,
        "SCRIPT": script,
        # A name could end the element.
        "DATA": json.dumps(values, allow_nan=False).replace("<", "\\u003c"),
    }
    # All at once: what a part holds is not looked through.
    text = re.sub("@([A-Z]+)@", lambda found: parts[found[1]], _resource("page.html"))
    write_text_atomically(path, text)


def _resource(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """What a policy says of a script or style that stands in the page."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _base64(values: bytes) -> str:
    return base64.b64encode(values).decode()


def _recording(recording: Recording, config: FeatureConfig, semitones: int = 0) -> dict[str, Any]:
    """A recording, its sound raised by so many semitones."""
    speed = speed_to_raise(semitones)
    sound = recording.sound and compact_sound(recording.sound, speed)
    hpcp = np.clip(np.rint(255 * recording.hpcp), 0, 255).astype(np.uint8)
    return {
        "title": printable(recording.title),
        "seconds": len(hpcp) * config.seconds_per_vector,
        "hpcp": _base64(hpcp.tobytes()),
        "speed": speed,
        "sound": _base64(sound) if sound else None,
    }


def _match(first: Recording, match: Match, number: int, config: FeatureConfig) -> dict[str, Any]:
    alignment, seconds = match.alignment, config.seconds_per_vector
    return {
        "recording": number,
        "score": alignment.score,
        "transposition": alignment.transposition,
        "tempoRatio": alignment.tempo_ratio,
        "passages": [
            {"where": str(passage), "points": _points(passage, seconds)}
            for passage in alignment.passages
        ],
        "matrix": _matrix(first.hpcp, match.recording.hpcp, alignment.transposition, seconds),
    }


def _points(passage: Passage, seconds: float) -> list[list[float]]:
    """Where a passage leads, in seconds: its ends, and the means of some vectors between them."""
    path = passage.path + MOMENT / 2
    cuts = range(_POINT, len(path) - _POINT // 2, _POINT)
    means = [part.mean(axis=0) for part in np.split(path, cuts)[1:-1]]
    points = np.array([path[0], *means, path[-1]]) * seconds
    return np.round(points, 2).tolist()


def _matrix(a: Hpcp, b: Hpcp, transposition: int, seconds: float) -> dict[str, Any]:
    """How alike all moments are, 0 to 255, column by column; and which times they span."""
    a, b, step = in_steps(a, b)
    seconds *= step
    similarity = cross_similarity(a, np.roll(b, -transposition, axis=1))
    low, high = np.percentile(similarity, (50, 99.5))
    shades = _smaller(_smaller((similarity - low) / max(high - low, 1e-6), 0), 1)
    values = np.rint(255 * np.clip(shades, 0, 1)).astype(np.uint8)
    begin = MOMENT / 2 * seconds
    return {
        "columns": len(values),
        "rows": values.shape[1],
        "values": _base64(values.tobytes()),
        "from": begin,
        "to": [begin + (count - 1) * seconds for count in similarity.shape],
    }


def _smaller(values: NDArray[Any], axis: int) -> NDArray[Any]:
    """The largest of neighbours along an axis, so that at most `_SIDE` are left."""
    length = values.shape[axis]
    starts = np.unique(np.arange(_SIDE) * length // _SIDE)
    return np.maximum.reduceat(values, starts, axis=axis)
