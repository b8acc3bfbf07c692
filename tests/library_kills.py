"""Writers of libraries that are killed at random: ``python tests/library_kills.py KILLS SEED``.

A writer adds, changes and takes out recordings, takes in another library, gives back room, and
looks for songs, by a plan that is drawn. It is killed before a file event, or after a time, which
are drawn too. Then the library is what it was at the last change that was reported, or what it was
to be at the next one, and the rest of the plan leads to what it leads to undisturbed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from killing import KILLED, events_of, in_fork, killed_after, killed_before
from libraries import MODEL, tune, write

from kinet.library import Library, cache, sqlite

KILLS_OF_A_PLAN = 30
STEPS = 8
NAMES = "abcdefgh"
KINDS = ("add", "add", "add", "remove", "merge", "compact", "find")

Report = Callable[[int], object]


class Plan:
    """A folder with recordings and a library of some of them, and what a writer is to do there."""

    def __init__(self, folder: Path, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.folder, self._saved = folder / "here", folder / "saved"
        self.path, self._second = self.folder / "library", self.folder / "second"
        self.folder.mkdir()
        files = [self.folder / f"{name}.npy" for name in NAMES]
        contents = iter(tune(int(length), int(length)) for length in rng.permutation(40) + 40)
        for file in files:
            write(file, next(contents))
        with Library.create(self.path, MODEL) as library:
            library.add(files[:4], workers=1)
        for file in files[:2]:  # other recordings since then
            write(file, next(contents))
        with Library.create(self._second, MODEL) as second:
            second.add([write(self.folder / "other.npy", next(contents)), files[0]], workers=1)
        shutil.copytree(self.folder, self._saved)
        self._steps = [
            (kind, [files[i] for i in rng.permutation(len(files))[: rng.integers(1, 4)]])
            for kind in rng.choice(KINDS, STEPS).tolist()
        ]

    def restore(self) -> None:
        """As it was before the first step."""
        shutil.rmtree(self.folder)
        shutil.copytree(self._saved, self.folder)

    def work(self, report: Report, first: int = 0) -> None:
        """Take the steps from one on; reports how many are done, again and again."""
        with Library.open(self.path) as library:
            for done, (kind, files) in enumerate(self._steps[first:], start=first):
                if kind == "add":
                    library.add(files, 1, lambda *_, done=done: report(done))
                elif kind == "remove":
                    held = {file.path for file in library.files()}
                    library.remove(held.intersection(files))
                elif kind == "merge":
                    library.merge([self._second])
                elif kind == "compact":
                    library.compact()
                else:
                    library.find(files[:1], workers=1)
                report(done + 1)

    def dump(self) -> str:
        """All that the library holds, but for the numbers of its recordings."""
        with Library.open(self.path) as library:
            assert library.check() == [], library.check()
            store = library._store
            with store.reading():
                held = {number: sound for number, *sound in store.recordings()}
                arrays = {n: (store.hpcp(n), store.embeddings_of(n)) for n in held}
                files = store.files()
        rows = []
        for file in files:
            said = (file.path.name, file.title, file.artist, file.song, held[file.recording])
            rows.append((*said, *(array.tobytes() for array in arrays[file.recording])))
        return repr(rows)

    def litter(self) -> set[str]:
        """Names that neither a user nor a library puts there."""
        here, known = ({path.name for path in f.iterdir()} for f in (self.folder, self._saved))
        return here - known - {self.path.name + sqlite.CACHE_SUFFIX}


class Reports:
    """How many reports a writer has made, and the last of them; it outlives the writer."""

    def __init__(self) -> None:
        self._file, self._name = tempfile.mkstemp()
        self.begin()

    def close(self) -> None:
        os.close(self._file)
        os.unlink(self._name)

    def begin(self) -> None:
        os.pwrite(self._file, bytes(16), 0)

    def put(self, done: int) -> None:
        count, _ = self.read()
        os.pwrite(self._file, np.array([count + 1, done]).tobytes(), 0)

    def read(self) -> tuple[int, int]:
        count, done = np.frombuffer(os.pread(self._file, 16, 0), np.int64).tolist()
        return count, done


def kill(plan: Plan, kills: int, rng: np.random.Generator) -> int:
    """Kill the writer of a plan so often; how often it was at work then."""
    reports = Reports()
    states = [plan.dump()]
    plan.work(lambda done: states.append(plan.dump()))
    plan.restore()
    started = time.monotonic()
    assert in_fork(lambda: plan.work(reports.put)) == 0
    duration = time.monotonic() - started
    plan.restore()
    events = events_of(lambda: plan.work(reports.put))
    killed = 0
    for number in range(kills):
        plan.restore()
        reports.begin()
        if number % 2:
            status = killed_before(int(rng.integers(events)), lambda: plan.work(reports.put))
        else:
            status = killed_after(rng.uniform(0, duration), lambda: plan.work(reports.put))
        assert status in (0, KILLED, -KILLED), f"the writer ended with {status}"
        killed += status != 0
        count, done = reports.read()
        assert plan.dump() in states[count : count + 2], f"neither state {count} nor the next"
        plan.work(lambda done: None, done)
        assert plan.dump() == states[-1], f"gone on with after step {done} it ends otherwise"
        assert not plan.litter(), f"left behind: {plan.litter()}"
    reports.close()
    return killed


def main(kills: int, seed: int, told: Callable[[str], object] = lambda line: None) -> int:
    """Kills of writers at work, over as many plans as that takes."""
    # Kept of every library, else only of large ones.
    cache._CACHED_FROM = 0
    killed = plans = 0
    while killed < kills:
        folder = Path(tempfile.mkdtemp(prefix="kinet-kills-"))
        try:
            plan = Plan(folder, int(np.random.default_rng([seed, plans]).integers(2**31)))
            most = min(KILLS_OF_A_PLAN, kills - killed)
            killed += kill(plan, most, np.random.default_rng([seed, plans, 1]))
        except AssertionError as error:
            raise AssertionError(f"plan {plans} of seed {seed}: {error}") from error
        finally:
            shutil.rmtree(folder)
        plans += 1
        told(f"{killed} kills, {plans} plans")
    return killed


if __name__ == "__main__":
    asked = [int(argument) for argument in sys.argv[1:]]
    sys.stdout.write(json.dumps(main(*asked, lambda line: sys.stderr.write(f"{line}\n"))))
