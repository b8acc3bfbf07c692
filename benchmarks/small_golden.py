"""Write ``tests/data/small.npz``: chorales in two versions, and what `small` gives for them.

The chorales are by J. S. Bach, from the corpus of music21; the HPCP are in 255ths.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import kinet
from kinet.data.tracks import read_tracks
from kinet.versions.chorales import write_corpus

TARGET = Path(__file__).parents[1] / "tests" / "data" / "small.npz"
SONGS = 8


def main() -> None:
    """Make the versions, embed them, write both."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = write_corpus(folder, songs=SONGS, versions=2, seed=5, workers=1)
        lists = (corpus.train_list, corpus.val_list, corpus.test_list)
        tracks = [track for path in lists for track in read_tracks(path, corpus.data_dir)]
        hpcp = [np.round(255 * np.load(track.path)).astype(np.uint8) for track in tracks]
    rows = kinet.embed(kinet.load("small"), [each.astype(np.float32) / 255 for each in hpcp])
    np.savez_compressed(
        TARGET,
        hpcp=np.concatenate(hpcp),
        lengths=np.array([len(each) for each in hpcp]),
        songs=np.array([track.song_id for track in tracks]),
        embeddings=rows,
    )


if __name__ == "__main__":
    main()
