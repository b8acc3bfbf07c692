"""``kinet train`` as several processes, or as one of those that a launcher has started."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from kinet.backend import choose, select_gpus
from kinet.backend.several import environment_of, require_able
from kinet.commands.output import say
from kinet.errors import PeerLost, SettingsError
from kinet.peers import NUMBER, Place
from kinet.peers.child import WATCHED
from kinet.peers.launching import Ending, Job, free_address, run_together
from kinet.plugins import imported_files
from kinet.training.runs import RunFolders

MODULE = "kinet.cli"


def is_watched() -> bool:
    """Whether this process is one of those that `train_in_processes` has started."""
    return WATCHED in os.environ


def how_to_go_on(folders: RunFolders, more: str = "") -> str:
    """The command that goes on with a run."""
    files = "".join(f" --plugin {shlex.quote(str(file))}" for file in imported_files())
    return f"kinet train --resume --tag {folders.models.name}{more}{files}"


def train_in_processes(
    place: Place, folders: RunFolders, options: Mapping[str, Any], arguments: Sequence[str]
) -> None:
    """Run the command in processes that end together.

    Parameters
    ----------
    place : Place
        That of this process where a launcher has started it: then one process runs.
    folders : RunFolders
        Of the run.
    options, arguments
        Of the command, as they were understood and as they were given.

    Raises
    ------
    SettingsError, BackendError
        If several processes cannot run so.
    PeerLost
        If one of them was killed.
    SystemExit
        If one of them failed and has said why.
    """
    count = options["processes"]
    if place.others and count > 1:
        raise SettingsError(
            f"--processes is {count} and {NUMBER} is set; allowed: one of the two, for a launcher "
            "has started this process as one of several already"
        )
    require_able(choose(options["backend"]))
    going_on = how_to_go_on(folders, f" --processes {count}" if count > 1 else "")
    try:
        ending = run_together(_jobs(place, options, arguments))
    except KeyboardInterrupt:
        say(f"interrupted; go on with: {going_on}")
        raise
    finally:
        Console(stderr=True).show_cursor()  # a progress bar that was killed leaves it hidden
    if ending is not None:
        _tell(ending, going_on)


def _jobs(place: Place, options: Mapping[str, Any], arguments: Sequence[str]) -> list[Job]:
    numbers = select_gpus(options["gpu"])
    if place.others:
        return [Job(place, MODULE, arguments)]
    count = options["processes"]
    if len(numbers or ()) % count:
        raise SettingsError(
            f"--gpu {options['gpu']} are {len(numbers or ())} GPUs, and --processes is {count}; "
            "allowed: as many GPUs for every process"
        )
    address, jobs = free_address(), []
    for number in range(count):
        own = Place(number, count, address)
        gpus = ",".join(map(str, (numbers or [])[own.part_of(len(numbers or ()))]))
        share = ["--gpu", gpus] if gpus else []
        environment = environment_of(own, gpus_are_named=numbers is not None)
        jobs.append(Job(own, MODULE, [*arguments, *share], environment))
    return jobs


def _tell(ending: Ending, going_on: str) -> None:
    """Say what ended the training; the first process has said it itself."""
    if ending.code < 0 or ending.is_of_another:
        raise PeerLost(f"{ending}; the training has ended with it; go on with: {going_on}")
    if not ending.place.is_first:
        sys.stderr.write(ending.said)
    raise SystemExit(ending.code)
