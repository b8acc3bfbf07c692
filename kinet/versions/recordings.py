"""A chorale as a sound file: the recording with which the quickstart ends."""

from __future__ import annotations

import io
import json
import os
from dataclasses import fields, replace
from typing import Any

import numpy as np
import soundfile
from numpy.random import SeedSequence

from kinet.errors import DataError
from kinet.files import write_atomically
from kinet.versions.chorales import Corpus
from kinet.versions.notes import Timbre
from kinet.versions.renditions import TRANSPOSITIONS, Rendition, arrange
from kinet.versions.scores import chorales, read_piece
from kinet.versions.synthesis import synthesise

SAMPLE_RATE = 44100
FASTER = 1.1


def write_recording(
    corpus: Corpus, song_id: str, path: str | os.PathLike[str], seed: int = 0
) -> None:
    """Play a version of a song once more, in another key and faster, and write the sound.

    Parameters
    ----------
    corpus : Corpus
        From `kinet.versions.chorales.write_corpus`.
    song_id : str
        One of its songs. Its first version is played a tenth faster, in a key that none of the
        versions has, if there is one.
    path : path
        The FLAC file to write, mono, 44.1 kHz; it appears whole or not at all.
    seed : int
        Of the key, and of what is left to chance in playing.

    Raises
    ------
    DataError
        If the corpus has no such song, or its manifest cannot be read.
    """
    try:
        record = json.loads(corpus.manifest.read_text(encoding="utf-8"))["songs"][int(song_id)]
        used = {version["transposition"] for version in record["versions"]}
        number, first = record["bwv"], _rendition(record["versions"][0])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(
            f"{corpus.manifest} has no song {song_id!r}; allowed: songs of a complete corpus"
        ) from error
    rng = np.random.default_rng(SeedSequence(seed, spawn_key=(3, int(song_id))))
    free = [semitones for semitones in TRANSPOSITIONS if semitones not in used]
    piece = read_piece(next(chorale for chorale in chorales() if chorale.bwv == number))
    if piece is None:
        raise DataError(f"the score of BWV {number} cannot be played; allowed: songs of a corpus")
    rendition = replace(
        first, transposition=int(rng.choice(free or TRANSPOSITIONS)), tempo=FASTER * first.tempo
    )
    notes = arrange(piece.voices, rendition, rng)
    sound = synthesise(notes, rendition.timbre, rng, SAMPLE_RATE)
    encoded = io.BytesIO()
    soundfile.write(encoded, sound, SAMPLE_RATE, format="FLAC")
    write_atomically(path, lambda file: file.write(encoded.getbuffer()))


def _rendition(described: dict[str, Any]) -> Rendition:
    """A version as the manifest describes it."""
    values = {field.name: described[field.name] for field in fields(Rendition)}
    values["timbre"] = Timbre(**values["timbre"])
    values["sections"] = tuple((start, end) for start, end in values["sections"])
    return Rendition(**values)
