"""Calls of the command line that make no sense: ``python tests/bad_calls.py FIRST COUNT``.

Options and arguments are drawn by seed, most of them with values that are wrong, hostile or of
something else. No backend is loaded: what would begin to work ends with the line that there is
none. Prints JSON: how many calls ended with which code, and what was not as it must be.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import io
import json
import os
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import click
import numpy as np
import soundfile

from kinet.cli import COMMANDS, cli, run

SECONDS = 20  # of work in one call
HANGS = 300  # seconds of a clock, on a machine that does much else
MOST_MIB = 1024  # that all calls together may add
TEXTS = (
    *("", " ", "-", "--", ".", "..", "/", "/nope/x", "nope", "a b", "x" * 300, "\x1b[2J", "\u202e"),
    *("caf\udce9", "=cmd|'/c calc'!A0", "0", "-1", "1", "3", "1e308", "-1e308", "nan", "inf"),
    *("99999999999999999999", "0x10", "1,5", "none", "wider", "supcon", "channel,channel", "a=b"),
    *("a=1", "expansion=1e999", "%s%n", "../../../etc/passwd", "a\nb"),
)
FILES = (
    *("list", "empty", "noise", "noise.npy", "objects.npy", "a_1.npy", "noise.keras", "noise.h5"),
    *("noise.wav", "tone.wav", "songs.csv", "folder", "features", "plugin.py", "noise.onnx"),
    *("pipe.wav", "loop", "features.json", "noise.npz", "out.png"),
)


def furnish(folder: Path) -> None:
    """Files of many kinds, none of which is what most options want."""
    noise = np.random.default_rng(0).bytes(3000)
    for name in FILES:
        path = folder / name
        if name in ("folder", "features"):
            path.mkdir()
        elif name.startswith("noise"):
            path.write_bytes(noise)
        elif name == "pipe.wav":
            os.mkfifo(path)
        elif name == "loop":
            path.symlink_to(path)
    hpcp = np.ones((200, 12), np.float32)
    for version in (1, 2):
        np.save(folder / "features" / f"a_{version}.npy", hpcp)
    np.save(folder / "a_1.npy", hpcp)
    np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (folder / "list").write_text("a 1\na 2\n")
    (folder / "empty").touch()
    (folder / "features.json").write_text('{"features": [[[')
    (folder / "songs.csv").write_text("path,song_id,version_id\nnoise.wav,=a,\x1b[2J\n")
    (folder / "plugin.py").write_text("1 / 0\n")
    (folder / "out.png").write_text("mine")
    soundfile.write(folder / "tone.wav", np.sin(np.arange(50000) / 9), 44100)


def call(rng: np.random.Generator) -> list[str]:
    """A command with options and arguments."""
    name = str(rng.choice(list(COMMANDS)))
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    words = [name if rng.random() < 0.97 else str(rng.choice(TEXTS))]
    for parameter in command.params:
        wanted = 0.7 if parameter.required or isinstance(parameter, click.Argument) else 0.12
        if rng.random() >= wanted:
            continue
        if isinstance(parameter, click.Option):
            words.append(str(rng.choice(parameter.opts)))
            if parameter.is_flag:
                continue
        words.append(_value(parameter, rng))
    if rng.random() < 0.1:
        words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(TEXTS)))
    return words


def _value(parameter: click.Parameter, rng: np.random.Generator) -> str:
    choices = getattr(parameter.type, "choices", None)
    if choices and parameter.name != "backend" and rng.random() < 0.6:
        return str(rng.choice(list(choices)))
    return str(rng.choice(FILES if rng.random() < 0.6 else TEXTS))


def fault_of(words: list[str], folder: Path, codes: Counter[int]) -> str:
    """Make the call; what was not as it must be, else nothing."""
    before = _contents(folder)
    results, errors = io.StringIO(), io.StringIO()
    started = time.process_time()
    faulthandler.dump_traceback_later(HANGS, exit=True)
    try:
        with contextlib.redirect_stdout(results), contextlib.redirect_stderr(errors):
            code = run(words)
    except BaseException:  # noqa: BLE001 - whatever it raises is the finding
        return traceback.format_exc().splitlines()[-1]
    finally:
        faulthandler.cancel_dump_traceback_later()
    codes[code] += 1
    said = errors.getvalue()
    if code not in (0, 1, 2):
        return f"it ended with {code}"
    if "Traceback" in said:
        return "a traceback"
    if any(not c.isprintable() and c not in "\n" for c in said.replace("\x1b[2K", "")):
        return f"it steers the terminal: {said!r}"
    if code and not (said + results.getvalue()).strip():  # what check finds is its result
        return "it says nothing"
    if code and "--force" not in words and not before.items() <= _contents(folder).items():
        return "it failed and changed a file"
    if time.process_time() - started > SECONDS:
        return "it took too long"
    return ""


def _contents(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def main(first: int, count: int) -> dict[str, object]:
    """Calls by the code they ended with, faults, and MiB that all took."""
    # Neither TensorFlow, JAX nor PyTorch: nobody waits for them.
    os.environ["KERAS_BACKEND"] = "none"
    codes: Counter[int] = Counter()
    faults = []
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(first, first + count):
        with tempfile.TemporaryDirectory(prefix="kinet-calls-") as name:
            os.chdir(name)
            furnish(Path(name))
            words = call(np.random.default_rng(seed))
            fault = fault_of(words, Path(name), codes)
            if fault:
                faults.append({"seed": seed, "call": words, "fault": fault})
            os.chdir("/")
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - taken) // 2**10
    if taken > MOST_MIB:
        faults.append({"fault": f"{taken} MiB"})
    return {"codes": dict(sorted(codes.items())), "faults": faults, "mib": taken}


if __name__ == "__main__":
    json.dump(main(int(sys.argv[1]), int(sys.argv[2])), sys.stdout)
