"""What a library does with many recordings: takes them in, reads their sound, groups them."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from index_speed import made_up, make_library, open_library, put_in, timed
from machine import in_a_process, peak_mib
from threadpoolctl import threadpool_limits

from kinet.library import Library
from kinet.library.candidates import candidates
from kinet.library.snapshot import Snapshot
from kinet.library.store import Store
from kinet.versions.notes import Notes, Timbre
from kinet.versions.synthesis import synthesise

RATE = 44100
PAGE = 4096
# Vectors of a track that is grouped: some three minutes.
VECTORS = 390
VERSIONS = 2
# Embeddings whose products are measured at once, with so many.
_ROWS, _COLUMNS = 2048, 640


def grown(there: int, more: int, size: int) -> dict[str, Any]:
    """Recordings into a library, each in a transaction of its own, and what changed on the disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "library.sqlite")
        in_a_process(make_library, path, there, 1, size)
        before = Path(shutil.copy(path, Path(folder, "before")))
        seconds, written = in_a_process(_grow, path, more, size)
        old, new = (np.fromfile(each, np.uint8).reshape(-1, PAGE) for each in (before, path))
        changed = int((old != new[: len(old)]).any(axis=1).sum())
    return {
        "there": there,
        "added": more,
        "size": size,
        "seconds": round(seconds, 1),
        "kilobytes_written_a_recording": round(written / more / 1e3, 1),
        "kilobytes_grown_a_recording": round((len(new) - len(old)) * PAGE / more / 1e3, 1),
        "pages_before": len(old),
        "pages_changed": changed,
    }


def _grow(path: Path, more: int, size: int) -> tuple[float, int]:
    store = Store(path)
    before = _bytes_written()
    seconds, _ = timed(lambda: put_in(store, made_up(more, 1, size), 1, "/new/"))
    store.close()
    return seconds, _bytes_written() - before


def _bytes_written() -> int:
    """By this process, of files; 0 where the system does not say."""
    said = Path("/proc/self/io")
    if not said.exists():
        return 0
    return next(int(line.split()[1]) for line in said.read_text().splitlines() if "wchar" in line)


def paired(recordings: int, pieces: int, size: int, budget: float) -> dict[str, Any]:
    """The candidates of `duplicates`: every embedding compared with every other.

    What would take longer than `budget` seconds is measured on a part of the recordings: it grows
    with the square of their number.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "library.sqlite")
        in_a_process(make_library, path, recordings, pieces, size)
        return in_a_process(_paired, path, budget)


def _paired(path: Path, budget: float) -> dict[str, Any]:
    snapshot = open_library(path)
    count = len(snapshot.numbers)
    products = _seconds_of_products(snapshot)
    # It takes less than twice as long as the products.
    some = min(count, max(2, round(count * math.sqrt(budget / (2 * products)))))
    seconds, found = timed(lambda: candidates(snapshot.part(0, some), np.ones(some, np.float32)))
    return {
        "recordings": count,
        "embeddings": len(snapshot.vectors),
        "size": snapshot.vectors.shape[1],
        "measured_recordings": some,
        "seconds": round(seconds, 4),
        "seconds_for_all": round(seconds * (count / some) ** 2, 1),
        "seconds_of_products_for_all": round(products, 1),
        "pairs": len(found),
        "peak_rss_mib": round(peak_mib(), 1),
    }


def _seconds_of_products(snapshot: Snapshot) -> float:
    """The products alone: each embedding with each, once."""
    rows = snapshot.vectors
    columns = np.array(rows[:_COLUMNS]).T

    def multiply() -> None:
        for begin in range(0, len(rows), _ROWS):
            rows[begin : begin + _ROWS] @ columns

    multiply()
    part = columns.shape[1] / len(rows)
    return min(timed(multiply)[0] for _ in range(3)) / part / 2


def played(seed: int, version: int) -> np.ndarray:
    """HPCP (T, 12) like those of music: strong pitch classes, which last; with other details."""
    rng, own = np.random.default_rng(seed), np.random.default_rng([seed, version])
    held = np.repeat(rng.random((-(-VECTORS // 3), 12)) ** 4, 3, axis=0)[:VECTORS]
    there = np.roll(held, int(own.integers(12)), axis=1) + 0.15 * own.random(held.shape)
    return np.minimum(there, 1).astype(np.float32)


def grouped(tracks: int) -> dict[str, Any]:
    """`duplicates` of a library of feature files, with alignment of the candidates."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(tracks):
            song, version = divmod(number, VERSIONS)
            np.save(Path(folder, f"{song}_{version}.npy"), played(song, version))
        with Library.create(Path(folder, "library.sqlite"), "fourier") as library:
            library.add(sorted(Path(folder).glob("*.npy")), workers=1)
            pairs: list[int] = []
            seconds, groups = timed(
                lambda: library.duplicates(progress=lambda done, total: pairs.append(total))
            )
    right = sum(
        len({member.files[0].path.name.split("_")[0] for member in group.members}) == 1
        for group in groups
    )
    return {
        "tracks": tracks,
        "vectors": VECTORS,
        "pairs_aligned": pairs[-1] if pairs else 0,
        "seconds": round(seconds, 1),
        "groups": len(groups),
        "groups_of_one_song": right,
        "songs": -(-tracks // VERSIONS),
        "peak_rss_mib": round(peak_mib(), 1),
    }


def sound(seed: int, minutes: float) -> np.ndarray:
    """A made-up recording: chords of four notes with a tune above them, and some percussion."""
    rng = np.random.default_rng(seed)
    beats = int(minutes * 60 / 0.5)
    roots = 48 + np.repeat(rng.integers(12, size=beats), 4)[:beats]
    pitch = np.column_stack(
        [*(roots + step for step in (0, 4, 7, 12)), 60 + rng.integers(24, size=beats)]
    )
    start = np.repeat(0.5 * np.arange(beats), pitch.shape[1])
    pitch = pitch.ravel().astype(float)
    one = np.ones(len(start))
    notes = Notes(start, start + 0.5, pitch, one, np.inf * one, np.arange(0, 0.5 * beats, 0.5))
    return synthesise(notes, Timbre(partials=8, percussion=0.1, noise=0.001), rng, RATE)


def write_recordings(folder: Path, files: int, minutes: float) -> None:
    """Made-up recordings in a folder, flac and mp3 in turn."""
    for number in range(files):
        signal = sound(number, minutes)
        suffix, how = (("flac", {}), ("mp3", {"subtype": "MPEG_LAYER_III"}))[number % 2]
        path = Path(folder, f"{number}.{suffix}")
        with soundfile.SoundFile(path, "w", RATE, 1, **how) as file:
            for begin in range(0, len(signal), RATE):
                file.write(signal[begin : begin + RATE])


def read_folder(files: int, minutes: float, model: str) -> dict[str, Any]:
    """A folder of recordings to a library, on one core: times real time."""
    with tempfile.TemporaryDirectory() as folder:
        write_recordings(Path(folder), files, minutes)
        figures = in_a_process(_read, Path(folder), model)
    return {"files": files, "minutes": minutes, "model": model, **figures}


def _read(folder: Path, model: str) -> dict[str, Any]:
    with threadpool_limits(1), Library.create(folder / "library.sqlite", model) as library:
        # What a backend compiles it compiles once.
        warm = folder / "warm.npy"
        np.save(warm, played(0, 0))
        loading, _ = timed(lambda: library.add([warm], workers=1))
        os.remove(warm)
        before = time.process_time()
        seconds, added = timed(lambda: library.add([folder], workers=1))
        spent = time.process_time() - before
    return {
        "seconds_to_load": round(loading, 1),
        "seconds": round(seconds, 1),
        "seconds_of_processor": round(spent, 1),
        "times_real_time": round(added.seconds / seconds, 1),
        "times_real_time_of_processor": round(added.seconds / spent, 1),
        "read": len(added.added),
        "peak_rss_mib": round(peak_mib(), 1),
    }
