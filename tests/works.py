"""Works for tests, written out by hand."""

from __future__ import annotations

import numpy as np

from kinet.versions.works import BASS, MELODY, Work


def work(notes, roles=(MELODY,), beat=0.5, title="work", file="work.mid"):
    """A work of rows of onset and duration in seconds, MIDI pitch and track."""
    rows = np.array(notes, dtype=float)
    rows = rows[np.lexsort((rows[:, 2], rows[:, 0]))]
    return Work(
        title=title,
        file=file,
        sha256=title,
        beat=beat,
        roles=roles,
        onset=rows[:, 0],
        duration=rows[:, 1],
        pitch=rows[:, 2].astype(int),
        velocity=np.full(len(rows), 80),
        track=rows[:, 3].astype(int),
    )


def cadence(beats=4, beat=0.5, repeats=1):
    """C, F, G, C major in whole notes over their roots, the highest note as melody."""
    rows = []
    for number, (root, chord) in enumerate(
        [(48, (64, 67, 72)), (53, (65, 69, 72)), (43, (62, 67, 71)), (48, (64, 67, 72))] * repeats
    ):
        onset, duration = number * beats * beat, beats * beat
        rows += [(onset, duration, pitch, 0) for pitch in chord]
        rows.append((onset, duration, root, 1))
    return work(rows, (MELODY, BASS), beat)


def tune(rng, notes=40, beat=0.5, title="tune"):
    """A melody of random steps, a note a beat."""
    pitches = np.clip(60 + np.cumsum(rng.integers(-4, 5, notes)), 40, 90)
    rows = np.column_stack(
        [np.arange(notes) * beat, np.full(notes, beat), pitches, np.zeros(notes)]
    )
    return work(rows, beat=beat, title=title)
