"""Work that a Dask cluster does: the same files, whoever dies; what cannot go on says so."""

from __future__ import annotations

import filecmp
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from types import SimpleNamespace

import cluster_kills
import numpy as np
import pytest
import worker_functions
from audio_files import sound, write
from dask_servers import ALLOWED_FAILURES, cluster_here

from kinet import cluster as room
from kinet.cli import run
from kinet.cluster import Cluster
from kinet.data.manifest import read_manifest
from kinet.errors import DataError, SettingsError
from kinet.extraction import extract_all
from kinet.extraction.sources import read_sources
from kinet.library import Library
from kinet.workers import Death

pytest.importorskip("distributed")
# Dask leaves sockets to the garbage collector when a worker dies.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*<socket:pytest.PytestUnraisableExceptionWarning"),
]


@dataclass(frozen=True)
class Named:
    """A job for `worker_functions`, which takes what it is called."""

    name: str


@pytest.fixture(scope="module")
def dask():
    """A cluster of one worker with two threads, in this process."""
    with cluster_here(threads=2) as started:
        yield started


@pytest.fixture(scope="module")
def address(dask):
    return dask.scheduler_address


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Three songs, and a file that is none."""
    folder = tmp_path_factory.mktemp("cluster") / "music"
    for song, seconds in (("a", 2.0), ("b", 3.0), ("c", 2.5)):
        (folder / song).mkdir(parents=True)
        write(folder / song / "x.wav", sound(seconds))
    (folder / "c" / "bad.wav").write_bytes(b"no sound")
    return folder


def work(address, function, names, finished=lambda job, result: True, **more):
    """What the workers of a cluster make of jobs."""
    results = {}

    def take(job, result):
        results[job.name] = result
        return finished(job, result)

    Cluster(address).work_off(function, [Named(name) for name in names], take, "do", **more)
    return results


def test_files_are_those_of_a_single_process(address, music, tmp_path, monkeypatch):
    monkeypatch.chdir(music.parent)  # where the workers need not be
    sources = read_sources(["music"], "folder")
    steps = []
    ours = os.path.relpath(tmp_path / "ours")
    report = extract_all(
        sources, ours, workers=Cluster(address), progress=lambda *step: steps.append(step)
    )
    alone = extract_all(sources, tmp_path / "alone", workers=1)
    assert report == alone
    assert [failure.source.version_id for failure in report.failed] == ["bad"]
    assert [step[:2] for step in steps] == [(i, 4) for i in range(5)]
    names = sorted(os.listdir(tmp_path / "alone"))
    assert sorted(os.listdir(ours)) == names
    assert filecmp.cmpfiles(ours, tmp_path / "alone", names, shallow=False)[0] == names
    again = extract_all(sources, ours, workers=Cluster(address))
    assert (len(again.done), len(again.skipped), len(again.failed)) == (0, 3, 1)


def test_who_looks_on_sees_songs_and_versions(dask, music, tmp_path):
    from distributed import SchedulerPlugin

    seen = set()

    class Looking(SchedulerPlugin):
        name = "looking"

        def transition(self, key, *_, **__):
            seen.add(key[:2])

    plugin = Looking()
    dask.scheduler.add_plugin(plugin)
    command = ["extract", str(music), "--out", str(tmp_path / "out"), "--songs-by", "folder"]
    assert run([*command, "--cluster", dask.scheduler_address]) == 1
    dask.scheduler.remove_plugin(plugin.name)
    assert seen == {("extract", name) for name in ("a_x", "b_x", "c_bad", "c_x")}
    wait_for(lambda: not dask.scheduler.tasks)


def test_a_library_that_a_cluster_reads_for_is_the_same(address, music, tmp_path, capsys):
    command = ["index", "add", str(tmp_path / "ours"), str(music), "--model-file", "fourier"]
    assert run([*command, "--cluster", address]) == 1
    assert "bad.wav" in capsys.readouterr().err
    with Library.create(tmp_path / "alone", "fourier") as library:
        library.add([music], workers=1)
        expected = library.find([music / "a" / "x.wav"], top=3)
        files = {file.path for file in library.files()}
    with Library.open(tmp_path / "ours") as library:
        assert library.check() == []
        assert library.find([music / "a" / "x.wav"], top=3) == expected
        assert {file.path for file in library.files()} == files


def test_a_process_that_is_ended_by_a_job_ends_that_job_alone(monkeypatch):
    # With more failures allowed a job ends as many more processes.
    with cluster_here(processes=True, **{ALLOWED_FAILURES: 0}) as cluster:
        names = ["one", "kill", "two", "three"]
        results = work(cluster.scheduler_address, worker_functions.name_or_die, names)
    assert {name: results[name] for name in ("one", "two", "three")} == {
        "one": "ONE",
        "two": "TWO",
        "three": "THREE",
    }
    assert results["kill"].reason.startswith("lost with its worker 1 times, last tcp://127.0.0.1:")


def test_a_job_that_raises_is_tried_once_more_and_ends_no_other(address):
    worker_functions.begun.clear()
    results = work(address, worker_functions.name_or_die, ["one", "raise", "two"])
    assert sorted(worker_functions.begun[:3]) == ["one", "raise", "two"]
    assert worker_functions.begun[3:] == ["raise"]
    assert results == {
        "one": "ONE",
        "two": "TWO",
        "raise": Death("ended by ValueError: not this one"),
    }


def test_no_more_is_done_than_is_wanted(dask, address):
    results = work(
        address, worker_functions.name_or_die, list("abcdefgh"), lambda job, _: job.name == "x"
    )
    assert len(results) == 1
    wait_for(lambda: not dask.scheduler.tasks)


def test_ctrl_c_takes_the_rest_from_the_cluster(dask, address):
    def finished(job, result):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(address, worker_functions.name_or_die, list("abcdefgh"), finished)
    wait_for(lambda: not dask.scheduler.tasks)
    assert work(address, worker_functions.name_or_die, ["a"]) == {"a": "A"}


def wait_for(condition):
    reached = threading.Event()
    for _ in range(200):
        if condition():
            return
        reached.wait(0.02)
    raise AssertionError("it never came")


def test_nothing_to_do_needs_no_scheduler():
    assert work("tcp://127.0.0.1:1", worker_functions.name_or_die, []) == {}


def test_workers_with_another_version_of_kinet_are_refused(address, monkeypatch):
    def version():
        return "1" if threading.current_thread() is threading.main_thread() else "2"

    monkeypatch.setattr(room, "_version", version)
    with pytest.raises(DataError, match=r"^worker tcp://.* it has kinet 2; need 1, as here$"):
        work(address, worker_functions.name_or_die, ["a"])
    # One that came later.
    monkeypatch.setattr(Cluster, "_look_at_workers", lambda *_: None)
    with pytest.raises(DataError, match="work: DataError: it has kinet 2; need 1, as here"):
        work(address, worker_functions.name_or_die, ["a"])


def test_workers_that_do_not_see_the_files_are_refused(address, tmp_path):
    missing = tmp_path / "elsewhere"
    with pytest.raises(DataError, match=r"it does not see .*elsewhere; need files or a store that"):
        work(address, worker_functions.name_or_die, ["a"], shared=[tmp_path, missing])


def test_a_worker_without_kinet_is_refused_and_one_that_died_is_not():
    said = {"tcp://a:1": OSError("closed")}
    client = SimpleNamespace(
        wait_for_workers=lambda *_, **__: None, run=lambda *_, **__: dict(said)
    )
    look = Cluster("tcp://s:1")._look_at_workers
    look(client, [])
    said["tcp://b:1"] = ModuleNotFoundError("No module named 'kinet'")
    with pytest.raises(DataError, match=r"^worker tcp://b:1 of .* No module named 'kinet'$"):
        look(client, [])


def test_a_cluster_without_workers_is_told(monkeypatch):
    monkeypatch.setattr(room, "ANSWER", 0.3)
    with cluster_here(workers=0) as cluster:
        where = cluster.scheduler_address
        with pytest.raises(DataError, match=rf"^the cluster at {where} has no workers; need one"):
            work(where, worker_functions.name_or_die, ["a"])


def test_a_scheduler_that_is_not_there_is_one_line(music, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(room, "ANSWER", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["extract", str(music), "--out", str(tmp_path / "out"), "--songs-by", "folder"]
    assert run([*command, "--cluster", f"tcp://127.0.0.1:{port}"]) == 1
    said = capfd.readouterr().err.strip().splitlines()
    assert said[-1].startswith(f"kinet: no Dask scheduler answers at tcp://127.0.0.1:{port} (")
    assert not any("Traceback" in line or "distributed." in line for line in said)
    assert read_manifest(tmp_path / "out") == []


def test_a_scheduler_that_is_lost_ends_the_work_with_one_line(capfd):
    with cluster_here() as cluster:

        async def end():  # as the end of its process does
            for comm in cluster.scheduler.client_comms.values():
                comm.abort()

        def finished(job, result):
            cluster.loop.add_callback(end)
            return True

        with pytest.raises(DataError, match=r"^lost the Dask scheduler at tcp://.*; what is"):
            work(cluster.scheduler_address, worker_functions.name_late, list("abcd"), finished)
    assert "distributed.client" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "given", ["localhost", "localhost:8786", "http://localhost:8786", "tcp://a", "tcp://a:b", ""]
)
def test_what_is_no_address_is_refused(given, tmp_path, capsys):
    with pytest.raises(SettingsError, match="is no address of a Dask scheduler; need tcp://host:p"):
        Cluster(given)
    assert run(["extract", str(tmp_path), "--out", str(tmp_path), "--cluster", given]) == 2
    assert "need tcp://host:port" in capsys.readouterr().err


def test_workers_are_here_or_there(tmp_path, capsys):
    both = ["--workers", "2", "--cluster", "tcp://localhost:8786"]
    assert run(["extract", str(tmp_path), "--out", str(tmp_path), *both]) == 2
    assert run(["index", "add", str(tmp_path / "x"), str(tmp_path), *both]) == 2
    assert "--workers are of this machine" in capsys.readouterr().err


def test_without_dask_what_to_install_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SettingsError, match=r'pip install "mulkinet\[cluster\]"'):
        work("tcp://localhost:8786", worker_functions.name_or_die, ["a"])


def test_dask_is_loaded_for_clusters_alone():
    code = (
        "import sys, kinet, kinet.cli, kinet.commands.extract, kinet.commands.index, kinet.cluster;"
        "sys.exit('distributed' in sys.modules or 'dask' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_of_any_bytes_can_be_sent(address, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.npy")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((20, 12)).astype(np.float32))
    try:
        os.rename(tmp_path / "x.npy", path)
    except OSError:
        pytest.skip("no such names here")
    with Library.create(tmp_path / "library", "fourier") as library:
        assert library.add([path], workers=Cluster(address)).added == [path]


@pytest.mark.skipif(not os.environ.get("KINET_SLOW"), reason="takes a minute; KINET_SLOW=1 runs it")
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_every_file_is_made_once_whoever_is_killed(tmp_path):
    assert cluster_kills.kill_often(tmp_path, 10).total() == 10
