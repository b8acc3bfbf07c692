"""`kinet extract` by processes of its own, by the workers of Dask, and by Ray. Writes JSON.

    python benchmarks/cluster.py --out benchmarks/results/cluster.json

Dask's workers run on this machine and have been started and warmed before; kinet's own processes
are started each time, and that counts; one is the process that asks. Where Ray is installed
(`pip install ray pyarrow`), actors of Ray Data do the same recordings; they are started each time,
too.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
from index_growth import write_recordings
from machine import write_report
from timing import in_turns, ratio, significant

from kinet.cluster import Cluster
from kinet.config import FeatureConfig
from kinet.extraction import extract_all
from kinet.extraction.recording import Job, Made, make
from kinet.extraction.sources import read_sources
from kinet.processes import Workers
from kinet.workers.child import ENVIRONMENT

LIBRARIES = ("numpy", "distributed", "ray")
# Of Dask: with what its workers' processes begin.
ENVIRONMENT_OF_WORKERS = "distributed.nanny.pre-spawn-environ"


@click.command()
@click.option("--files", type=int, default=16)
@click.option("--minutes", type=float, default=4.0)
@click.option("--seconds", type=float, default=0.0, help="For each of the ways; at least 3 rounds.")
@click.option("--out", type=click.Path(path_type=Path))
def main(files: int, minutes: float, seconds: float, out: Path | None) -> None:
    """The same recordings by one and by two, in turns."""
    write_report({"cluster": measured(files, minutes, seconds)}, LIBRARIES, out)


def measured(files: int, minutes: float, seconds: float) -> dict[str, Any]:
    """Seconds of each way, and the ratios of those that are to be compared."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        music, out = Path(name, "music"), Path(name, "features")
        music.mkdir()
        write_recordings(music, files, minutes)
        ways: dict[str, Callable[[], object]] = {
            f"processes {count}": partial(_extract, music, out, count) for count in (1, 2)
        }
        # With what kinet's own processes begin with, as they come, and as threads of one process.
        for what, count, threads, environment in (
            ("dask 1", 1, 1, ENVIRONMENT),
            ("dask 2", 2, 1, ENVIRONMENT),
            ("dask 2, own settings", 2, 1, None),
            ("dask 1, 2 threads", 1, 2, ENVIRONMENT),
        ):
            cluster = stack.enter_context(dask_cluster(count, threads, environment))
            ways[what] = partial(_extract, music, out, cluster)
        if importlib.util.find_spec("ray"):
            stack.enter_context(_ray())
            jobs = [
                Job(path, out / f"{path.stem}.npy", FeatureConfig())
                for path in sorted(music.iterdir())
            ]
            ways |= {f"ray {count}": partial(_by_ray, jobs, out, count) for count in (1, 2)}
        times = in_turns(ways, seconds)
    compared = {
        "dask_2_over_1": ratio(times["dask 1"], times["dask 2"]),
        "processes_2_over_1": ratio(times["processes 1"], times["processes 2"]),
        "dask_over_processes_1": ratio(times["processes 1"], times["dask 1"]),
        "dask_over_processes_2": ratio(times["processes 2"], times["dask 2"]),
    }
    return {
        "files": files,
        "minutes": minutes,
        "rounds": len(times["dask 1"]),
        "seconds": {
            way: significant(sorted(spent)[len(spent) // 2]) for way, spent in times.items()
        },
        **compared,
    }


def _extract(music: Path, out: Path, workers: int | Workers) -> None:
    shutil.rmtree(out, ignore_errors=True)
    report = extract_all(read_sources([music]), out, workers=workers)
    assert report.done
    assert not report.failed


@contextlib.contextmanager
def dask_cluster(count: int, threads: int, environment: dict[str, str] | None) -> Iterator[Cluster]:
    """A scheduler in this process, and workers in theirs."""
    import dask
    from distributed import LocalCluster

    how = {} if environment is None else {ENVIRONMENT_OF_WORKERS: environment}
    with (
        dask.config.set(how),
        LocalCluster(
            n_workers=count, threads_per_worker=threads, dashboard_address=":0", protocol="tcp"
        ) as cluster,
    ):
        yield Cluster(cluster.scheduler_address)


@contextlib.contextmanager
def _ray() -> Iterator[None]:
    import ray

    settings = {"env_vars": ENVIRONMENT}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=settings)
    try:
        yield
    finally:
        ray.shutdown()


def _by_ray(jobs: list[Job], out: Path, count: int) -> None:
    """The jobs by Ray Data: actors that take a recording each."""
    import ray

    shutil.rmtree(out, ignore_errors=True)
    os.mkdir(out)
    ray.data.DataContext.get_current().enable_progress_bars = False
    data = ray.data.from_items(list(range(len(jobs))), override_num_blocks=len(jobs))
    actors = ray.data.ActorPoolStrategy(size=count)
    made = data.map(_Making, fn_constructor_args=(jobs,), compute=actors).take_all()
    assert len(made) == len(jobs)
    assert all(row["made"] for row in made)


class _Making:
    def __init__(self, jobs: list[Job]) -> None:
        self._jobs = jobs

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"made": isinstance(make(self._jobs[row["item"]], lambda: None), Made)}


if __name__ == "__main__":
    main()
