"""Versions of a work, drawn at random: another key, tempo, form, arrangement and sound."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kinet.config import FeatureConfig
from kinet.errors import SettingsError
from kinet.versions.accompaniment import Rows
from kinet.versions.arrangement import Material, Section, Shares, draw_layers, draw_sections
from kinet.versions.sounding import Part, Room, Tone, sound

TEMPO_RANGE = 0.35
TEMPO_GOALS = 12


def make_version(
    material: Material,
    vectors: int,
    rng: Generator,
    shares: Shares | None = None,
    start: float = 0.0,
    config: FeatureConfig | None = None,
) -> NDArray[np.float32]:
    """Draw a version of a work and make its HPCP, without making sound.

    Parameters
    ----------
    material : Material
    vectors : int
        T, from 1.
    rng : numpy.random.Generator
        In the same state it gives the same version.
    shares : Shares, optional
    start : float
        Second of the work where the version begins.
    config : FeatureConfig, optional

    Returns
    -------
    ndarray of float32, shape (T, 12)
        In [0, 1]; next to silence after the end of a work that is not repeated.

    Raises
    ------
    SettingsError
        If there are no vectors to make, or the work has ended before `start`.

    Notes
    -----
    Uniform unless said otherwise. Tempo exp(-0.35 .. 0.35), with a slow random walk; a jump of 4
    to 32 beats forwards or backwards; transposition by -5 to 6 semitones, of single parts by an
    octave in a third; parts up to 5 dB louder or softer; 2 to 12 partials, roll-off 0.5 to 2.2,
    weak even partials in a quarter, notes that die away in half, vibrato in 0.3 of the parts; the
    whole raised to a power of 0.4 to 1.1.

    Examples
    --------
    >>> from kinet.versions.arrangement import material_of
    >>> from kinet.versions.works import MELODY, Work
    >>> four = np.arange(4)
    >>> scale = Work("c", "c.mid", "", 0.5, (MELODY,), four / 2, four * 0 + 0.5,
    ...              60 + 2 * four, four * 0 + 80, four * 0)
    >>> make_version(material_of(scale), 100, np.random.default_rng(0)).shape
    (100, 12)
    """
    if vectors < 1:
        raise SettingsError(f"number of vectors is {vectors!r}; allowed: an integer from 1")
    if not 0 <= start < material.seconds:
        raise SettingsError(
            f"a version starts at {start:g} s; allowed: from 0 to below the {material.seconds:g} s "
            "of the work"
        )
    config, shares = config or FeatureConfig(), shares or Shares()
    tempo = float(np.exp(rng.uniform(-TEMPO_RANGE, TEMPO_RANGE)))
    # A little more than is needed, for a tempo that goes up on the way.
    needed = 1.2 * vectors * config.seconds_per_vector * tempo
    sections = draw_sections(material, start, needed, shares, rng)
    layers = _audible(material, sections, shares, rng)
    clock = _Clock(sum(end - begin for begin, end in sections), tempo, rng)
    shift = float(rng.integers(-5, 7)) + _detuning(shares, rng)
    parts = [_part(layer, shift, clock, rng) for layer in layers if len(layer)]
    room = _room(material.beat, clock, shares, rng)
    return sound(parts, vectors, room, rng, config) ** np.float32(rng.uniform(0.4, 1.1))


def _audible(
    material: Material, sections: list[Section], shares: Shares, rng: Generator
) -> list[Rows]:
    """Layers with at least one note: what was drawn, or all tracks where that is silent."""
    layers = draw_layers(material, sections, shares, rng)
    if any(len(layer) for layer in layers):
        return layers
    everything = Shares(new=0, melody=0, accompaniment=0, kept=1, loosened=0)
    return draw_layers(material, sections, everything, rng)


class _Clock:
    """Seconds at the tempo of the work to seconds of the version."""

    def __init__(self, seconds: float, tempo: float, rng: Generator) -> None:
        drift = rng.uniform(0.0, 0.06)
        self.grid = np.linspace(0.0, seconds, TEMPO_GOALS)
        walk = np.cumsum(rng.normal(0.0, drift, TEMPO_GOALS))
        slowness = np.exp(walk.mean() - walk) / tempo
        steps = np.diff(self.grid) * (slowness[1:] + slowness[:-1]) / 2
        self.reached = np.concatenate([[0.0], np.cumsum(steps)])

    def __call__(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(seconds, self.grid, self.reached)


def _detuning(shares: Shares, rng: Generator) -> float:
    """In semitones; no instrument is in tune to the cent."""
    if rng.random() < shares.detuned:
        return float(rng.uniform(-0.5, 0.5))
    return float(rng.normal(0.0, 0.04))


def _part(layer: Rows, shift: float, clock: _Clock, rng: Generator) -> Part:
    octave = float(rng.choice([-12, 0, 0, 0, 0, 12]))
    loud = 10 ** (rng.uniform(-5, 5) / 20)
    dies_away = rng.random() < 0.5
    tone = Tone(
        partials=int(rng.integers(2, 13)),
        roll_off=float(rng.uniform(0.5, 2.2)),
        even_partials=float(rng.uniform(0.1, 0.6)) if rng.random() < 0.25 else 1.0,
        decay=_log_uniform(rng, 0.15, 3.0) if dies_away else np.inf,
        vibrato=float(rng.uniform(0.1, 0.45)) if rng.random() < 0.3 else 0.0,
        slope=float(rng.uniform(-4, 4)),
    )
    # From staccato to notes that are held over the next.
    length = layer[:, 1] * _log_uniform(rng, 0.6, 1.5)
    return Part(
        start=clock(layer[:, 0]),
        end=clock(layer[:, 0] + length),
        pitch=layer[:, 2] + shift + octave,
        magnitude=loud * layer[:, 3] / 80,
        tone=tone,
    )


def _room(beat: float, clock: _Clock, shares: Shares, rng: Generator) -> Room:
    drums = rng.random() < shares.percussion
    step = beat * float(rng.choice([0.5, 1.0, 2.0]))
    echo = rng.random() < shares.reverberation
    return Room(
        noise=_log_uniform(rng, 0.002, 0.15),
        strokes=clock(np.arange(0.0, clock.grid[-1], step)) if drums else np.zeros(0),
        percussion=float(rng.uniform(0.1, 1.0)) if drums else 0.0,
        reverberation=float(rng.uniform(0.3, 3.0)) if echo else 0.0,
        wet=float(rng.uniform(0.1, 1.0)) if echo else 0.0,
    )


def _log_uniform(rng: Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
