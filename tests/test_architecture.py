"""One direction of imports, no engine outside its room, and a command line that answers at once."""

from __future__ import annotations

import ast
import os
import re
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


def order_of_the_design_page() -> tuple[list[str], int]:
    """All files in the order of the page's tables, and how many stand in the first table."""
    page = (PACKAGE.parent / "docs" / "design.md").read_text()
    tables = re.findall(r"\| Room \|.*?\n\n", page, re.DOTALL)
    files: list[list[str]] = []
    for table in tables:
        rows = re.findall(r"^\| `(\w+)(\.py|/)` \| ([^|]*)\|", table, re.MULTILINE)
        files.append([])
        for room, kind, names in rows:
            inside = re.findall(r"`([\w/]+)`", names)
            assert bool(inside) == (kind == "/"), f"{room}{kind} in docs/design.md names {inside}"
            files[-1] += [f"{room}/{name}.py" for name in inside] or [f"{room}.py"]
    return [name for table in files for name in table], len(files[0])


ORDER, WITHOUT_NETWORK = order_of_the_design_page()


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


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


MODULES = {
    ".".join(("kinet", *Path(name(path)).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in FILES
}


def files_imported(path: Path) -> set[str]:
    """Files of kinet that a file imports, at its top or in a function."""
    found = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [m if m in MODULES else str(node.module) for m in inside]
        found |= {m for m in modules if m.split(".")[0] == "kinet"}
    return {name(MODULES[module]) for module in found}


IN_ROOMS = [path for path in FILES if room_of(path) not in ("__init__", "cli", "commands")]


def test_the_design_page_names_every_file_once():
    assert sorted(ORDER) == sorted(map(name, FILES))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_imports_only_from_what_the_design_page_names_before_it(path):
    place = ORDER.index(name(path))
    for other in files_imported(path):
        assert ORDER.index(other) < place, f"{name(path)} imports {other}, which comes later"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_commands_import_the_verbs_and_nothing_imports_the_command_line(path):
    others = files_imported(path)
    if room_of(path) != "commands":
        assert not {other for other in others if other.startswith(("commands/", "__init__"))}
    assert "cli.py" not in others


@pytest.mark.parametrize("path", FILES, ids=name)
def test_engines_are_named_only_in_their_rooms(path):
    if room_of(path) not in ("backend", "export"):
        assert not {module.split(".")[0] for module, _ in imports(path)} & ENGINES


@pytest.mark.parametrize("path", ORDER[:WITHOUT_NETWORK])
def test_files_of_the_first_table_do_not_import_the_network(path):
    if path.startswith("backend/"):
        return
    assert not {module.split(".")[0] for module, _ in imports(PACKAGE / path)} & HEAVY


@pytest.mark.parametrize(
    "path",
    [p for p in FILES if room_of(p) in ("__init__", "cli", "commands", "backend", "checkpoint",
                                        "attention", "blocks", "losses", "testing")],
    ids=name,
)  # fmt: skip
def test_the_network_is_imported_late_where_a_command_line_must_be_quick(path):
    if name(path) in ("losses/comparing.py", "losses/sums.py"):  # the Keras losses themselves
        return
    heavy = {*HEAVY, "kinet.model", "kinet.layers", "kinet.training.fitting", "kinet.embeddings"}
    heavy |= {"kinet.network", "kinet.losses.comparing", "kinet.losses.sums"}
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
