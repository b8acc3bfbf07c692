"""``kinet extract --dataset``: data sets as they are distributed."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kinet.commands.options import path_type
from kinet.commands.output import say
from kinet.errors import PluginError, SettingsError
from kinet.extraction.readings import AUTOMATIC

if TYPE_CHECKING:
    from kinet.cluster import Cluster
    from kinet.datasets import Dataset, Found, HpcpDataset
    from kinet.extraction import Report

# Files beyond the lists that are named one by one.
_NAMED = 20

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class DatasetOptions:
    """What the options say of a data set."""

    dataset: Dataset
    files: Mapping[str, Path]
    listed: list[tuple[str, str]] = field(default_factory=list)

    def prepare(
        self, folder: Path, out: Path, workers: int | Cluster | None
    ) -> Callable[..., Report]:
        """Read the folder, tell what is there; returns what makes the features, given `progress`.

        Raises
        ------
        DataError
            If folder or lists are not what the data set has.
        """
        from kinet.datasets import AudioDataset, HpcpDataset
        from kinet.extraction import extract_all

        if isinstance(self.dataset, HpcpDataset):
            return functools.partial(self._convert, self.dataset, folder, out)
        assert isinstance(self.dataset, AudioDataset)
        found = self.dataset.read(folder, **self.files)
        self.listed = found.listed
        _say_found(found, self.files.get("list_file"))
        # Where all should be there, one that is not is told like one that is damaged.
        absent = found.missing if self.dataset.is_whole else ()
        return functools.partial(extract_all, [*found.sources, *absent], out, workers=workers)

    def _convert(
        self, dataset: HpcpDataset, folder: Path, out: Path, progress: Callable[..., object]
    ) -> Report:
        from kinet.extraction import Failure, Report

        converted = dataset.convert(folder, out, progress)
        self.listed = converted.listed
        failed = tuple(Failure(source, message) for source, message in converted.failed)
        return Report(converted.done, converted.skipped, failed)

    def write_coverage(self, out: Path) -> None:
        """Write which listed tracks have features and which have not, and say how many."""
        from kinet.datasets import AudioDataset
        from kinet.datasets.coverage import write_coverage
        from kinet.reading import show_path

        if isinstance(self.dataset, AudioDataset) and self.dataset.is_whole:
            return
        name = self.files["list_file"].name if "list_file" in self.files else self.dataset.name
        there, missing, count = write_coverage(out, name, self.listed)
        say(
            f"{count} of {len(self.listed)} listed tracks have features: {show_path(there)}; the "
            f"others: {show_path(missing)}"
        )


def _say_found(found: Found, list_file: Path | None) -> None:
    from kinet.reading import show_path

    there, listed = len(found.sources), len(found.listed)
    songs = len({song for song, _ in found.listed})
    say(f"{there} of {listed} listed tracks are there, of {songs} songs listed")
    unlisted = [show_path(path) for path in found.unlisted]
    if unlisted and list_file is None and len(unlisted) <= _NAMED:
        say(f"not in the lists and left out: {', '.join(unlisted)}")
    elif unlisted:
        say(f"{len(unlisted)} audio files not in the list and left out, first {unlisted[0]}")


def dataset_options(command: F) -> F:
    """``--dataset`` and what belongs to it; the command gets ``dataset``, or None."""

    @functools.wraps(command)
    def with_dataset(
        *args: Any,
        dataset: str | None,
        list_file: Path | None,
        links: Path | None,
        accept_other_features: bool,
        **rest: Any,
    ) -> Any:
        given = {"list_file": list_file, "links": links}
        files = {name: path for name, path in given.items() if path is not None}
        chosen = _choose(dataset, files, accept_other_features)
        if chosen is not None:
            _check_files(chosen, files)
            _check_rest(chosen, rest["sources"], rest["workers"], rest["songs_by"])
            _check_features(chosen, accept_other_features)
        options = None if chosen is None else DatasetOptions(chosen, files)
        return command(*args, dataset=options, **rest)

    for option in (
        click.option(
            "--accept-other-features",
            is_flag=True,
            help="Take the HPCP of da-tacos, which models of other features refuse.",
        ),
        click.option(
            "--links",
            metavar="FILE",
            type=path_type,
            help="With shs100k: a list with URLs, where files are named by their YouTube ids.",
        ),
        click.option(
            "--list",
            "list_file",
            metavar="FILE",
            type=path_type,
            help="With shs100k: which tracks, as SHS100K-TEST.",
        ),
        click.option(
            "--dataset",
            metavar="NAME",
            help="SOURCE is one folder, of a data set as it is distributed: covers80, shs100k, "
            "da-tacos or a plug-in's. See kinet plugins.",
        ),
    ):
        with_dataset = option(with_dataset)
    return with_dataset  # type: ignore[return-value]


def _choose(name: str | None, files: Mapping[str, Path], accepted: bool) -> Dataset | None:
    """The data set of that name, if what is given belongs to it.

    Raises
    ------
    click.UsageError, PluginError
    """
    from kinet.datasets import FILES, HpcpDataset, registry

    dataset = None if name is None else registry.get(name)
    for keyword in files:
        if keyword not in _files_of(dataset):
            owners = _names(functools.partial(_takes, keyword))
            raise click.UsageError(f"{FILES[keyword]} goes with --dataset {owners}.")
    if accepted and not isinstance(dataset, HpcpDataset):
        owners = _names(lambda other: isinstance(other, HpcpDataset))
        raise click.UsageError(f"--accept-other-features goes with --dataset {owners}.")
    return dataset


def _files_of(dataset: Dataset | None) -> tuple[str, ...]:
    """Keywords of the files that it can be given."""
    from kinet.datasets import AudioDataset

    return dataset.needs + dataset.takes if isinstance(dataset, AudioDataset) else ()


def _takes(keyword: str, dataset: Dataset) -> bool:
    return keyword in _files_of(dataset)


def _names(belongs: Callable[[Dataset], bool]) -> str:
    """The registered data sets of a kind, for a message."""
    from kinet.datasets import registry

    found = []
    for name in registry.names():
        with contextlib.suppress(PluginError):  # one that is broken is not worth naming
            if belongs(registry.get(name)):
                found.append(name)
    return " or ".join(found)


def _check_rest(
    dataset: Dataset, sources: Sequence[Path], workers: int | Cluster | None, songs_by: str
) -> None:
    """Refuse what does not go with this data set.

    Raises
    ------
    click.UsageError
    """
    from kinet.datasets import AudioDataset

    if len(sources) > 1:
        raise click.UsageError(f"--dataset takes one folder, not {len(sources)} sources.")
    if songs_by != AUTOMATIC:
        raise click.UsageError("--songs-by is for folders of your own, not for --dataset.")
    if workers is not None and not isinstance(dataset, AudioDataset):
        option = "--workers" if isinstance(workers, int) else "--cluster"
        raise click.UsageError(f"{option} is for audio; {dataset.name} has none.")


def _check_files(dataset: Dataset, files: Mapping[str, Path]) -> None:
    """Raise `click.UsageError` if a file is missing that the data set needs."""
    from kinet.datasets import FILES, AudioDataset

    for keyword in dataset.needs if isinstance(dataset, AudioDataset) else ():
        if keyword not in files:
            raise click.UsageError(f"--dataset {dataset.name} needs {FILES[keyword]}.")


def _check_features(dataset: Dataset, accepted: bool) -> None:
    """Refuse features of other settings unless they are asked for twice.

    Raises
    ------
    SettingsError
    """
    from kinet.datasets import HpcpDataset

    if not isinstance(dataset, HpcpDataset) or accepted:
        return
    differences = dataset.differences()
    if differences:
        raise SettingsError(
            f"the HPCP of {dataset.name} are not interchangeable with those of other features and "
            f"models: {differences}. --accept-other-features makes a folder of them that only "
            "models of such features take"
        )
