"""Pictures for people: needs Matplotlib, from the extra ``quickstart``."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from kinet.errors import DataError
from kinet.files import write_atomically


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
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle
    except ImportError as error:
        raise DataError(
            'Matplotlib is not installed; install it with: pip install "mulkinet[quickstart]"'
        ) from error

    songs, numbers = np.unique(np.asarray([str(label) for label in labels]), return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    rows = np.asarray(embeddings, np.float32)[order]
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(1 - rows @ rows.T, cmap="viridis", vmin=0)
    edges = np.searchsorted(numbers[order], np.arange(len(songs) + 1)) - 0.5
    for start, end in itertools.pairwise(edges):
        side = end - start
        axes.add_patch(Rectangle((start, start), side, side, fill=False, color="white", lw=0.8))
    axes.set_title(title)
    axes.set_xlabel("track, sorted by song (each frame is one song)")
    axes.set_ylabel("track")
    figure.colorbar(image, label="cosine distance")
    canvas = FigureCanvasAgg(figure)
    write_atomically(path, lambda file: canvas.print_png(file))
