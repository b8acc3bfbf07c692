"""MIDI and ABC to works, with symusic (PyPI ``symusic``, extra ``scores``)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinet.errors import DataError, SettingsError
from kinet.versions.works import Work, sensible_tempo, work_of


def read_midi(path: Path, content: bytes) -> Iterator[Work | None]:
    """The work of a file of MIDI, None if it has no notes.

    Parameters
    ----------
    path : Path
        For its name.
    content : bytes
        What is in the file.

    Raises
    ------
    SettingsError
        If symusic is not installed.
    Exception
        What symusic raises for a damaged file.
    """
    score = _symusic().Score.from_midi(content)
    yield _of_symusic(score, path.stem, path.name, content)


def read_abc(path: Path, content: bytes) -> Iterator[Work | None]:
    """The works of a file of ABC, None for a tune without notes; otherwise as `read_midi`.

    Raises
    ------
    DataError
        If no line ``X:`` begins a tune.
    """
    text = _decoded(content)
    starts = [match.start() for match in re.finditer(r"^X:", text, re.M)]
    if not starts:
        raise DataError(f"{path} holds no tune; allowed: ABC with a line X: before every tune")
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(text)], strict=True)):
        tune = text[start:end]
        name = path.name if len(starts) == 1 else f"{path.name}#{number + 1}"
        score = _tune(tune)
        title = re.search(r"^T:\s*(.+?)\s*$", tune, re.M)
        title_text = title.group(1) if title else path.stem
        yield _of_symusic(score, title_text, name, tune.encode())


def _tune(text: str) -> Any:
    """A tune of ABC. The library behind symusic talks on stdout and stderr of the process."""
    abc = _symusic().Score.from_abc
    with open(os.devnull, "wb") as nowhere:
        kept = [os.dup(1), os.dup(2)]
        try:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
            return abc(text)
        finally:
            for descriptor, number in zip(kept, (1, 2), strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)


def _symusic() -> Any:
    try:
        import symusic
    except ImportError as error:
        raise SettingsError(
            "reading MIDI and ABC needs symusic; allowed: pip install 'mulkinet[scores]'"
        ) from error
    return symusic


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _of_symusic(score: Any, title: str, file: str, content: bytes) -> Work | None:
    beat = 60.0 / sensible_tempo([float(t.qpm) for t in score.tempos])
    names: list[str] = []
    rows: list[NDArray[np.float64]] = []
    for track in score.to("second").tracks:
        if track.is_drum or not len(track.notes):
            continue
        notes = track.notes.numpy()
        columns = [notes[key] for key in ("time", "duration", "pitch", "velocity")]
        rows.append(np.column_stack([*columns, np.full(len(columns[0]), len(names))]))
        names.append(track.name)
    return work_of(title, file, content, beat, names, rows)
