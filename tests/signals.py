"""Waveforms that are the same everywhere, for values that Essentia gave for them."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

RATE = 44100
SECONDS = 5


@functools.cache
def signals() -> dict[str, NDArray[np.float32]]:
    """Mono waveforms of five seconds at 44.1 kHz, by name."""
    time = np.arange(SECONDS * RATE) / RATE
    random = np.random.RandomState(0)  # its stream is frozen for ever
    chords = np.zeros(len(time))
    for _ in range(30):
        fundamental = 55 * 2 ** (random.randint(0, 60) / 12)
        start, decay = random.uniform(0, SECONDS), random.uniform(1, 6)
        sounding = np.where(time > start, np.exp(-(time - start) * decay), 0)
        for harmonic in range(1, 12):
            chords += sounding * np.sin(2 * np.pi * fundamental * harmonic * time) / harmonic
    chords *= 0.8 / np.abs(chords).max()
    noise = 0.1 * random.standard_normal(len(time))
    glide = np.sin(2 * np.pi * (100 * time + 300 * time**2))
    waves = {
        "chords": chords,
        "noise": noise,
        "chords in noise": chords + noise,
        "glide": 0.3 * glide,
        "chords and silence": np.where((time > 1) & (time < 3), 0, chords),
        "faint chords": 2e-5 * chords,
        "clipped": np.clip(4 * chords, -1, 1),
        "constant": np.full(len(time), 0.5),
    }
    return {name: wave.astype(np.float32) for name, wave in waves.items()}
