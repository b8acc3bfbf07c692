"""The features of `kinet`, by Essentia: only for comparison, it is licensed under the AGPL.

`python benchmarks/essentia_network.py FILE` writes what the tests compare with.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import essentia
import essentia.standard
import essentia.streaming
import numpy as np
from numpy.typing import NDArray

from kinet.config import FeatureConfig
from kinet.features.hpcp import pool_frames

CONFIG = FeatureConfig()
WINDOWING = {"type": CONFIG.window}
CUTTING = {
    "frameSize": CONFIG.frame_size,
    "hopSize": CONFIG.hop_size,
    "silentFrames": "noise",
    "startFromZero": False,
}
PEAKS = {
    "sampleRate": CONFIG.sample_rate,
    "minFrequency": CONFIG.minimum_frequency,
    "maxFrequency": CONFIG.maximum_frequency,
    "maxPeaks": CONFIG.maximum_peaks,
    "magnitudeThreshold": CONFIG.magnitude_threshold,
    "orderBy": "magnitude",
}
PROFILE = {
    "size": CONFIG.bins,
    "referenceFrequency": CONFIG.reference_frequency,
    "harmonics": CONFIG.harmonics,
    "bandPreset": False,
    "minFrequency": CONFIG.minimum_frequency,
    "maxFrequency": CONFIG.maximum_frequency,
    "weightType": CONFIG.weighting,
    "windowSize": CONFIG.weighting_window,
    "normalized": CONFIG.frame_normalisation,
    "sampleRate": CONFIG.sample_rate,
}


def streamed(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """HPCP by frame (n, 12) by the streaming network."""
    return _run(essentia.streaming.VectorInput(signal), "data")


def streamed_file(path: Path) -> NDArray[np.float32]:
    """HPCP by frame (n, 12) of a file that Essentia decodes, too."""
    loader = essentia.streaming.MonoLoader(filename=str(path), sampleRate=CONFIG.sample_rate)
    return _run(loader, "audio")


def decode_file(path: Path) -> None:
    """Decode a file by Essentia, and do nothing with it."""
    loader = essentia.streaming.MonoLoader(filename=str(path), sampleRate=CONFIG.sample_rate)
    loader.audio >> None
    essentia.run(loader)


def _run(source, output):
    pool = essentia.Pool()
    cutter = essentia.streaming.FrameCutter(**CUTTING)
    window = essentia.streaming.Windowing(**WINDOWING)
    spectrum = essentia.streaming.Spectrum()
    peaks = essentia.streaming.SpectralPeaks(**PEAKS)
    profile = essentia.streaming.HPCP(**PROFILE)
    getattr(source, output) >> cutter.signal
    cutter.frame >> window.frame >> spectrum.frame
    spectrum.spectrum >> peaks.spectrum
    peaks.frequencies >> profile.frequencies
    peaks.magnitudes >> profile.magnitudes
    profile.hpcp >> (pool, "hpcp")
    essentia.run(source)
    return pool["hpcp"]


def in_a_loop(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """HPCP by frame, the algorithms called one after the other for every frame."""
    window = essentia.standard.Windowing(**WINDOWING)
    spectrum = essentia.standard.Spectrum()
    peaks = essentia.standard.SpectralPeaks(**PEAKS)
    profile = essentia.standard.HPCP(**PROFILE)
    size, hop = CONFIG.frame_size, CONFIG.hop_size
    padded = np.concatenate([np.zeros(size // 2, np.float32), signal, np.zeros(size, np.float32)])
    starts = range(0, -(-len(signal) // hop) * hop + 1, hop)
    rows = [profile(*peaks(spectrum(window(padded[i : i + size])))) for i in starts]
    return np.array(rows)


def main() -> None:
    """Write Essentia's vectors for the waveforms of the tests."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from signals import signals

    vectors = {
        name: pool_frames(streamed(wave), CONFIG.frames_per_vector).astype(float).round(7).tolist()
        for name, wave in signals().items()
    }
    report = {
        "origin": "benchmarks/essentia_network.py",
        "essentia": essentia.__version__,
        "features": CONFIG.fingerprint(),
        "hpcp": vectors,
    }
    Path(sys.argv[1]).write_text(json.dumps(report, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
