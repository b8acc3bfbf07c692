"""What both decoders share: sizes that are taken for sane, and the mean of the channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinet.audio.errors import AudioError

# Samples of a chunk before it is resampled: large enough that Python costs nothing beside the
# decoder, small enough for a processor's cache.
CHUNK = 2**15
# A header may claim 1 Hz, 4 GHz or 65,535 channels; what the claim would cost is never allocated.
RATES = (4_000, 768_000)
CHANNELS = 64


def require_sane(path: Path, rate: int, channels: int) -> None:
    """Refuse a sample rate (Hz) or a number of channels that no recording has."""
    if not RATES[0] <= rate <= RATES[1]:
        raise AudioError(path, f"sample rate {rate} Hz; allowed: {RATES[0]} to {RATES[1]} Hz")
    if not 1 <= channels <= CHANNELS:
        raise AudioError(path, f"{channels} channels; allowed: 1 to {CHANNELS}")


def mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the channels, (channels, samples) to a new (samples,), in float32."""
    total = samples[0].copy()
    if len(samples) > 1:
        # Row by row: NumPy's mean over so short an axis takes several times as long.
        with np.errstate(over="ignore", invalid="ignore"):  # infinity is reported with its time
            for channel in samples[1:]:
                total += channel
            total /= np.float32(len(samples))
    return total
