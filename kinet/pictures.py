"""Pictures for people: needs Matplotlib, from the extra ``pictures``."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kinet.config import PITCH_CLASSES, FeatureConfig
from kinet.errors import DataError, printable
from kinet.files import write_atomically
from kinet.matching import Alignment, clock
from kinet.matching.recurrence import MOMENT

# Of the semitones from A.
PITCH_NAMES = ("A", "A♯", "B", "C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯")


def draw_distances(
    path: str | Path, embeddings: np.ndarray, labels: Sequence[Hashable], title: str
) -> None:
    """Draw the matrix of cosine distances, tracks sorted by song, songs framed.

    Parameters
    ----------
    path : path
        The PNG file to write, in one step.
    embeddings : ndarray
        ``(N, D)`` unit rows.
    labels : sequence
        The song of each row.
    title : str
        Above the picture.

    Raises
    ------
    DataError
        If Matplotlib is not installed.
    """
    figure = _figure(7, 6)
    songs, numbers = np.unique(np.asarray([str(label) for label in labels]), return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    rows = np.asarray(embeddings, np.float32)[order]
    axes = figure.add_subplot()
    image = axes.imshow(1 - rows @ rows.T, cmap="viridis", vmin=0)
    edges = np.searchsorted(numbers[order], np.arange(len(songs) + 1)) - 0.5
    for start, end in itertools.pairwise(edges):
        side = end - start
        outline = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) * side + start
        axes.plot(*outline.T, color="white", lw=0.8)
    axes.set_title(title)
    axes.set_xlabel("track, sorted by song (each frame is one song)")
    axes.set_ylabel("track")
    figure.colorbar(image, label="cosine distance")
    _write(figure, path)


def draw_nearest(
    path: str | Path, titles: Sequence[str], cosines: Sequence[float], own: int | None, title: str
) -> None:
    """Draw the songs nearest to a recording as bars, the nearest on top, its own in colour.

    Parameters
    ----------
    path : path
        The PNG file to write, in one step.
    titles : sequence of str
        Of the songs, the nearest first.
    cosines : sequence of float
        How near each is, at most 1.
    own : int or None
        Which of them is the recording's own song; None if it is not among them.
    title : str
        Above the picture.

    Raises
    ------
    DataError
        If Matplotlib is not installed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     picture = Path(folder, "nearest.png")
    ...     draw_nearest(picture, ["Yesterday", "Help!"], [0.9, 0.4], 0, "nearest to live.mp3")
    ...     picture.read_bytes()[1:4]
    b'PNG'
    """
    figure = _figure(9, 1.4 + 0.42 * len(titles))
    axes = figure.add_subplot()
    places = range(len(titles))
    colours = ["tab:green" if place == own else "lightgray" for place in places]
    bars = axes.barh(places, cosines, color=colours)
    axes.bar_label(bars, [f"{cosine:.2f}" for cosine in cosines], padding=3)
    # A title is text, whatever is in it.
    axes.set_yticks(places, [name.replace("$", r"\$") for name in titles])
    axes.invert_yaxis()
    axes.set_xlim(min(0, *cosines), 1.1)
    axes.set_xlabel("similarity (cosine); green is the song that was played")
    axes.set_title(title.replace("$", r"\$"))
    axes.spines[["top", "right"]].set_visible(False)
    _write(figure, path)


def draw_hpcp(path: str | Path, hpcp: np.ndarray, config: FeatureConfig, title: str) -> None:
    """Draw HPCP, time in seconds to the right and pitch classes upwards.

    Parameters
    ----------
    path : path
        The PNG file to write, in one step.
    hpcp : ndarray
        ``(T, 12)``.
    config : FeatureConfig
        The settings with which they were made: the duration of a vector, the first pitch class.
    title : str
        Above the picture.

    Raises
    ------
    DataError
        If Matplotlib is not installed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     picture = Path(folder, "scale.png")
    ...     draw_hpcp(picture, np.eye(12), FeatureConfig(), "twelve semitones from A")
    ...     picture.read_bytes()[1:4]
    b'PNG'
    """
    figure = _figure(10, 3.2)
    axes = figure.add_subplot()
    seconds = len(hpcp) * config.seconds_per_vector
    image = axes.imshow(
        np.asarray(hpcp, np.float32).T,
        extent=(0, seconds, -0.5, config.bins - 0.5),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="magma",
    )
    axes.set_yticks(range(config.bins), pitch_names(config))
    axes.set_title(title)
    axes.set_xlabel("time in seconds")
    axes.set_ylabel("pitch class")
    figure.colorbar(image, label="strength", pad=0.01)
    _write(figure, path)


def draw_alignment(
    path: str | Path,
    similarity: np.ndarray,
    alignment: Alignment,
    config: FeatureConfig,
    titles: tuple[str, str],
    step: int = 1,
) -> None:
    """Draw how alike the moments of two recordings are, minutes along both axes, and the passages.

    Parameters
    ----------
    path : path
        The PNG file to write, in one step.
    similarity : ndarray, shape (n, m)
        `kinet.matching.recurrence.cross_similarity` of the two, in one key.
    alignment : Alignment
        Their passages, which are drawn as lines.
    config : FeatureConfig
        With which settings the features were made: the duration of a vector.
    titles : (str, str)
        What the two are called.
    step : int
        Vectors of a row or column of `similarity`, as of `kinet.matching.recurrence.in_steps`.

    Raises
    ------
    DataError
        If Matplotlib is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from kinet.matching import align
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     picture, hpcp = Path(folder, "same.png"), np.eye(12)
    ...     draw_alignment(picture, np.eye(7), align(hpcp, hpcp), FeatureConfig(), ("a", "b"))
    ...     picture.read_bytes()[1:4]
    b'PNG'
    """
    figure = _figure(7, 6.4)
    axes = figure.add_subplot()
    seconds = config.seconds_per_vector
    first = MOMENT / 2 * seconds * step  # the middle of the first moment
    ends = (np.array(similarity.shape) - 1) * seconds * step + first
    low, high = np.percentile(similarity, (50, 99.5))
    axes.imshow(
        similarity.T,
        extent=(first, ends[0], first, ends[1]),
        origin="lower",
        aspect="auto",
        cmap="Greys",
        vmin=low,
        vmax=max(high, low + 1e-6),
    )
    for number, passage in enumerate(alignment.passages, start=1):
        times = passage.path * seconds + first
        axes.plot(*times.T, color=f"C{number - 1}", lw=2, label=f"{number}: {passage}")
    from matplotlib.ticker import MultipleLocator

    for axis, end in ((axes.xaxis, ends[0]), (axes.yaxis, ends[1])):
        # Of these steps the first that needs no more than nine marks.
        step = next((s for s in (5, 10, 15, 30, 60, 120, 300) if end / s <= 8), 600)
        axis.set_major_locator(MultipleLocator(step))
        axis.set_major_formatter(lambda value, _: clock(value))
    axes.set_title(
        f"score {alignment.score:.2f}, {alignment.transposition:+d} semitones, "
        f"tempo × {alignment.tempo_ratio:.2f}"
    )
    axes.set_xlabel(_plain(titles[0]))
    axes.set_ylabel(_plain(titles[1]))
    if alignment.passages:
        axes.legend(loc="upper left", fontsize="small")
    _write(figure, path)


def _plain(text: str) -> str:
    """A name as text: what would be read as a formula, or has no glyph, is escaped."""
    return printable(text).replace("$", r"\$")


def pitch_names(config: FeatureConfig) -> list[str]:
    """The name of each bin's pitch class.

    Examples
    --------
    >>> pitch_names(FeatureConfig())[:4], pitch_names(FeatureConfig(reference_frequency=261.63))[0]
    (['A', 'A♯', 'B', 'C'], 'C')
    """
    first = round(PITCH_CLASSES * np.log2(config.reference_frequency / 440))
    return [
        PITCH_NAMES[round(first + bin_ * PITCH_CLASSES / config.bins) % PITCH_CLASSES]
        for bin_ in range(config.bins)
    ]


def _figure(width: float, height: float) -> Any:
    """An empty figure of so many inches.

    Raises
    ------
    DataError
        If Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DataError(
            'Matplotlib is not installed; install it with: pip install "mulkinet[pictures]"'
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _write(figure: Any, path: str | Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    write_atomically(path, lambda file: canvas.print_png(file))
