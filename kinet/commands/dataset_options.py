"""``kinet extract --dataset``: data sets as they are distributed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kinet.commands.options import path_type
from kinet.commands.output import say

if TYPE_CHECKING:
    from kinet.datasets import Dataset
    from kinet.extraction import Report

COVERS80, SHS100K, DA_TACOS = DATASETS = ("covers80", "shs100k", "da-tacos")
# Files beyond the lists that are named one by one.
_NAMED = 20

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class DatasetOptions:
    """What the options say of a data set."""

    name: str
    list_file: Path | None
    links: Path | None
    listed: list[tuple[str, str]] = field(default_factory=list)

    def prepare(self, folder: Path, out: Path, workers: int | None) -> Callable[..., Report]:
        """Read the folder, tell what is there; returns what makes the features, given `progress`.

        Raises
        ------
        DataError
            If folder or lists are not what the data set has.
        """
        from kinet.datasets import read_covers80, read_shs100k
        from kinet.extraction import extract_all

        if self.name == DA_TACOS:
            return functools.partial(self._convert, folder, out)
        if self.list_file is None:
            found = read_covers80(folder)
            # All were in the archive: one that is not there is told like one that is damaged.
            sources = [*found.sources, *found.missing]
        else:
            found = read_shs100k(folder, self.list_file, self.links)
            sources = list(found.sources)
        self.listed = found.listed
        _say_found(found, self.list_file)
        return functools.partial(extract_all, sources, out, workers=workers)

    def _convert(self, folder: Path, out: Path, progress: Callable[..., object]) -> Report:
        from kinet.datasets import convert_da_tacos
        from kinet.extraction import Failure, Report

        converted = convert_da_tacos(folder, out, progress)
        self.listed = converted.listed
        failed = tuple(Failure(source, message) for source, message in converted.failed)
        return Report(converted.done, converted.skipped, failed)

    def write_coverage(self, out: Path) -> None:
        """Write which listed tracks have features and which have not, and say how many."""
        from kinet.datasets import write_coverage
        from kinet.reading import show_path

        if self.name == COVERS80:
            return
        name = self.list_file.name if self.list_file else self.name
        there, missing, count = write_coverage(out, name, self.listed)
        say(
            f"{count} of {len(self.listed)} listed tracks have features: {show_path(there)}; the "
            f"others: {show_path(missing)}"
        )


def _say_found(found: Dataset, list_file: Path | None) -> None:
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
        _check(dataset, list_file, links, accept_other_features, rest["sources"], rest["workers"])
        chosen = None if dataset is None else DatasetOptions(dataset, list_file, links)
        return command(*args, dataset=chosen, **rest)

    for option in (
        click.option(
            "--accept-other-features",
            is_flag=True,
            help="Take Da-TACOS's HPCP, which models of other features refuse.",
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
            type=click.Choice(DATASETS),
            help="SOURCE is one folder, of a data set as it is distributed.",
        ),
    ):
        with_dataset = option(with_dataset)
    return with_dataset  # type: ignore[return-value]


def _check(
    dataset: str | None,
    list_file: Path | None,
    links: Path | None,
    accepted: bool,
    sources: Sequence[Path],
    workers: int | None,
) -> None:
    """Refuse options that do not belong together, and Da-TACOS where it is not asked for twice.

    Raises
    ------
    click.UsageError, SettingsError
    """
    for name, given, owner in (
        ("--list", list_file is not None, SHS100K),
        ("--links", links is not None, SHS100K),
        ("--accept-other-features", accepted, DA_TACOS),
    ):
        if given and dataset != owner:
            raise click.UsageError(f"{name} goes with --dataset {owner}.")
    if dataset == SHS100K and list_file is None:
        raise click.UsageError("--dataset shs100k needs --list.")
    if dataset and len(sources) > 1:
        raise click.UsageError(f"--dataset takes one folder, not {len(sources)} sources.")
    if dataset == DA_TACOS and workers is not None:
        raise click.UsageError("--workers is for audio; Da-TACOS has none.")
    if dataset == DA_TACOS and not accepted:
        from kinet.datasets.da_tacos import differences
        from kinet.errors import SettingsError

        raise SettingsError(
            "the HPCP of Da-TACOS are not interchangeable with those of other features and models: "
            f"{differences()}. --accept-other-features makes a folder of them that only models of "
            "such features take"
        )
