"""Features of an object store on this machine, for as long as they are read."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kinet.data.tracks import read_tracks
from kinet.errors import DataError
from kinet.reading import PathLike, reason
from kinet.remote import AnyPath, Url, fetch, urls_below


@contextlib.contextmanager
def local_features(list_file: PathLike, data: AnyPath) -> Iterator[Path]:
    """The features of a list, in a folder of this machine or in a packed file.

    Those of an object store are fetched into the folder for temporary files, several at a time,
    and go when this ends: a network reads features more than once, and maps them into memory.

    Parameters
    ----------
    list_file : path or Url
        As of `kinet.data.tracks.read_tracks`.
    data : pathlib.Path or Url
        A folder of feature files, or of this machine a packed file.

    Raises
    ------
    DataError
        If the list cannot be used, or a feature file is not in the store, or that does not answer.

    Examples
    --------
    >>> with local_features("no list", Path("features")) as folder:
    ...     folder.name
    'features'
    """
    if isinstance(data, Path):
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="kinet-") as folder:
        try:
            _fetch_tracks(list_file, data, Path(folder))
        except OSError as error:
            raise DataError(f"{data}: {reason(error)}; need a folder of features") from error
        yield Path(folder)


def _fetch_tracks(list_file: PathLike, data: Url, here: Path) -> None:
    targets = [track.path for track in read_tracks(list_file, here)]
    there = {url.name: url for url in urls_below(data) if url.parent == data}
    missing = [target.name for target in targets if target.name not in there]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(targets)} feature files of {list_file} are missing, first "
            f"{data / missing[0]}"
        )
    fetch([there[target.name] for target in targets], targets)
