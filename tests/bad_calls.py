"""Calls of the command line that make no sense: ``python tests/bad_calls.py FIRST COUNT``.

Options and arguments are drawn by seed, most of them with values that are wrong, hostile or of
something else. No backend is loaded: what would begin to embed by a network, or to train, ends with
the line that there is none; libraries are of the descriptor, which needs none, and are searched.
Prints JSON: how many calls ended with which code, and what was not as it must be.

Run it in a folder for temporary files that holds nothing else: some calls take in ``..``.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import io
import json
import os
import resource
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
from bad_values import (
    FILES,
    LIBRARIES,
    NEAR,
    TAKES,
    TEXTS,
    WILD,
    furnished_once,
    in_furnished_folder,
)

from kinet import cluster, processes
from kinet.cli import COMMANDS, cli, run
from kinet.library import Library, queries

SECONDS = 20  # of work in one call
HANGS = 300  # seconds of a clock, on a machine that does much else
MOST_MIB = 1024  # that all calls together may add


def commands() -> Iterator[tuple[list[str], click.Command]]:
    """Every command with the words that call it, those of groups too."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            for inner, one in command.commands.items():
                yield [name, inner], one
        else:
            yield [name], command


def call(rng: np.random.Generator) -> list[str]:
    """A command with options and arguments."""
    every = list(commands())
    names, command = every[int(rng.integers(len(every)))]
    words = list(names)
    if rng.random() < 0.03:
        words[int(rng.integers(len(words)))] = str(rng.choice(TEXTS))
    for parameter in command.params:
        is_wanted = parameter.required or isinstance(parameter, click.Argument)
        if rng.random() >= (0.8 if is_wanted else 0.12):
            continue
        is_several = parameter.nargs == -1 or parameter.multiple
        for _ in range(int(rng.integers(1, 4)) if is_several else 1):
            if isinstance(parameter, click.Option):
                words.append(str(rng.choice(parameter.opts)))
                if parameter.is_flag:
                    break
            words.append(_value(parameter, rng))
    if rng.random() < 0.1:
        words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(WILD)))
    return words


def _value(parameter: click.Parameter, rng: np.random.Generator) -> str:
    choices = getattr(parameter.type, "choices", None)
    if choices and parameter.name != "backend" and rng.random() < 0.6:
        return str(rng.choice(list(choices)))
    near = TAKES.get(parameter.name, NEAR.get(parameter.name, ()))
    if near and rng.random() < 0.75:
        return str(rng.choice(near))
    return str(rng.choice(FILES)) if rng.random() < 0.6 else str(rng.choice(WILD))


def fault_of(words: list[str], folder: Path, codes: Counter[int]) -> str:
    """Make the call; what was not as it must be, else nothing."""
    before = contents(folder)
    # As strict as a terminal's.
    results = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="\n", write_through=True)
    errors = io.StringIO()

    def outcome() -> int:
        with contextlib.redirect_stdout(results), contextlib.redirect_stderr(errors):
            return run(words)

    code, fault = watched(outcome)
    if fault:
        return fault
    codes[code] += 1
    shown, said = results.buffer.getvalue().decode(), errors.getvalue()
    return (
        fault_of_words(words, code, shown, said)
        or fault_of_files(words, code, before, contents(folder))
        or fault_of_libraries(folder)
    )


def fault_of_words(words: list[str], code: int, shown: str, said: str) -> str:
    """What is wrong with how a call ended, and with what it said."""
    if code not in (0, 1, 2):
        return f"it ended with {code}"
    if "Traceback" in said:
        return "a traceback"
    for text in (said, shown):
        if any(not c.isprintable() and c not in "\n" for c in text.replace("\x1b[2K", "")):
            return f"it steers the terminal: {text!r}"
    if code and not (said + shown).strip():  # what check finds is its result
        return "it says nothing"
    if "--json" in words and not code and not is_json(shown):
        return f"it prints no JSON: {shown[:200]!r}"
    return ""


def fault_of_files(
    words: list[str], code: int, before: dict[str, str], after: dict[str, str]
) -> str:
    """Whether a call that failed changed what was there."""
    if not code or "--force" in words or before.items() <= after.items():
        return ""
    # What could be read of several recordings is added.
    is_fault = words[:2] != ["index", "add"] or lost(before, after)
    return "it failed and changed a file" * is_fault


def watched(work: Callable[[], object]) -> tuple[object, str]:
    """What a call gives, or what was not as it must be: it raised, or took too long."""
    started = time.process_time()
    faulthandler.dump_traceback_later(HANGS, exit=True)
    try:
        found = work()
    except BaseException:  # noqa: BLE001 - whatever it raises is the finding
        return None, " | ".join(traceback.format_exc().splitlines()[-3:])
    finally:
        faulthandler.cancel_dump_traceback_later()
    return found, "it took too long" * (time.process_time() - started > SECONDS)


def is_json(text: str) -> bool:
    """Whether programs can read it, which know no NaN."""
    try:
        json.loads(text, parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        return False
    return True


def lost(before: dict[str, str], after: dict[str, str]) -> bool:
    """Whether a file is gone, or is another one, that is no library."""
    return any(
        after.get(path) != digest and not path.endswith(LIBRARIES)
        for path, digest in before.items()
    ) or not all(path in after for path in before)


def fault_of_libraries(folder: Path) -> str:
    """What is wrong with libraries that were whole."""
    for name in LIBRARIES:
        if (folder / name).exists():
            with Library.open(folder / name) as library:
                if faults := library.check():
                    return f"{name}: {faults[0]}"
    return ""


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def without_waiting() -> None:
    """No backend, no page that is served until Ctrl-C, no cluster that is waited for."""
    import uvicorn

    # Neither TensorFlow, JAX nor PyTorch: nobody waits for them.
    os.environ["KERAS_BACKEND"] = "none"
    uvicorn.Server.run = lambda self, sockets=None: setattr(self, "started", True)
    cluster.ANSWER = 0.2
    # One process: others take a second to begin.
    processes.cores = queries.cores = lambda: 1


def main(first: int, count: int) -> dict[str, object]:
    """Calls by the code they ended with, faults, and MiB that all took."""
    without_waiting()
    codes: Counter[int] = Counter()
    faults = []
    furnished_once()
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(first, first + count):
        words = call(np.random.default_rng(seed))
        with in_furnished_folder() as folder:
            fault = fault_of(words, folder, codes)
        if fault:
            faults.append({"seed": seed, "call": words, "fault": fault})
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - taken) // 2**10
    if taken > MOST_MIB:
        faults.append({"fault": f"{taken} MiB"})
    shutil.rmtree(furnished_once())
    return {"codes": dict(sorted(codes.items())), "faults": faults, "mib": taken}


if __name__ == "__main__":
    json.dump(main(int(sys.argv[1]), int(sys.argv[2])), sys.stdout)
