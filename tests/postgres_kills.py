"""Work in a library on PostgreSQL that is ended anywhere: ``python tests/postgres_kills.py [N]``.

A writer adds, replaces and removes recordings. In the middle of it its session is ended by
``pg_terminate_backend``, or, one time in ten, the server by ``pg_ctl stop -m immediate``, as if the
power failed. Then the library holds what was acknowledged, and of what was going on all or nothing.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import libraries
import numpy as np
from postgres_server import Server

from kinet.address import Address, place_of
from kinet.errors import DataError
from kinet.library.models import find_model
from kinet.library.rows import File, Sound
from kinet.library.store import Store
from kinet.library.upkeep import faults_of

SIZE = 16
NAMES = [Path(f"/{name}.wav") for name in "abcdefgh"]
# Kills of sessions for one of the server.
SESSIONS = 9
# Changes that are acknowledged before a kill, at most; it comes in the middle of the next.
MOST = 3


@dataclass
class Meant:
    """What is meant to be in the library: names and contents, and what it may be instead."""

    now: dict[Path, bytes] = field(default_factory=dict)
    next: dict[Path, bytes] = field(default_factory=dict)
    acknowledged: int = 0
    errors: list[str] = field(default_factory=list)


class Moments:
    """What writer and killer wait for: the one is at work, the other has begun, and has killed."""

    def __init__(self) -> None:
        self.working, self.killing, self.killed = (threading.Event() for _ in range(3))


def work(address: Address, meant: Meant, seed: int, moments: Moments) -> None:
    """Change the library until that fails."""
    rng = np.random.default_rng(seed)
    store = Store(address)
    moments.working.set()
    try:
        while not moments.killed.is_set():
            name, content = NAMES[rng.integers(len(NAMES))], rng.bytes(32)
            if rng.random() < 0.3 and name in meant.now:
                meant.next = {path: held for path, held in meant.now.items() if path != name}
                store.write(lambda name=name: store.remove_file(name))
            else:
                meant.next = {**meant.now, name: content}
                store.write(lambda name=name, content=content: put(store, name, content))
            meant.now = meant.next
            meant.acknowledged += 1
    except DataError as error:
        meant.errors.append(str(error) if moments.killing.is_set() else f"too early:\n{error}")
    finally:
        store.close()


def put(store: Store, name: Path, content: bytes) -> None:
    rows = np.eye(SIZE, dtype=np.float32)[content[0] % SIZE][None]
    hpcp = np.full((2 + content[1] % 50, 12), content[2], np.float32)
    number = store.add_sound(Sound(content, 1.0, hpcp, rows))
    store.put_file(File(name, number, "", "", "", 1, 1))


def held(address: Address) -> dict[Path, bytes]:
    """What the library holds, which is wholly right."""
    with contextlib.closing(Store(address)) as store:
        assert faults_of(store) == []
        with store.reading():
            contents = {number: digest for number, digest, _ in store.recordings()}
            files = {file.path: contents[file.recording] for file in store.files()}
        assert set(contents.values()) == set(files.values()), "a recording without a file"
        return files


def kill_often(server: Server, url: str, times: int, seed: int = 0) -> int:
    """Kill so often; how many changes were acknowledged."""
    address = place_of(url)
    assert isinstance(address, Address)
    Store.create(address, find_model(libraries.MODEL), SIZE, 135, 45).close()
    rng = np.random.default_rng(seed)
    meant = Meant()
    for time_of_all in range(times):
        moments = Moments()
        writer = threading.Thread(target=work, args=(address, meant, time_of_all, moments))
        writer.start()
        moments.working.wait(60)
        wanted = meant.acknowledged + rng.integers(1, MOST + 1)
        started = time.perf_counter()
        while meant.acknowledged < wanted and writer.is_alive():
            time.sleep(0.001)
        time.sleep(float(rng.uniform(0, (time.perf_counter() - started) / MOST)))
        moments.killing.set()
        if time_of_all % (SESSIONS + 1) == SESSIONS:
            server.stop("immediate")
            server.start()
        else:
            server.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                f"'{address.database}' AND pid <> pg_backend_pid()"
            )
        moments.killed.set()
        writer.join(60)
        assert not writer.is_alive()
        found = held(address)
        assert found in (meant.now, meant.next), (found, meant)
        meant.now = found
    assert not [error for error in meant.errors if "\n" in error]
    return meant.acknowledged


if __name__ == "__main__":
    started = Server()
    try:
        number = int(sys.argv[1]) if sys.argv[1:] else 300
        done = kill_often(started, started.new(), number)
        sys.stdout.write(f"{number} kills, {done} changes were acknowledged: all held\n")
    finally:
        started.remove()
