"""One direction of imports, no engine outside its room, and a command line that answers at once."""

from __future__ import annotations

import ast
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "kinet"
FILES = sorted(PACKAGE.rglob("*.py"))
ENGINES = {"tensorflow", "jax", "torch"}
HEAVY = {"keras", *ENGINES}
# A room may import from the ones above its own line, and from its own line.
LEVELS = [
    {"errors"},
    {"config", "files", "registry", "backend"},
    {"audio", "metrics", "scores", "spectrum"},
    {"hpcp", "tracks", "sources", "packing"},
    {"notes", "splits", "inspection", "batches", "manifest", "collections"},
    {"renditions", "evaluation", "extraction", "synthesis"},
    {"chorales", "recordings", "layers", "pictures", "runlog", "runs"},
    {"attention", "blocks", "losses"},
    {"model", "original"},
    {"checkpoint"},
    {
        "conversion",
        "graph",
        "folding",
        "attended",
        "fourier",
        "fourier_pitch",
        "winograd",
        "transformed",
        "embeddings",
        "index",
        "epochs",
    },
    {"training", "export", "testing"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
# These know nothing of the network.
LIGHT = {
    "errors", "config", "files", "registry", "audio", "hpcp", "tracks", "splits", "inspection",
    "batches", "metrics", "evaluation", "notes", "scores", "renditions", "chorales", "runs",
    "runlog", "spectrum", "sources", "manifest", "collections", "extraction", "packing",
    "synthesis", "recordings",
}  # fmt: skip


def imports(path: Path) -> list[tuple[str, bool]]:
    """Modules that a file imports, and whether at its top (not in a function, not for types)."""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(name.name, id(node) in top) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            if module == "kinet":  # `from kinet import blocks` may be a room or a verb
                found += [(f"kinet.{name.name}", id(node) in top) for name in node.names]
            else:
                found.append((module, id(node) in top))
    return found


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_of(path: Path) -> set[str]:
    """Rooms of kinet that a file imports, at its top or in a function."""
    modules = [module for module, _ in imports(path) if module.split(".")[0] == "kinet"]
    return {[*module.split("."), ""][1] for module in modules}


IN_ROOMS = [path for path in FILES if room_of(path) not in ("__init__", "cli", "commands")]


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", IN_ROOMS, ids=name)
def test_a_room_imports_only_from_rooms_above_it(path):
    room = room_of(path)
    assert room in LEVEL, f"kinet/{room} has no place in LEVELS: give it one"
    for other in rooms_of(path) - {room}:
        assert other in LEVEL, f"{name(path)} imports kinet.{other}, which is no room below it"
        assert LEVEL[other] <= LEVEL[room], f"{name(path)} imports kinet.{other}, a later room"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_the_command_line_imports_the_verbs_and_nothing_imports_cli(path):
    rooms = rooms_of(path)
    assert "cli" not in rooms
    if room_of(path) not in ("cli", "commands"):
        assert not rooms & {"", "commands", "build", "load", "embed", "evaluate", "extract"}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_engines_are_named_only_in_their_rooms(path):
    if room_of(path) not in ("backend", "export"):
        assert not {module.split(".")[0] for module, _ in imports(path)} & ENGINES


@pytest.mark.parametrize("path", [p for p in IN_ROOMS if room_of(p) in LIGHT], ids=name)
def test_rooms_that_know_nothing_of_the_network_do_not_import_it(path):
    assert not {module.split(".")[0] for module, _ in imports(path)} & HEAVY


@pytest.mark.parametrize(
    "path",
    [p for p in FILES if room_of(p) in ("__init__", "cli", "commands", "backend", "checkpoint",
                                        "attention", "blocks", "losses", "testing")],
    ids=name,
)  # fmt: skip
def test_the_network_is_imported_late_where_a_command_line_must_be_quick(path):
    heavy = {*HEAVY, "kinet.model", "kinet.layers", "kinet.training", "kinet.embeddings"}
    at_top = {module for module, top in imports(path) if top}
    assert not {m for m in at_top if m in heavy or m.split(".")[0] in HEAVY}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_the_command_line_prints_or_exits(path):
    # A converter that may crash runs in a process of its own: that file is a program.
    if room_of(path) in ("cli", "commands") or name(path) == "export/child.py":
        return
    calls = [n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    names = {c.id for c in calls if isinstance(c, ast.Name)} | {
        ast.unparse(c) for c in calls if isinstance(c, ast.Attribute)
    }
    assert not names & {"print", "exit", "sys.exit", "click.echo"}


@pytest.mark.parametrize(
    "code",
    [
        "import kinet",
        "import kinet.cli",
        "import kinet.testing",
        "from kinet.cli import run; assert run(['--help']) == 0",
        "from kinet.cli import run; assert run(['--version']) == 0",
        "from kinet.cli import run; assert run(['check', '--help']) == 0",
    ],
)
def test_no_backend_is_loaded(code):
    code += "; import sys; loaded = {'keras', 'tensorflow', 'jax', 'torch'} & sys.modules.keys()"
    subprocess.run(
        [sys.executable, "-c", code + "; assert not loaded, loaded"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["plugins"]])
def test_the_command_line_starts_without_a_usable_backend(arguments):
    done = subprocess.run(
        [sys.executable, "-m", "kinet.cli", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "no-such-backend"},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_help_answers_within_0_3_seconds():
    def seconds() -> float:
        # Processor time of the child: what other processes take on this machine is not ours.
        before = os.times()
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "kinet.cli", "--help"], check=True, stdout=subprocess.DEVNULL
        )
        wall, after = time.perf_counter() - started, os.times()
        used = sum(after[2:4]) - sum(before[2:4])
        return min(wall, used) if used else wall

    medians = []
    for _ in range(4):
        medians.append(statistics.median(seconds() for _ in range(5)))
        if medians[-1] < 0.3:
            return
    pytest.fail(f"kinet --help took {min(medians):.2f} s; allowed: 0.3 s")
