"""Everything that must hold before a change lands; ``nox`` runs it all."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nox

# Most of what is installed is never imported. For pip "no" is what switches this one on.
os.environ["PIP_NO_COMPILE"] = "no"
# Most of the time goes into compiling networks that run once: less of it for what they compute.
# The last session, build, compiles as users do.
QUICK_XLA = {"XLA_FLAGS": "--xla_backend_optimization_level=1"}

nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "types", "tests", "readme", "docs", "build"]

# Of PyTorch, the registry's newest wheel for Linux may bring several GB of CUDA: pin one that
# every session shares. Users are free to choose.
BACKENDS = {
    "tensorflow": [
        "-e",
        ".[test,tensorflow,onnx,openvino,int8,litert,export,quickstart,scores,serve,approximate,store]",
    ],
    "jax": ["-e", ".[test,jax,pictures]"],
    "torch": ["torch==2.13.0", "-e", ".[test,torch,onnx,pictures]"],
}
CACHE_FAULTS = ["reading", "writing"]
# What is the same under every backend is tested once.
WITHOUT_BACKEND = [
    "tests/test_alignment_benchmark.py",
    "tests/test_architecture.py",
    "tests/test_audio.py",
    "tests/test_audio_fuzz.py",
    "tests/test_bad_calls.py",
    "tests/test_baselines.py",
    "tests/test_batches.py",
    "tests/test_benchmarks.py",
    "tests/test_candidates.py",
    "tests/test_check.py",
    "tests/test_chorales.py",
    "tests/test_cli.py",
    "tests/test_cluster.py",
    "tests/test_compare.py",
    "tests/test_config.py",
    "tests/test_da_tacos.py",
    "tests/test_damaged_uploads.py",
    "tests/test_datasets.py",
    "tests/test_docs.py",
    "tests/test_docstrings.py",
    "tests/test_evaluation.py",
    "tests/test_extract_command.py",
    "tests/test_extraction.py",
    "tests/test_files.py",
    "tests/test_find_command.py",
    "tests/test_fourier_magnitudes.py",
    "tests/test_generator.py",
    "tests/test_graph.py",
    "tests/test_harmony.py",
    "tests/test_hpcp.py",
    "tests/test_index_benchmark.py",
    "tests/test_inputs.py",
    "tests/test_inspection.py",
    "tests/test_levers_benchmark.py",
    "tests/test_library.py",
    "tests/test_library_damage.py",
    "tests/test_library_kills.py",
    "tests/test_library_machine.py",
    "tests/test_locks.py",
    "tests/test_manifest.py",
    "tests/test_matching.py",
    "tests/test_metrics.py",
    "tests/test_migrations.py",
    "tests/test_note_pack.py",
    "tests/test_output.py",
    "tests/test_packing.py",
    "tests/test_page.py",
    "tests/test_plugins_command.py",
    "tests/test_postgres.py",
    "tests/test_project.py",
    "tests/test_quickstart.py",
    "tests/test_registry.py",
    "tests/test_remote.py",
    "tests/test_renditions.py",
    "tests/test_runs.py",
    "tests/test_scale_benchmark.py",
    "tests/test_search.py",
    "tests/test_serve.py",
    "tests/test_shards.py",
    "tests/test_show.py",
    "tests/test_site_browser.py",
    "tests/test_size.py",
    "tests/test_sources.py",
    "tests/test_spectrum.py",
    "tests/test_split.py",
    "tests/test_synth.py",
    "tests/test_synthesis.py",
    "tests/test_titles.py",
    "tests/test_tracks.py",
    "tests/test_train_settings.py",
    "tests/test_works.py",
]


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    session.install("ruff>=0.8")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types of the package."""
    session.install("mypy>=1.11", "numpy", "click", "rich")
    session.run("mypy")


@nox.session
@nox.parametrize("backend", list(BACKENDS))
def tests(session: nox.Session, backend: str) -> None:
    """The tests on one backend, the others not installed."""
    session.install(*BACKENDS[backend])
    others = [name for name in BACKENDS if name != backend]
    session.run(
        "python",
        "-c",
        "import importlib.util as u, sys; "
        f"sys.exit([name for name in {others!r} if u.find_spec(name)] or None)",
    )
    # The sessions build and readme run these.
    ignored = [
        "--ignore=tests/test_installed.py",
        "--deselect=tests/test_docs.py::test_a_page_runs_from_top_to_bottom[../README.md]",
    ]
    if backend != "tensorflow":
        ignored += [f"--ignore={path}" for path in WITHOUT_BACKEND]
    environment = {"KERAS_BACKEND": backend, **QUICK_XLA}
    allowed = []
    if backend == "jax":
        # Most of the time goes into compiling: keep what is compiled. JAX does not write these
        # files in one step, so one process may read a part of what another writes: it says so and
        # compiles by itself.
        allowed = [f"ignore:Error {verb} persistent compilation cache" for verb in CACHE_FAULTS]
        environment |= {
            "PYTHONWARNINGS": ",".join(allowed),
            "JAX_COMPILATION_CACHE_DIR": str(Path(session.create_tmp()).resolve()),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    # Two processes: tracing and compiling, most of the work, keep one core busy each. A file at a
    # time, so that what it makes for all of its tests is made once; tests/conftest.py says which
    # comes first.
    session.run(
        "pytest",
        "-q",
        *("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "--durations", "12"),
        *(part for warning in allowed for part in ("-W", warning)),
        *ignored,
        *session.posargs,
        env=environment,
    )
    if backend == "torch" and not session.posargs:
        _test_plugins(session)


def _test_plugins(session: nox.Session) -> None:
    """Third-party packages: their own tests, and a training run with the block of one."""
    example, beets = "examples/kinet-plugin-dilated", "examples/beets-covers"
    session.install(f"./{example}", f"./{beets}")
    session.run("pytest", "-q", "-n", "2", "-c", f"{example}/pyproject.toml", example)
    # One process: its tests share what was read of their music.
    session.run("pytest", "-q", "-c", f"{beets}/pyproject.toml", beets)
    session.run("pytest", "-q", "tests/test_plugin_training.py")
    session.run("pip", "uninstall", "-q", "-y", "kinet-plugin-dilated", "beets-covers")


@nox.session
def readme(session: nox.Session) -> None:
    """README's commands, in a clean folder, as a new user would: the first, and all others.

    The training of own data has two epochs in place of its 100.
    """
    source = Path("README.md").read_text()
    command = re.findall(r"```console\n(.*?)```", source, re.DOTALL)[0].strip()
    on_own_data = "".join(re.findall(r"```bash\n(.*?)```", source, re.DOTALL))
    in_python = "".join(re.findall(r"```python\n(.*?)```", source, re.DOTALL))
    on_own_data = re.sub(r"^kinet train\b", r"\g<0> --epochs 2", on_own_data, flags=re.MULTILINE)
    root = Path.cwd()
    with session.chdir(session.create_tmp()):
        session.run("git", "clone", "-q", str(root), "clone", external=True)
        with session.chdir("clone"):
            session.run("bash", "-ec", command, external=True)
            session.run(".venv/bin/python", "tests/music.py", "music", external=True)
            session.run("bash", "-ec", on_own_data, external=True)
            session.run(".venv/bin/python", "-c", in_python, external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation builds without a warning."""
    session.install("-e", ".[docs]")
    session.run("mkdocs", "build", "--strict", "-q", "-d", session.create_tmp())


@nox.session
def build(session: nox.Session) -> None:
    """Wheel and sdist are built, and the installed wheel works outside the repository.

    With a folder after ``--``, they are left there.
    """
    session.install("build>=1.2")
    folder = session.create_tmp()
    session.run("python", "-m", "build", "--outdir", folder)
    wheel = next(Path(folder).glob("*.whl"))
    session.install(f"{wheel}[jax]", "pytest")
    tests = Path("tests/test_installed.py").resolve()
    with session.chdir(folder):
        session.run("pytest", "-q", "-p", "no:cacheprovider", str(tests))
    for kept in session.posargs:
        Path(kept).mkdir(parents=True, exist_ok=True)
        for path in (wheel, *Path(folder).glob("*.tar.gz")):
            shutil.copy(path, kept)


@nox.session
def browser(session: nox.Session) -> None:
    """The pages in a browser, which must be there: Debian's chromium, or Chrome.

    With ``KINET_SCREENSHOTS=FOLDER`` pictures of them are left there.
    """
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        session.error("no chromium here; install it with: apt install chromium")
    session.install("torch==2.13.0", "-e", ".[test,torch,serve,browser]")
    session.run(
        *("pytest", "-q", "-rs", "tests/test_page.py", "tests/test_site_browser.py"),
        *session.posargs,
        env={"KERAS_BACKEND": "torch"},
    )


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """The tests on JAX with the lowest versions that pyproject.toml admits."""
    session.install("uv>=0.5")
    session.run(
        *("uv", "pip", "install", "--python", shutil.which("python", path=session.bin) or "python"),
        *("--resolution", "lowest-direct", "-e", ".[test,jax,pictures]"),
    )
    # Old versions are expected to use what newer ones have deprecated: warnings are no errors here.
    session.run(
        "pytest",
        "-q",
        *("-n", "2", "--dist", "loadscope", "-o", "filterwarnings=default", "-p", "no:warnings"),
        *session.posargs,
        env={"KERAS_BACKEND": "jax"},
    )


@nox.session
def coverage(session: nox.Session) -> None:
    """Lines and branches that the tests reach on TensorFlow; what they miss is printed."""
    # A session of its own: tests/test_hpcp.py takes 1.8 times as long when it is measured.
    session.install(*BACKENDS["tensorflow"], "pytest-cov>=5")
    session.run(
        "pytest",
        "-q",
        *("-n", "2", "--dist", "loadscope", "--cov", "--cov-report", "term-missing"),
        *session.posargs,
        env={"KERAS_BACKEND": "tensorflow"},
    )


@nox.session
def mutation(session: nox.Session) -> None:
    """Changes the lines of kinet/ that differ from main, one at a time: which does a test catch?

    Runs in a copy. The tests are those of the same name as a changed file, or what comes after
    ``--``: ``nox -s mutation -- tests/test_metrics.py``.
    """
    git = ["git", "-C", str(Path.cwd())]
    base = str(session.run(*git, "merge-base", "main", "HEAD", external=True, silent=True)).strip()
    names = str(
        session.run(
            *(*git, "diff", "--name-only", "--diff-filter=d", base, "--", "kinet/*.py"),
            external=True,
            silent=True,
        )
    ).split()
    if not names:
        session.skip("no file of kinet/ differs from main")
    tests = session.posargs or [
        test for name in names if Path(test := f"tests/test_{Path(name).stem}.py").exists()
    ]
    if not tests:
        session.error(f"no tests have the names of {', '.join(names)}: name some after --")

    copy = Path(session.create_tmp()) / "kinet"
    shutil.rmtree(copy, ignore_errors=True)
    session.run("git", "clone", "-q", str(Path.cwd()), str(copy), external=True)
    for name in names:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, copy / name)
    for test in Path("tests").glob("*.py"):
        shutil.copy(test, copy / test)
    session.install("-e", f"{copy}[test,jax,pictures]", "cosmic-ray>=8.4")
    with session.chdir(copy):
        Path("mutation.toml").write_text(
            "[cosmic-ray]\n"
            f"module-path = {names!r}\n"
            "timeout = 600.0\n"
            f"test-command = 'python -m pytest -q -x {' '.join(tests)}'\n"
            "[cosmic-ray.distributor]\n"
            "name = 'local'\n"
            "[cosmic-ray.filters.git-filter]\n"
            f"branch = '{base}'\n"
        )
        environment = {"KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "jax")}
        session.run("cosmic-ray", "baseline", "mutation.toml", env=environment)
        session.run("cosmic-ray", "init", "mutation.toml", "mutation.sqlite")
        session.run("cr-filter-git", "--config", "mutation.toml", "mutation.sqlite")
        session.run("cosmic-ray", "exec", "mutation.toml", "mutation.sqlite", env=environment)
        session.run("cr-report", "--surviving-only", "--show-diff", "mutation.sqlite")
