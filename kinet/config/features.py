"""How the HPCP of a track are made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kinet.config.family import PITCH_CLASSES
from kinet.config.settings import Settings, is_count, is_from, require
from kinet.errors import SettingsError

# Beyond these there is no music, but memory and time without end.
_FEATURE_COUNTS = (
    ("sample_rate", 1, 768_000),
    ("frame_size", 2, 2**20),
    ("hop_size", 1, 2**20),
    ("maximum_peaks", 1, 10_000),
    ("bins", 1, 1_200),
    ("harmonics", 0, 1_000),
    ("frames_per_vector", 1, 2**20),
)
_FEATURE_NUMBERS = (
    ("minimum_frequency", 0.0),
    ("maximum_frequency", 0.0),
    ("magnitude_threshold", 0.0),
    ("reference_frequency", 1e-3),
    ("weighting_window", 0.0),
)


@dataclass(frozen=True)
class FeatureConfig(Settings):
    """How the HPCP were made: section "features" of every model file.

    The defaults are the settings with which the data of MulKINet were made (Essentia's HPCP at
    44.1 kHz, groups of 20 frames summed and divided by their maximum). Frequencies are in Hz,
    sizes in samples, the weighting window in semitones. Steps that no other setting names, such as
    spectral whitening, stand in words in `other_processing`: features from elsewhere can have
    some, those that kinet makes have none.

    Raises
    ------
    SettingsError
        If a number is outside its range. Which windows and weightings there are is known where
        they are used: features from elsewhere may have others.
    """

    sample_rate: int = 44100
    frame_size: int = 4096
    hop_size: int = 1024
    window: str = "blackmanharris92"
    minimum_frequency: float = 40.0
    maximum_frequency: float = 5000.0
    maximum_peaks: int = 30
    magnitude_threshold: float = 1e-5
    bins: int = PITCH_CLASSES
    reference_frequency: float = 440.0
    harmonics: int = 7
    weighting: str = "squaredCosine"
    weighting_window: float = 4 / 3
    frame_normalisation: str = "unitMax"
    frames_per_vector: int = 20
    other_processing: str = ""

    def __post_init__(self) -> None:
        for name, least, most in _FEATURE_COUNTS:
            value = getattr(self, name)
            fits = is_count(value, least) and value <= most
            require(fits, name, value, f"an integer from {least} to {most}")
        for name, lowest in _FEATURE_NUMBERS:
            value = getattr(self, name)
            require(is_from(lowest, value), name, value, f"a finite number from {lowest:g}")
        require(
            self.minimum_frequency < self.maximum_frequency,
            "maximum_frequency",
            self.maximum_frequency,
            f"above the minimum frequency, {self.minimum_frequency}",
        )
        for name in ("window", "weighting", "frame_normalisation", "other_processing"):
            require(isinstance(getattr(self, name), str), name, getattr(self, name), "text")

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ when any setting does."""
        values = self.to_dict()
        if not self.other_processing:  # so that it is what it was before there was this setting
            del values["other_processing"]
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def described(self) -> dict[str, Any]:
        """The settings and their fingerprint, JSON-ready: what lies beside features.

        Examples
        --------
        >>> sorted(FeatureConfig().described())
        ['features', 'fingerprint']
        """
        return {"fingerprint": self.fingerprint(), "features": self.to_dict()}

    @classmethod
    def from_described(cls, values: Mapping[str, Any]) -> FeatureConfig:
        """Build from `described`'s values.

        Raises
        ------
        SettingsError
            If a setting cannot be used, or the fingerprint is that of other settings.
        KeyError, TypeError, AttributeError
            If the values are something else.
        """
        config, written = cls.from_dict(values["features"]), values["fingerprint"]
        if written != config.fingerprint():
            raise SettingsError(
                f"the settings have the fingerprint {config.fingerprint()}, but {written} is "
                "written there"
            )
        return config

    @property
    def seconds_per_vector(self) -> float:
        """Duration of one HPCP vector in seconds."""
        return self.frames_per_vector * self.hop_size / self.sample_rate
