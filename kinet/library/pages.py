"""An answer as a page to see and hear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinet import page
from kinet.config import FeatureConfig
from kinet.errors import DataError
from kinet.library.finding import Match
from kinet.library.queries import Answer
from kinet.library.sounds import FEATURES
from kinet.matching import Alignment
from kinet.reading import PathLike, show_path
from kinet.remote import AnyPath


def write_answer(path: PathLike, answer: Answer, config: FeatureConfig | None = None) -> None:
    """Write the page of a query and the songs that were found for it, with the sound of all.

    Parameters
    ----------
    path : path
        The HTML file, which needs nothing else.
    answer : Answer
        Of `Library.find`.
    config : FeatureConfig, optional
        Of the library's HPCP; by default kinet's.

    Raises
    ------
    DataError
        If there is nothing to show, or no sound can be encoded here.
    AudioError
        If a recording cannot be decoded any more.
    OSError
        If the file cannot be written.
    """
    if answer.hpcp is None or not answer.matches:
        said = answer.fault or "nothing was found for it"
        raise DataError(f"no page of {show_path(answer.path)}: {said}; need a query with songs")
    first = page.Recording(answer.title, answer.hpcp, _sound(answer.path))
    matches = [_match(match, match.hpcp) for match in answer.matches if match.hpcp is not None]
    page.write_page(path, first, matches, config)


def _match(match: Match, hpcp: NDArray[np.float32]) -> page.Match:
    title = f"{match.title} - {match.artist}" if match.artist else match.title
    return page.Match(
        page.Recording(title, hpcp, _sound(match.path)),
        Alignment(match.score, match.transposition, match.tempo_ratio, match.passages),
    )


def _sound(path: AnyPath) -> AnyPath | None:
    """The file, if it has sound and not features."""
    return None if path.suffix == FEATURES else path
