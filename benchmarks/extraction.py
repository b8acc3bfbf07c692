"""`kinet extract` beside Essentia: agreement, speed, memory, cores. Writes JSON.

    pip install . essentia music21        # Essentia is licensed under the AGPL
    python benchmarks/clips.py CLIPS
    python benchmarks/extraction.py CLIPS --out benchmarks/results/extraction.json

Speed is processor time on one core, in pairs: kinet and Essentia one after the other on the same
signal or file, several times over, and the median of the ratios is reported.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import scipy.fft
import soundfile
from machine import in_a_process, peak_mib, write_report
from numpy.typing import NDArray

from kinet.audio import read_audio, read_chunks
from kinet.config import FeatureConfig
from kinet.extraction import extract_all, extract_file
from kinet.extraction.naming import Source
from kinet.features.hpcp import hpcp_from_peaks, hpcp_of_blocks, pool_frames
from kinet.features.spectrum import frames_of, spectral_peaks

CONFIG = FeatureConfig()
MUCH = 0.9999
# Essentia's network takes a signal that is in memory sample by sample, which is slow.
SPEED_CLIPS = 6


def cosines(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine of each pair of vectors; two vectors of zeros agree."""
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    both_zero = ~ours.any(axis=1) & ~theirs.any(axis=1)
    products = (ours.astype(np.float64) * theirs).sum(axis=1)
    return np.where(both_zero, 1.0, products / np.maximum(norms, 1e-30))


def agreement(clips: list[Path]) -> dict[str, Any]:
    """Vectors of kinet and of Essentia on the same decoded signal, and decoded by each."""
    from essentia_network import streamed, streamed_file

    rows, every, decoded_apart = [], [], []
    for clip in clips:
        signal = read_audio(clip, CONFIG.sample_rate)
        ours = hpcp_of_blocks([signal])
        theirs = pool_frames(streamed(signal), CONFIG.frames_per_vector)
        apart = pool_frames(streamed_file(clip), CONFIG.frames_per_vector)
        common = min(len(ours), len(apart))
        same = cosines(ours, theirs) if len(ours) == len(theirs) else np.zeros(1)
        every.append(same)
        decoded_apart.append(cosines(ours[:common], apart[:common]))
        rows.append(
            {
                "clip": clip.name,
                "vectors": len(ours),
                "vectors_essentia": len(theirs),
                "vectors_essentia_decoded": len(apart),
                "least_cosine": float(same.min()),
                "below": int((same < MUCH).sum()),
                "median_cosine_essentia_decoded": float(np.median(decoded_apart[-1])),
            }
        )
    return {
        "clips": rows,
        "same_signal": _summary(np.concatenate(every)),
        "decoded_by_each": _summary(np.concatenate(decoded_apart)),
        "same_number_of_vectors": all(r["vectors"] == r["vectors_essentia"] for r in rows),
    }


def _summary(values: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "vectors": len(values),
        "median_cosine": float(np.median(values)),
        "percentile_1": float(np.percentile(values, 1)),
        "least": float(values.min()),
        f"below_{MUCH}": int((values < MUCH).sum()),
    }


def speed(clips: list[Path], repeats: int) -> dict[str, Any]:
    """Seconds of sound per second on one core, kinet and Essentia in turns."""
    from essentia_network import in_a_loop, streamed

    signal = np.concatenate([read_audio(clip, CONFIG.sample_rate) for clip in clips])
    steps: dict[str, Callable[[], object]] = {
        "kinet": lambda: hpcp_of_blocks([signal]),
        "essentia_streaming": lambda: streamed(signal),
        "essentia_loop": lambda: in_a_loop(signal),
        **_parts(signal),
    }
    steps["kinet"]()  # windows and FFT plans are made once
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            seconds[name].append(_seconds(step))
    length = len(signal) / CONFIG.sample_rate
    floor = seconds["ffts_alone"]
    return {
        "seconds_of_sound": round(length, 1),
        "repeats": repeats,
        "times_real_time": {k: round(length / statistics.median(v), 1) for k, v in seconds.items()},
        "essentia_streaming_over_kinet": _ratio(seconds["essentia_streaming"], seconds["kinet"]),
        "essentia_loop_over_kinet": _ratio(seconds["essentia_loop"], seconds["kinet"]),
        "kinet_over_ffts_alone": _ratio(seconds["kinet"], floor),
    }


def _parts(signal: NDArray[np.float32]) -> dict[str, Callable[[], object]]:
    """The steps of `hpcp_of_blocks`, each on what the one before gives."""
    lots = [lot.copy() for lot in frames_of([signal], CONFIG)]
    peaks = [spectral_peaks(lot, CONFIG) for lot in lots]
    return {
        "ffts_alone": lambda: [scipy.fft.rfft(lot, axis=1) for lot in lots],
        "frames_to_peaks": lambda: [spectral_peaks(lot, CONFIG) for lot in lots],
        "peaks_to_hpcp": lambda: [hpcp_from_peaks(*pair, CONFIG) for pair in peaks],
    }


def speed_by_format(clips: list[Path], repeats: int) -> dict[str, Any]:
    """Seconds of sound per second from the file, kinet and Essentia in turns, by format."""
    from essentia_network import decode_file, streamed_file

    report = {}
    for suffix in sorted({clip.suffix for clip in clips}):
        files = [clip for clip in clips if clip.suffix == suffix]
        length = sum(soundfile.info(clip).duration for clip in files)
        whole, decoding, essentia, essentia_decoding = [], [], [], []
        for _ in range(repeats):
            whole.append(_seconds(lambda f=files: [extract_file(clip) for clip in f]))
            decoding.append(_seconds(lambda f=files: [_decode(clip) for clip in f]))
            essentia.append(_seconds(lambda f=files: [streamed_file(clip) for clip in f]))
            essentia_decoding.append(_seconds(lambda f=files: [decode_file(clip) for clip in f]))
        network = [a - b for a, b in zip(essentia, essentia_decoding, strict=True)]
        features = [a - b for a, b in zip(whole, decoding, strict=True)]
        report[suffix[1:]] = {
            "kinet_times_real_time": round(length / statistics.median(whole), 1),
            "essentia_times_real_time": round(length / statistics.median(essentia), 1),
            "essentia_over_kinet": _ratio(essentia, whole),
            "essentia_over_kinet_without_decoding": _ratio(network, features),
            "share_of_decoding": _ratio(decoding, whole),
        }
    return report


def _decode(clip: Path) -> int:
    return sum(map(len, read_chunks(clip, CONFIG.sample_rate)))


def _seconds(step: Callable[[], object]) -> float:
    """Processor time, which other work on the machine does not lengthen."""
    start = time.process_time()
    step()
    return time.process_time() - start


def _wall_seconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def _ratio(above: list[float], below: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(above, below, strict=True)), 2)


def memory(hours: float) -> dict[str, Any]:
    """Peak memory of a process that makes the features of a long file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "long.flac")
        rng = np.random.default_rng(0)
        minute = 0.3 * np.sin(2 * np.pi * 220 * np.arange(60 * 44100) / 44100)
        minute += 0.01 * rng.standard_normal(len(minute))
        with soundfile.SoundFile(path, "w", 44100, 1, format="FLAC") as file:
            for _ in range(round(60 * hours)):
                file.write(minute)
        return in_a_process(_memory_of, path)


def _memory_of(path: Path) -> dict[str, Any]:
    before = peak_mib()
    start = time.perf_counter()
    vectors = extract_file(path)
    return {
        "hours": round(soundfile.info(path).duration / 3600, 2),
        "vectors": len(vectors),
        "seconds": round(time.perf_counter() - start, 1),
        "peak_rss_mib": round(peak_mib(), 1),
        "peak_rss_mib_before": round(before, 1),
    }


def cores(clips: list[Path], repeats: int, copies: int) -> dict[str, Any]:
    """The whole of `extract_all` with one worker process per core, against one."""
    sources = [
        Source(clip, f"{clip.stem}-{copy}", clip.suffix[1:])
        for clip in clips
        for copy in range(copies)
    ]
    one: list[float] = []
    two: list[float] = []
    for _ in range(repeats):
        for workers, seconds in ((1, one), (2, two)):
            with tempfile.TemporaryDirectory() as folder:
                seconds.append(
                    _wall_seconds(partial(extract_all, sources, folder, workers=workers))
                )
    return {
        "files": len(sources),
        "seconds_one_worker": round(statistics.median(one), 2),
        "seconds_two_workers": round(statistics.median(two), 2),
        "one_over_two": _ratio(one, two),
    }


PARTS = ("agreement", "speed", "formats", "memory", "cores")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, default=PARTS)
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True)
@click.option("--hours", type=float, default=3.0, show_default=True, help="Of the long file.")
@click.option(
    "--copies",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="How often each clip is extracted, to compare workers on more than a moment's work.",
)
@click.option("--limit", type=click.IntRange(1), help="Use so many clips only.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the JSON here, not to stdout.")
def command(
    folder: Path,
    parts: tuple[str, ...],
    repeats: int,
    hours: float,
    copies: int,
    limit: int | None,
    out: str | None,
) -> None:
    """Compare with Essentia on the clips in FOLDER."""
    clips = sorted(path for path in folder.iterdir() if path.suffix in (".mp3", ".ogg", ".flac"))
    clips = clips[:limit]
    plain = [clip for clip in clips if clip.suffix == ".flac"]
    report: dict[str, Any] = {"features": CONFIG.fingerprint()}
    if "cores" in parts:
        report["cores"] = cores(clips, repeats, copies)
    if "memory" in parts:
        report["memory"] = memory(hours)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if "speed" in parts:
        report["speed"] = speed(plain[:SPEED_CLIPS], repeats)
    if "formats" in parts:
        report["formats"] = speed_by_format(clips, repeats)
    if "agreement" in parts:
        report["agreement"] = agreement(clips)
    write_report(report, ("numpy", "scipy", "soundfile", "av", "soxr", "essentia"), out)


if __name__ == "__main__":
    command()
