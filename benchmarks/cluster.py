"""`kinet extract` by processes of its own, by the workers of Dask, and by Ray. Writes JSON.

    python benchmarks/cluster.py --out benchmarks/results/cluster.json
    python benchmarks/cluster.py --others --out benchmarks/results/cluster-others.json

Dask's workers run on this machine, each with one thread, and have been started before; kinet's own
processes are started each time, and that counts; one is the process that asks. Beside them
processes that know nothing of each other, each with its share of the recordings: what the machine
gives. `--others`: threads of one worker of Dask, and actors of Ray Data, which are started each
time (`pip install ray pyarrow`).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
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
from kinet.workers import ENVIRONMENT

DISTINCT = 4
LIBRARIES = ("numpy", "distributed", "ray")


@click.command()
@click.option("--files", type=int, default=16)
@click.option("--minutes", type=float, default=4.0)
@click.option("--seconds", type=float, default=0.0, help="For each of the ways; at least 3 rounds.")
@click.option("--others", is_flag=True, help="Threads, and Ray.")
@click.option("--out", type=click.Path(path_type=Path))
def main(files: int, minutes: float, seconds: float, others: bool, out: Path | None) -> None:
    """The same recordings by one and by two, in turns."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        music = Path(name, "music")
        music.mkdir()
        write_copies(music, files, minutes)
        ways = dask_ways(music, stack) | (other_ways if others else own_ways)(music, stack)
        times = in_turns(ways, seconds)
    figures = {"files": files, "minutes": minutes, "rounds": len(times["dask 1"])}
    middle = {way: significant(sorted(own)[len(own) // 2]) for way, own in times.items()}
    write_report({"cluster": {**figures, "seconds": middle, **compared(times)}}, LIBRARIES, out)


def write_copies(music: Path, files: int, minutes: float) -> None:
    """Recordings of which some are alike: they take long to make."""
    write_recordings(music, min(files, DISTINCT), minutes)
    for number in range(DISTINCT, files):
        [like] = music.glob(f"{number % DISTINCT}.*")
        shutil.copy(like, music / f"{number}{like.suffix}")


Ways = dict[str, Callable[[], object]]


def dask_ways(music: Path, stack: contextlib.ExitStack) -> Ways:
    """One worker and two, which run already."""
    return {
        f"dask {count}": partial(extract, music, stack.enter_context(dask_cluster(count)))
        for count in (1, 2)
    }


def own_ways(music: Path, stack: contextlib.ExitStack) -> Ways:
    """Processes of kinet, processes apart, and a cluster that is started each time."""
    os.environ.update(ENVIRONMENT)  # as kinet's own have it, when they start
    pool = ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))
    stack.enter_context(pool)
    return {
        **{f"processes {count}": partial(extract, music, count) for count in (1, 2)},
        **{f"apart {count}": partial(apart, pool, jobs_of(music), count) for count in (1, 2)},
        "dask 2, started": partial(extract_started, music),
    }


def other_ways(music: Path, stack: contextlib.ExitStack) -> Ways:
    """Two threads of one worker, and Ray."""
    threads = stack.enter_context(dask_cluster(1, threads=2))
    stack.enter_context(ray_cluster())
    return {
        "dask 1, 2 threads": partial(extract, music, threads),
        **{f"ray {count}": partial(by_ray, jobs_of(music), count) for count in (1, 2)},
    }


def compared(times: dict[str, list[float]]) -> dict[str, float]:
    """How many times as fast; what was not measured is left out."""
    pairs = {
        **{
            f"{way}_2_over_1": (f"{way} 2", f"{way} 1")
            for way in ("dask", "processes", "apart", "ray")
        },
        **{
            f"dask_over_processes_{count}": (f"dask {count}", f"processes {count}")
            for count in (1, 2)
        },
        "started_over_processes_2": ("dask 2, started", "processes 2"),
        "dask_over_ray_2": ("dask 2", "ray 2"),
        "processes_over_threads": ("dask 2", "dask 1, 2 threads"),
    }
    return {
        name: ratio(times[slow], times[fast])
        for name, (fast, slow) in pairs.items()
        if fast in times and slow in times
    }


def extract(music: Path, workers: int | Workers) -> None:
    """All of a folder, which nobody has done before."""
    with tempfile.TemporaryDirectory() as out:
        report = extract_all(read_sources([music]), out, workers=workers)
    assert report.done
    assert not report.failed


def extract_started(music: Path) -> None:
    """As `extract`, by two workers of Dask that are started for it."""
    with dask_cluster(2) as cluster:
        extract(music, cluster)


@contextlib.contextmanager
def dask_cluster(count: int, threads: int = 1) -> Iterator[Cluster]:
    """A scheduler in this process, and workers in theirs."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=count, threads_per_worker=threads, dashboard_address=":0", protocol="tcp"
    ) as cluster:
        yield Cluster(cluster.scheduler_address)


def jobs_of(music: Path) -> list[Job]:
    """The jobs of a folder."""
    out = music.parent / "features"
    return [
        Job(path, out / f"{path.stem}.npy", FeatureConfig()) for path in sorted(music.iterdir())
    ]


def apart(pool: ProcessPoolExecutor, jobs: Sequence[Job], count: int) -> None:
    """Each process gets its share, flac and mp3 alike, and is asked when it is done."""
    empty(jobs)
    shares = [jobs[2 * i :: 2 * count] + jobs[2 * i + 1 :: 2 * count] for i in range(count)]
    assert all(pool.map(make_all, shares))


def make_all(jobs: Sequence[Job]) -> bool:
    """Whether all could be made."""
    return all(isinstance(make(job, lambda: None), Made) for job in jobs)


def empty(jobs: Sequence[Job]) -> None:
    """An empty folder for the features of jobs."""
    shutil.rmtree(jobs[0].target.parent, ignore_errors=True)
    jobs[0].target.parent.mkdir()


@contextlib.contextmanager
def ray_cluster() -> Iterator[None]:
    """Ray on this machine."""
    import ray

    settings = {"env_vars": ENVIRONMENT}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=settings)
    try:
        yield
    finally:
        ray.shutdown()


def by_ray(jobs: Sequence[Job], count: int) -> None:
    """The jobs by Ray Data: actors that take a recording each."""
    import ray

    empty(jobs)
    ray.data.DataContext.get_current().enable_progress_bars = False
    data = ray.data.from_items(list(range(len(jobs))), override_num_blocks=len(jobs))
    actors = ray.data.ActorPoolStrategy(size=count)
    made = data.map(Making, fn_constructor_args=(jobs,), compute=actors).take_all()
    assert len(made) == len(jobs)
    assert all(row["made"] for row in made)


class Making:
    """An actor that makes features."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Do the job of a number."""
        return {"made": make_all([self._jobs[row["item"]]])}


if __name__ == "__main__":
    main()
