"""Chorales as sound files, for the quickstart."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.random import Generator, SeedSequence

from kinet.audio.tags import read_tags
from kinet.errors import DataError
from kinet.files import write_atomically, writing_to
from kinet.versions.chorales import Corpus, shuffled_chorales
from kinet.versions.notes import Notes, Timbre
from kinet.versions.renditions import TRANSPOSITIONS, Rendition, arrange, draw_rendition
from kinet.versions.scores import DistinctPieces, Piece, chorales, read_piece
from kinet.versions.synthesis import synthesise

SAMPLE_RATE = 44100
# Of many recordings: HPCP look at nothing above 5 kHz, and it takes half the time.
LOWER_RATE = 22050
FASTER = 1.1


@dataclass(frozen=True)
class Music:
    """What `write_music` wrote.

    Attributes
    ----------
    folder : pathlib.Path
        A file for each song, ``<title>.flac``.
    query : pathlib.Path
        Another version of one of them.
    title : str
        Of that song.
    """

    folder: Path
    query: Path
    title: str


def write_music(
    folder: str | os.PathLike[str],
    songs: int,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Music:
    """Play some chorales, and one of them once more in another way, as sound files.

    Files depend on `seed` and the version of music21 alone; one that is there already is left, if
    it is of the same song.

    Parameters
    ----------
    folder : path
        Gets ``music`` with a FLAC file for each song, mono, 22.05 kHz, and ``recording.flac``.
    songs : int
        Number of tunes; about 150 are there.
    seed : int
        Of the choice of chorales, and of how they are played.
    progress : callable, optional
        Called with the number of recordings written and of all.

    Returns
    -------
    Music

    Raises
    ------
    SettingsError
        If there are not so many tunes.
    DataError
        If music21 is not installed, or the folder cannot be written.
    """
    pieces = DistinctPieces(songs)
    for chorale in shuffled_chorales(seed):
        if not pieces.add(read_piece(chorale)):
            break
    pieces.require_all()
    asked = pieces.pieces[0]
    made = Music(Path(folder, "music"), Path(folder, "recording.flac"), asked.chorale.title)
    jobs = [
        (made.folder / f"{piece.chorale.title.replace('/', '-')}.flac", piece, 0)
        for piece in pieces.pieces
    ]
    jobs.append((made.query, asked, 1))
    with writing_to(folder):
        made.folder.mkdir(parents=True, exist_ok=True)
        for number, (path, piece, version) in enumerate(jobs, start=1):
            # Of another seed the recording is another song's.
            if not path.exists() or _title_of(path) != " ".join(piece.chorale.title.split()):
                _write(path, piece.chorale.title, LOWER_RATE, *_played(piece, version, seed))
            if progress:
                progress(number, len(jobs))
    return made


def _title_of(path: Path) -> str:
    return read_tags(path).get("title", "")


def _played(piece: Piece, version: int, seed: int) -> tuple[Notes, Timbre, Generator]:
    """A way to play a piece; no two versions have one key."""
    number = int.from_bytes(piece.chorale.bwv.encode(), "big")
    keys = np.random.default_rng(SeedSequence(seed, spawn_key=(4, number)))
    rng = np.random.default_rng(SeedSequence(seed, spawn_key=(5, number, version)))
    key = int(keys.permutation(TRANSPOSITIONS)[version])
    rendition = draw_rendition(rng, key, piece.quarters)
    return arrange(piece.voices, rendition, rng), rendition.timbre, rng


def _write(path: Path, title: str, rate: int, notes: Notes, timbre: Timbre, rng: Generator) -> None:
    """A FLAC file with its title; it appears whole or not at all."""
    encoded = io.BytesIO()
    sound = synthesise(notes, timbre, rng, rate)
    with soundfile.SoundFile(encoded, "w", rate, 1, format="FLAC") as file:
        if title:
            file.title = title
        file.write(sound)
    write_atomically(path, lambda target: target.write(encoded.getbuffer()))


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
    _write(Path(path), "", SAMPLE_RATE, notes, rendition.timbre, rng)


def _rendition(described: dict[str, Any]) -> Rendition:
    """A version as the manifest describes it."""
    values = {field.name: described[field.name] for field in fields(Rendition)}
    values["timbre"] = Timbre(**values["timbre"])
    values["sections"] = tuple((start, end) for start, end in values["sections"])
    return Rendition(**values)
