"""Data sets as they are distributed, to recordings with ids or to features: their registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kinet.config import FeatureConfig
from kinet.errors import PluginError
from kinet.registry import Registry

if TYPE_CHECKING:
    from kinet.data.manifest import Entry
    from kinet.extraction.naming import Source

Ids = tuple[str, str]

#: Keywords of `AudioDataset.read`, and the options of ``kinet extract`` that give them.
FILES = {"list_file": "--list", "links": "--links"}


@dataclass(frozen=True)
class Found:
    """What is there of the recordings of a data set.

    Attributes
    ----------
    sources : tuple of Source
        Listed recordings, to make features of.
    missing : tuple of Source
        Listed recordings that are not there; the path is where one would be looked for.
    unlisted : tuple of pathlib.Path
        Audio files in the folder that the lists do not name.
    """

    sources: tuple[Source, ...]
    missing: tuple[Source, ...]
    unlisted: tuple[Path, ...]

    @property
    def listed(self) -> list[Ids]:
        """Song and version ids of all that is listed, sorted."""
        return sorted((source.song_id, source.version_id) for source in self.sources + self.missing)


@dataclass(frozen=True)
class Converted:
    """What became of the tracks of a data set that brings HPCP.

    Attributes
    ----------
    done, skipped : tuple of Entry
        Feature files that were made, and those that had been before.
    failed : tuple of (Source, str)
        Files that cannot be used, and why.
    missing : tuple of Source
        Listed tracks that are not there.
    """

    done: tuple[Entry, ...]
    skipped: tuple[Entry, ...]
    failed: tuple[tuple[Source, str], ...]
    missing: tuple[Source, ...]

    @property
    def listed(self) -> list[Ids]:
        """Song and version ids of all that is listed, sorted."""
        with_entry = [(entry.song_id, entry.version_id) for entry in self.done + self.skipped]
        sources = [source for source, _ in self.failed] + list(self.missing)
        return sorted(with_entry + [(source.song_id, source.version_id) for source in sources])


@dataclass(frozen=True)
class Dataset:
    """What the two kinds of data-set plug-ins have in common, `AudioDataset` and `HpcpDataset`.

    One of them is what an entry point of ``kinet.datasets`` names, or `register` is given.

    Attributes
    ----------
    name : str
        The name of the entry point, and what ``kinet extract --dataset`` is given.
    description : str
        One line for ``kinet plugins``.

    Raises
    ------
    PluginError
        If it is neither of the two.
    """

    name: str
    description: str

    def __post_init__(self) -> None:
        if type(self) is Dataset:
            raise PluginError(
                f"data set {self.name!r} is a Dataset alone; it must be an AudioDataset or an "
                "HpcpDataset"
            )


@dataclass(frozen=True)
class AudioDataset(Dataset):
    """A data set of recordings.

    Attributes
    ----------
    read : callable
        ``read(folder, **files) -> Found``, of the folder of the data set; it raises `DataError` of
        one line if folder or lists are not what the data set has.
    needs, takes : tuple of str
        Keywords of files, of `FILES`, that `read` must be given, and that it can be given besides.
    is_whole : bool
        Whether it is distributed whole, so that a listed recording that is not there is told like
        one that is damaged. Else such ones are counted, and listed beside the features.
    """

    read: Callable[..., Found]
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    is_whole: bool = False


@dataclass(frozen=True)
class HpcpDataset(Dataset):
    """A data set that brings HPCP in place of recordings.

    Attributes
    ----------
    convert : callable
        ``convert(folder, out, progress) -> Converted`` makes feature files in `out` of the folder
        of the data set; ``progress(worked_at, of_all, seconds_of_sound)`` is called meanwhile.
    features : FeatureConfig
        How its HPCP were made.
    """

    convert: Callable[..., Converted]
    features: FeatureConfig

    def differences(self) -> str:
        """In which settings its HPCP differ from the default, in words; empty if in none.

        Examples
        --------
        >>> slow = FeatureConfig(frames_per_vector=40)
        >>> HpcpDataset("slow", "an example", print, slow).differences()
        'frames_per_vector is 40 in place of 20'
        """
        ours = FeatureConfig().to_dict()
        return "; ".join(
            f"{name} is {_shown(value)} in place of {_shown(ours[name])}"
            for name, value in self.features.to_dict().items()
            if value != ours[name]
        )


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value) or "none"


registry: Registry[Dataset] = Registry("kinet.datasets", "data set", Dataset)
register = registry.register
