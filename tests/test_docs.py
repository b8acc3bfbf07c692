"""The documentation is true: its code runs, its commands exist, its links lead somewhere.

A page is executed from top to bottom in a folder of its own, where small data, a small model and
a checkpoint of the original lie under the names that the pages use. ``python`` blocks share one
namespace per page, ``pycon`` blocks are doctests in it, and of ``bash`` blocks the lines that
begin with ``kinet`` are run, and those that begin with ``dask``, in the background.
`kinet train` gets `SMALL` appended, which wins over the same options on the page. A ``python``
block that begins with ``# <name>.py`` is written to that file.

A ``sql`` block is run by who may do everything on a server of the tests, in the database that its
first line names, ``-- in the database <name>``. ``db.example.org`` is that server;
``scheduler.example.org`` is this machine. ``s3://music`` is a bucket with the same music in
``songs``.

A block below ``<!-- not run: reason -->`` is only understood: Python is compiled, and a command's
options must exist and have allowed values. The ``console`` blocks of the README are run by
`nox -s readme` and by `nox`.
"""

from __future__ import annotations

import doctest
import re
import shlex
import shutil
from pathlib import Path

import click
import h5py
import numpy as np
import pytest
from dask_servers import Started
from music import write_music
from s3_server import copy_to

import kinet
from kinet.cli import COMMANDS, cli, run
from kinet.errors import ExportError
from kinet.export.formats import choose_converter, get_format

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
README = "../README.md"
SMALL = shlex.split("--stages 1 --channels 8 --vectors 140 --embedding-size 16 --epochs 1")
BLOCK = re.compile(
    r"(?P<marker><!-- not run: .+? -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FILE = re.compile(r"# (\w+\.py)\n")
PROMPT = re.compile(r"^kinet .*", re.MULTILINE)
SERVER = re.compile(r"^dask .*", re.MULTILINE)


def read(page):
    return (DOCS / page).read_text()


def commands(code):
    """The argument lists of the `kinet` commands in a shell block."""
    return [
        shlex.split(line, comments=True)[1:] for line in PROMPT.findall(code.replace("\\\n", " "))
    ]


def blocks(page):
    return list(BLOCK.finditer(read(page)))


def write_features(folder, data_dir, lists):
    """Eight songs in three versions, 150 to 190 vectors long."""
    rng = np.random.default_rng(0)
    (folder / data_dir).mkdir(parents=True)
    names = []
    for song in range(8):
        tune = rng.random((190, 12)).astype(np.float32)
        for version in range(3):
            hpcp = np.roll(tune, int(rng.integers(12)), axis=1)[: 150 + 20 * version]
            np.save(folder / data_dir / f"s{song}_v{version}.npy", hpcp)
            names.append(f"s{song}\tv{version}\n")
    for name, first, last in lists:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(names[3 * first : 3 * last]))


def write_original(path, model):
    """The weights of a model of one stage, under the names of the original code."""
    names = {"stage0_kernel": "KI_0", "summary0": "Temporal_0", "summary1": "Temporal_1"}
    weights = ("gamma", "beta", "moving_mean", "moving_variance")
    with h5py.File(path, "w") as file:
        for layer in model.layers:
            arrays = layer.get_weights()
            part, _, kind = layer.name.rpartition("_")
            if layer.name in ("head", "head_bn"):
                name = "Embedding" + layer.name.removeprefix("head").upper()
            elif arrays:
                name = f"{names[part]}_{ {'conv': 'Conv', 'bn': 'BN'}[kind] }"
            keys = ("kernel",) if len(arrays) == 1 else weights
            for key, array in zip(keys, arrays, strict=bool(arrays)):
                file[f"{name}/{name}/{key}:0"] = array


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The files that pages speak of."""
    from kinet.config import ModelConfig

    folder = tmp_path_factory.mktemp("site")
    write_features(folder, "features", [("lists/all", 0, 8)])
    write_features(
        folder,
        "data/youtube_hpcp_npy",
        [("meta/SHS100K-TRAIN", 0, 4), ("meta/SHS100K-VAL", 4, 6), ("meta/SHS100K-TEST", 6, 8)],
    )
    write_music(folder / "music")
    config = ModelConfig(block="simple", stages=1, attention=(), channels=8, embedding_size=16)
    model = kinet.build(**config.to_dict())
    (folder / "models" / "first").mkdir(parents=True)
    kinet.save(model, folder / "models" / "first" / "best.keras")
    write_original(folder / "old.h5", model)
    return folder


@pytest.fixture
def started(tmp_path):
    """What runs in the background of a page."""
    servers = Started(tmp_path / "log")
    yield servers
    servers.stop()


def understand(arguments):
    """Parse a command without running it; raises where an option does not exist."""
    command = cli.get_command(click.Context(cli), arguments[0])
    assert command is not None, f"no command {arguments[0]}"
    command.make_context(arguments[0], list(arguments[1:]))


def run_command(arguments, capsys):
    if arguments[0] == "export":
        try:
            choose_converter(get_format(arguments[arguments.index("--format") + 1]))
        except ExportError as error:
            pytest.skip(f"the rest of the page: {error}")
    if arguments[0] == "train":
        arguments = [*arguments, *SMALL]
    code = run(arguments)
    streams = capsys.readouterr()
    assert code == 0, f"kinet {shlex.join(arguments)}\n{streams.out}{streams.err}"


def run_doctest(code, namespace, page):
    test = doctest.DocTestParser().get_doctest(code, namespace, page, page, 0)
    namespace_after = test.globs
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=report.append, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)
    namespace.update(namespace_after)


def run_sql(code, server):
    """A statement after the other: a database is made outside of transactions."""
    database = re.match(r"-- in the database (\w+)\n", code)
    for statement in filter(str.strip, code.split(";\n")):
        server.sql(statement, database[1] if database else "postgres")


def run_python(code, is_only_compiled, namespace, page):
    file = FILE.match(code)
    if file:
        Path(file[1]).write_text(code)
        return
    compiled = compile(code, page, "exec")
    if not is_only_compiled:
        exec(compiled, namespace)


def prepare(page, site, folder):
    """The folder that a page is executed in."""
    if page == README:  # who reads it has music and nothing else
        shutil.copytree(site / "music", folder / "music")
    else:
        shutil.copytree(site, folder)
    if page == "tutorial.md":  # makes this model itself
        shutil.rmtree(folder / "models")


def run_block(page, language, code, is_marked, namespace, capsys, server, started):
    if language == "python":
        run_python(code, is_marked, namespace, page)
    elif language == "pycon":
        assert not is_marked, "a doctest that does not run says nothing"
        run_doctest(code, namespace, page)
    elif language == "sql":
        run_sql(code, server)
    elif language == "bash":
        for line in SERVER.findall(code):
            started.run(line)
        for arguments in commands(code):
            understand(arguments)
            if not is_marked:
                run_command(arguments, capsys)
    else:
        known = ("console",) if page == README else ("text", "toml")
        assert language in known, f"{language}: nothing says how to test it"


@pytest.mark.filterwarnings("ignore:the validation list has")
@pytest.mark.parametrize("page", [*PAGES, README])
@pytest.mark.usefixtures("plugins_forgotten")
def test_a_page_runs_from_top_to_bottom(
    page, site, tmp_path, monkeypatch, capsys, request, started
):
    if not blocks(page):
        pytest.skip("a page without code")
    server = None
    if any(block["language"] == "sql" for block in blocks(page)):
        server = request.getfixturevalue("postgres")
        monkeypatch.setenv("PGPASSWORD", "change me")
    if "kinet extract s3://" in read(page):
        request.getfixturevalue("s3")
        copy_to("s3://music/songs", site / "music")
    folder = tmp_path / "page"
    prepare(page, site, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    namespace = {"__name__": "page"}
    for block in blocks(page):
        code = block["code"]
        if server:
            code = code.replace("db.example.org", f"127.0.0.1:{server.port}")
        code = started.placed(code)
        is_marked = bool(block["marker"])
        run_block(page, block["language"], code, is_marked, namespace, capsys, server, started)


@pytest.mark.parametrize("page", [*PAGES, README])
def test_what_is_installed_can_be_had_today(page):
    # NAME: where the messages of kinet are explained.
    assert not re.search(r'pip install "?mulkinet(?!\[NAME\])', read(page))


@pytest.mark.parametrize("page", [*PAGES, README])
def test_every_block_has_a_language_and_every_marker_a_block(page):
    fences = re.findall(r"^```(.*)$", read(page), re.MULTILINE)
    assert all(opening for opening, _ in zip(fences[::2], fences[1::2], strict=True))
    assert not any(fences[1::2])
    marked = sum(bool(block["marker"]) for block in blocks(page))
    assert marked == read(page).count("<!-- not run")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_shown_on_a_page(name):
    shown = {
        arguments[0]
        for page in PAGES
        for block in blocks(page)
        if block["language"] == "bash"
        for arguments in commands(block["code"])
    }
    assert name in shown


def test_the_reference_of_commands_is_made_from_the_commands():
    assert re.search(r"::: mkdocs-click\n +:module: kinet.cli\n", read("reference/commands.md"))


def test_navigation_and_pages_agree():
    navigation = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    assert sorted(re.findall(r"\S+\.md", navigation)) == PAGES


def anchors(page):
    """Anchors of the headings of a page, as MkDocs makes them."""
    text = BLOCK.sub("", read(page))
    words = [re.sub(r"[^\w\s-]", "", title).strip().lower() for title in titles(text)]
    return {re.sub(r"[-\s]+", "-", title) for title in words}


def titles(text):
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page):
    for link in LINK.findall(BLOCK.sub("", read(page))):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (DOCS / page).parent / target if target else DOCS / page
        assert path.is_file(), link
        found = path.resolve().relative_to(DOCS.resolve()).as_posix()
        assert not anchor or anchor in anchors(found), link


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CONTRIBUTING.md"])
def test_links_from_the_root_lead_somewhere(name):
    for link in LINK.findall((ROOT / name).read_text()):
        assert "://" in link or (ROOT / link).is_file(), link


def test_the_table_of_rooms_has_every_room():
    named = re.findall(r"^\| `([\w.]+)/?` \|", read("design.md"), re.MULTILINE)
    folder = ROOT / "kinet"
    there = [path.name for path in folder.glob("*.py")]
    there += [path.parent.name for path in folder.glob("*/__init__.py")]
    assert sorted(named) == sorted(there)


def test_sessions_of_nox_are_those_that_contributing_names():
    named = re.findall(r"^\| `(\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    source = (ROOT / "noxfile.py").read_text()
    there = re.findall(r"^@nox\.session.*\n(?:@.+\n)*def (\w+)", source, re.MULTILINE)
    assert named == there
