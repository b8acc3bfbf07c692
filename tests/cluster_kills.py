"""``kinet extract --cluster`` that is killed anywhere: ``python tests/cluster_kills.py [N]``.

Two workers of Dask, the scheduler, or the command itself are killed (SIGKILL; the command now and
then by Ctrl-C) at random moments of a job, again and again. A command that was ended, or that has
lost its scheduler, is given once more. Then every file is there, made once, with the bytes that a
single process gives, and nothing else.
"""

from __future__ import annotations

import collections
import filecmp
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from audio_files import sound
from dask_servers import Servers
from terminal import kinet_in_a_terminal

from kinet.data.manifest import MANIFEST, read_manifest
from kinet.extraction import extract_all
from kinet.extraction.sources import read_sources

RECORDINGS, SECONDS = 40, 60
VICTIMS = {"worker": 0.7, "command": 0.15, "Ctrl-C": 0.05, "scheduler": 0.1}
# Seconds from one kill to the next, at most.
PAUSE = 1.5
# In all that is said of one that is gone.
GONE = "Dask scheduler"


def write_music(folder: Path, recordings: int, seconds: float) -> None:
    """Recordings of one song that are not alike."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    base = sound(seconds)
    for number in range(recordings):
        noisy = 0.9 * base + rng.uniform(0, 0.05) * rng.standard_normal(base.shape)
        soundfile.write(folder / f"{number}.flac", noisy.clip(-1, 1), 44100)


class Job:
    """One folder of features that is made by a cluster which is killed meanwhile."""

    def __init__(self, folder: Path, servers: Servers, rng: np.random.Generator) -> None:
        self._servers, self._rng = servers, rng
        self._music, self._expected = folder / "music", folder / "expected"
        self._out, self._told = folder / "out", folder / "told"
        self.killed: collections.Counter[str] = collections.Counter()

    def run(self, most: int) -> None:
        """Until all is made; kills come at most so often."""
        shutil.rmtree(self._out, ignore_errors=True)
        while self._command(most):
            pass
        self._check()

    def _command(self, most: int) -> bool:
        """Whether it was ended before its work was."""
        who = ("--songs-by", "folder", "--cluster", self._servers.address)
        command = kinet_in_a_terminal("extract", self._music, "--out", self._out, *who)
        victim = ""
        with open(self._told, "w") as told, subprocess.Popen(command, stderr=told) as process:
            # Most of what a command does first is to load libraries.
            self._wait(process, lambda: self._told.stat().st_size > 0, 60)
            while victim in ("", "worker") and self.killed.total() < most:
                self._wait(process, lambda: False, float(self._rng.uniform(0, PAUSE)))
                if process.poll() is not None:
                    break
                victim = str(self._rng.choice(list(VICTIMS), p=list(VICTIMS.values())))
                self._kill(victim, process)
            process.wait(900)
        said = self._told.read_text(errors="replace")
        if victim == "scheduler":
            self._servers.stop()
            self._servers.start()
        if process.returncode == 0:
            return False
        expected = {"command": -signal.SIGKILL, "Ctrl-C": 130, "scheduler": 1}
        assert process.returncode == expected.get(victim), (victim, process.returncode, said)
        assert "Traceback" not in said, said
        assert victim != "scheduler" or GONE in said.splitlines()[-1], said
        return True

    def _wait(self, process: subprocess.Popen[str], is_there, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while process.poll() is None and not is_there() and time.monotonic() < deadline:
            time.sleep(0.005)

    def _kill(self, victim: str, process: subprocess.Popen[str]) -> None:
        if victim == "worker":
            working = self._servers.worker_processes()
            if not working:
                return
            working[self._rng.integers(len(working))].kill()
        elif victim == "scheduler":
            self._servers.scheduler.kill()
        else:
            process.send_signal(signal.SIGINT if victim == "Ctrl-C" else signal.SIGKILL)
        self.killed[victim] += 1

    def _check(self) -> None:
        """Nothing is missing, nothing else is there, nothing is different."""
        names = sorted(os.listdir(self._expected))
        assert sorted(os.listdir(self._out)) == names, os.listdir(self._out)
        same = [name for name in names if name != MANIFEST]
        assert filecmp.cmpfiles(self._expected, self._out, same, shallow=False)[0] == same
        assert read_manifest(self._out) == read_manifest(self._expected)


def kill_often(
    folder: Path, times: int, seed: int = 0, recordings: int = RECORDINGS, seconds: float = SECONDS
) -> collections.Counter[str]:
    """Kill so often; who was killed how often."""
    write_music(folder / "music", recordings, seconds)
    extract_all(read_sources([folder / "music"], "folder"), folder / "expected", workers=1)
    servers = Servers(folder / "log")
    try:
        job = Job(folder, servers, np.random.default_rng(seed))
        while job.killed.total() < times:
            job.run(times)
    finally:
        servers.stop()
    return job.killed


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        number, seed = (int(argument) for argument in [*sys.argv[1:], "200", "0"][:2])
        killed = kill_often(Path(name), number, seed)
    sys.stdout.write(f"{dict(killed)}: every file was made once, with the same bytes\n")
