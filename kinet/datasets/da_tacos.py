"""Da-TACOS: HPCP that come with the data set, by frame, to feature files.

F. Yesiler et al., "Da-TACOS: a dataset for cover song identification and understanding", ISMIR
2019. There is no audio in it. Its HPCP are made with other settings than those of MulKINet. They
are read with mirdata, which has the index of the data set.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinet.config import PITCH_CLASSES, FeatureConfig
from kinet.data.feature_files import feature_path
from kinet.data.manifest import Entry, read_manifest, write_manifest
from kinet.data.settings_file import require_own, write_features
from kinet.datasets import Converted, HpcpDataset
from kinet.errors import DataError
from kinet.extraction.naming import Source
from kinet.features.hpcp import pool_frames
from kinet.files import write_array_atomically, writing_to
from kinet.reading import show_path

#: How acoss, the authors' extractor, makes the HPCP of Da-TACOS with Essentia; what it does not
#: set is Essentia's default. The groups of 20 frames are kinet's.
DA_TACOS = FeatureConfig(
    hop_size=512,
    window="blackmanharris62",
    minimum_frequency=100.0,
    maximum_frequency=3500.0,
    maximum_peaks=100,
    magnitude_threshold=0.0,
    harmonics=8,
    weighting_window=1.0,
    other_processing="spectral whitening, peaks in order of frequency, bands split at 500 Hz",
)
SUBSET = "benchmark"

_GET = (
    "python -c \"import mirdata; mirdata.initialize('da_tacos', data_home='FOLDER')"
    ".download(['benchmark_hpcp'])\""
)


def convert_da_tacos(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    progress: Callable[[int, int, float], object] | None = None,
) -> Converted:
    """Make feature files of the HPCP of Da-TACOS's benchmark subset.

    Groups of 20 frames are summed and divided by their maximum, as in kinet's own features; a
    vector lasts 0.23 s. ``features.json`` says that the settings are `DA_TACOS`, so that models
    of other features refuse them. Nothing is downloaded. A song is a work (``W_...``), a version
    a performance (``P_...``).

    Parameters
    ----------
    folder : path
        mirdata's ``data_home``, in which ``da-tacos_benchmark_subset_hpcp`` is.
    out : path
        Folder for the features, made if it is not there; what was finished in it is not made
        again.
    progress : callable, optional
        Called with the tracks that were worked at, all that are there, and seconds of sound.

    Returns
    -------
    Converted

    Raises
    ------
    DataError
        If mirdata or its index is not there, no track is, `out` holds features with other or
        unknown settings, or a file cannot be written; what is finished stays.
    """
    out = Path(out)
    there, missing = _tracks(folder)
    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
    require_own(out, DA_TACOS, "Da-TACOS")
    entries = {(entry.song_id, entry.version_id): entry for entry in read_manifest(out)}
    done, skipped, failed = [], [], []
    seconds = 0.0
    with writing_to(out), _kept(out, entries):
        write_features(out, DA_TACOS)
        for number, (source, track) in enumerate(there, start=1):
            ids = source.song_id, source.version_id
            if _is_finished(entries.get(ids), track.entry, out):
                skipped.append(entries[ids])
            else:
                try:
                    entries[ids] = _convert(track, out)
                except _UnusableError as error:
                    failed.append((source, str(error)))
                else:
                    done.append(entries[ids])
                    seconds += entries[ids].seconds
            if progress is not None:
                progress(number, len(there), seconds)
    return Converted(tuple(done), tuple(skipped), tuple(failed), tuple(missing))


@dataclass(frozen=True)
class _Track:
    """A track that is there: its entry as far as it is known before it is read, and mirdata's."""

    entry: Entry
    loader: Any


def _tracks(folder: str | os.PathLike[str]) -> tuple[list[tuple[Source, _Track]], list[Source]]:
    """The tracks whose files are there, and those whose are not."""
    dataset = _dataset(os.fspath(folder))
    try:
        names = sorted(name for name in dataset.track_ids if name.startswith(f"{SUBSET}#"))
    except FileNotFoundError as error:
        raise DataError(
            "mirdata has no index of Da-TACOS yet, and kinet downloads nothing; this gets it: "
            f"{_GET}"
        ) from error
    there, missing = [], []
    for name in names:
        loader = dataset.track(name)
        source = Source(Path(loader.hpcp_path), loader.work_id, loader.performance_id)
        try:
            there.append((source, _Track(_entry(source), loader)))
        except FileNotFoundError:
            missing.append(source)
    if not there:
        raise DataError(
            f"none of the {len(names)} tracks of Da-TACOS's {SUBSET} subset is in "
            f"{show_path(folder)}, and kinet downloads nothing; this gets them: {_GET}"
        )
    return there, missing


def _dataset(folder: str) -> Any:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        import mirdata

        return mirdata.initialize("da_tacos", data_home=folder, version="1.1_full")
    except ModuleNotFoundError as error:
        raise DataError(
            f"Da-TACOS is read with mirdata, and {error.name} is not installed; "
            'pip install "mulkinet[datasets]" gets it'
        ) from error
    finally:  # it makes itself heard through the root logger, at import
        root.setLevel(level)
        root.handlers[:] = handlers


class _UnusableError(Exception):
    """Why of a file no features can be made."""


def _is_finished(old: Entry | None, new: Entry, out: Path) -> bool:
    """Whether the features are there, made of this very file."""
    if old is None or replace(old, seconds=0.0, vectors=0) != new:
        return False
    return feature_path(out, old.song_id, old.version_id).is_file()


def _convert(track: _Track, out: Path) -> Entry:
    frames = _frames(track.loader)
    hpcp = pool_frames(frames, DA_TACOS.frames_per_vector)
    write_array_atomically(feature_path(out, track.entry.song_id, track.entry.version_id), hpcp)
    seconds = round(len(frames) * DA_TACOS.hop_size / DA_TACOS.sample_rate, 3)
    return replace(track.entry, seconds=seconds, vectors=len(hpcp))


def _entry(source: Source) -> Entry:
    status = os.stat(source.path)
    path = os.path.abspath(source.path)
    ids = source.song_id, source.version_id
    made = DA_TACOS.fingerprint()
    return Entry(*ids, path, status.st_size, status.st_mtime_ns, 0.0, 0, made)


def _frames(loader: Any) -> NDArray[Any]:
    """HPCP by frame, (n_frames, 12)."""
    need = f"need (n_frames, {PITCH_CLASSES}) values from 0"
    try:
        hpcp = np.asarray(loader.hpcp)
    # What h5py raises for files that are none, cut off, or hold something else under that name.
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        cause = " ".join(str(error).split())
        raise _UnusableError(f"no HPCP that can be read ({cause}); {need}") from error
    if hpcp.dtype.kind not in "fiu":
        raise _UnusableError(f"of type {hpcp.dtype}; {need}")
    if hpcp.ndim != 2 or hpcp.shape[1] != PITCH_CLASSES:
        raise _UnusableError(f"HPCP of the shape {hpcp.shape}; {need}")
    if not np.isfinite(hpcp).all() or (hpcp < 0).any():
        raise _UnusableError(f"NaN, infinite or negative values; {need}")
    if len(hpcp) < DA_TACOS.frames_per_vector:
        least = DA_TACOS.frames_per_vector
        raise _UnusableError(f"{len(hpcp)} frames; need at least {least}, for one vector")
    if not hpcp.any():
        raise _UnusableError("nothing but zeros; need sound")
    return hpcp


@contextlib.contextmanager
def _kept(out: Path, entries: dict[tuple[str, str], Entry]) -> Iterator[None]:
    """However a run ends, its manifest says what is finished."""
    try:
        yield
    finally:
        if out.is_dir():
            write_manifest(out, entries.values())


dataset = HpcpDataset(
    name="da-tacos",
    description="HPCP of the benchmark subset of Da-TACOS (Yesiler et al. 2019), made differently",
    convert=convert_da_tacos,
    features=DA_TACOS,
)
