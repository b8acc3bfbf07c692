"""From recordings to feature files: one, or many over all cores, to be gone on with at any time."""

from __future__ import annotations

import os
from collections.abc import Sequence

from kinet.config import FeatureConfig
from kinet.data.settings_file import require_own
from kinet.errors import DataError
from kinet.extraction.batch import Batch, Failure, Progress, Report
from kinet.extraction.naming import Source
from kinet.extraction.recording import extract_file, make
from kinet.extraction.sources import distinct
from kinet.files import writing_to
from kinet.locks import alone_in
from kinet.processes import Workers, workers_of
from kinet.reading import show_path
from kinet.remote import path_or_url

# What decoding and analysing may take, in bytes; a minute or an hour of sound takes the same.
MEMORY = 2**30

__all__ = ["ExtractionStopped", "Failure", "Report", "extract_all", "extract_file"]


class ExtractionStopped(DataError):
    """Features could not be written any more.

    Attributes
    ----------
    report : Report
        What was done before.
    """

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


def extract_all(
    sources: Sequence[Source],
    out: str | os.PathLike[str],
    config: FeatureConfig | None = None,
    workers: int | Workers | None = None,
    progress: Progress | None = None,
) -> Report:
    """Make the feature files of many recordings that are not there yet.

    Each ``<song>_<version>.npy`` appears whole or not at all. Beside them lie ``features.json``,
    ``manifest.csv`` and ``list`` (see `kinet.data.manifest`), which keep what earlier runs
    made in the same folder. A file is finished if the manifest has its recording with the same
    size and time of change; a recording that has gone since then counts as unchanged. However a
    run ends, the next one goes on; what was finished in the seconds before a ``kill -9`` is made
    again.

    Parameters
    ----------
    sources : sequence of Source
        The recordings.
    out : path or Url
        Folder for the features, made if it is not there.
    config : FeatureConfig, optional
        By default the settings of the published data.
    workers : int or kinet.processes.Workers, optional
        Processes, by default one for every core; with 1 no process is started. With more than
        one a script needs its ``if __name__ == "__main__":``, as all that start processes. On
        Linux each of them may take 1 GiB; a recording that wants more is one that fails. Or a
        `kinet.cluster.Cluster`, whose workers see recordings and folder under the same paths.
    progress : callable, optional
        Called with the number of recordings that were worked at, of all that are to be, and the
        seconds of sound in them.

    Returns
    -------
    Report
        With the recordings of which no features could be made, those among them whose ids are
        also another's, here or in an earlier run.

    Raises
    ------
    DataError
        If the folder cannot be made, holds features with other or unknown settings, or another
        run is at work in it, or a cluster cannot do the work, or not any more.
    ExtractionStopped
        If a file cannot be written, the disk being full for example. What is finished stays.
    SettingsError
        If `workers` is below 1, or a cluster is meant and Dask not installed.

    Examples
    --------
    >>> import tempfile, numpy as np, soundfile
    >>> from pathlib import Path
    >>> time = np.arange(2 * 44100) / 44100
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.wav")
    ...     soundfile.write(path, 0.1 * np.sin(2 * np.pi * 440 * time), 44100)
    ...     report = extract_all([Source(path, "a", "1")], folder, workers=1)
    ...     [entry.vectors for entry in report.done], Path(folder, "a_1.npy").exists()
    ([4], True)
    """
    those = workers_of(workers)
    ordered = distinct(sources)
    folder, config = path_or_url(out), config or FeatureConfig()
    # The manifest of a second run would lack what this one makes.
    busy = f"another run is at work in {show_path(folder)}; wait for it, or use another folder"
    with alone_in(folder, busy):
        require_own(folder, config, "this run")
        with writing_to(folder):
            batch = Batch(folder, config, progress)
        jobs = batch.plan(ordered)
        with writing_to(folder):
            batch.begin()
        try:
            shared = [folder, *(job.recording for job in jobs[:1])]
            those.work_off(make, jobs, batch.finished, "extract", shared, MEMORY)
        finally:
            batch.tidy()
            batch.save()
    report = batch.report
    if batch.unwritable:
        raise ExtractionStopped(
            f"cannot write {batch.unwritable}; {len(report.done)} of {len(jobs)} recordings are "
            "done and stay; the same command goes on when there is room",
            report,
        )
    return report
