"""A small corpus of real music: Bach's chorales in several versions each, as HPCP.

The scores come from music21 by way of `kinet.versions.scores`, the versions from
`kinet.versions.renditions`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator, SeedSequence

from kinet.backend import cores
from kinet.config import FeatureConfig
from kinet.data.settings_file import write_features
from kinet.errors import SettingsError
from kinet.files import write_array_atomically, write_text_atomically, writing_to
from kinet.versions.notes import render
from kinet.versions.renditions import TRANSPOSITIONS, arrange, draw_rendition
from kinet.versions.scores import (
    Chorale,
    DistinctPieces,
    Piece,
    chorales,
    music21_version,
    read_piece,
)
from kinet.workers import work_off_in_order

# Raise it whenever the same settings give other files.
FORMAT = 2
VALIDATION_PART, TEST_PART = 0.08, 0.27
# In a list of one song every ranking is perfect.
LEAST_IN_A_LIST = 2
LEAST_SONGS = 3 * LEAST_IN_A_LIST


@dataclass(frozen=True)
class Corpus:
    """Where the files of a corpus are.

    Parameters
    ----------
    data_dir : Path
        Folder of the ``<song>_<version>.npy``, float32 ``(T, 12)``.
    train_list, val_list, test_list : Path
        Files of ``<song> <version>`` lines; no song is in two of them.
    manifest : Path
        JSON: the settings, and for every song its title, BWV number, split and versions.
    songs, tracks : int
        How many there are.
    """

    data_dir: Path
    train_list: Path
    val_list: Path
    test_list: Path
    manifest: Path
    songs: int
    tracks: int

    def title(self, song_id: str) -> str:
        """The title of a song, as in the manifest."""
        record = json.loads(self.manifest.read_text(encoding="utf-8"))["songs"][int(song_id)]
        return str(record["title"])


def write_corpus(
    folder: str | os.PathLike[str],
    songs: int = 150,
    versions: int = 8,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Corpus:
    """Write the chorales as HPCP in the data layout, with lists for training and evaluation.

    The files depend on `songs`, `versions`, `seed` and the version of music21 only. If the
    folder already holds a complete corpus made with the same settings, nothing is done.

    Parameters
    ----------
    folder : path
        Created if it does not exist. Gets ``data``, ``meta`` and ``chorales.json``.
    songs : int
        Number of tunes, from 6; about 150 are there. 65 % are for training, 8 % for validation,
        27 % for the test, two at least for each.
    versions : int
        Versions of every song, 2 to 12, each in another key.
    seed : int
        Of the choice of chorales and of the versions.
    workers : int, optional
        Processes; by default one for every processor, with 1 no process is started. With more
        than one a script needs its ``if __name__ == "__main__":``, as all that start processes.
    progress : callable, optional
        Called with the number of steps done and of all; a step is a score read or a song written.

    Returns
    -------
    Corpus

    Raises
    ------
    SettingsError
        If a number is out of range, or there are not so many tunes.
    DataError
        If music21 is not installed or the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     corpus = write_corpus(folder, songs=6, versions=2, workers=1)
    ...     corpus.tracks, corpus.test_list.name, len(corpus.test_list.read_text().splitlines())
    (12, 'CHORALES-TEST', 4)
    """
    if workers is not None and workers < 1:
        raise SettingsError(f"workers is {workers!r}; allowed: an integer from 1")
    settings = corpus_settings(songs, versions, seed)
    report = progress or (lambda done, steps: None)
    corpus = _layout(Path(folder), songs, versions)
    if _is_complete(corpus, settings):
        report(2 * songs, 2 * songs)
        return corpus
    count = workers or cores()
    with writing_to(folder):
        _clear(corpus)
    pieces = DistinctPieces(songs)

    def take_piece(piece: Piece | None) -> bool:
        some_lack = pieces.add(piece)
        report(len(pieces.pieces), 2 * songs)
        return some_lack

    work_off_in_order(read_piece, shuffled_chorales(seed), count, take_piece)
    pieces.require_all()
    records: list[dict[str, Any]] = []

    def take_record(record: dict[str, Any]) -> bool:
        records.append(record)
        report(songs + len(records), 2 * songs)
        return True

    with writing_to(folder):
        write = partial(_write_song, data_dir=corpus.data_dir, versions=versions, seed=seed)
        work_off_in_order(write, list(enumerate(pieces.pieces)), count, take_record)
        _write_lists(corpus, records)
        write_features(corpus.data_dir, FeatureConfig())
        # The last of all: where it is, the rest is complete.
        _write_manifest(corpus, settings, records)
    return corpus


def corpus_settings(songs: int, versions: int, seed: int) -> dict[str, Any]:
    """All that the files of a corpus depend on, JSON-ready.

    Raises
    ------
    SettingsError
        If a number is out of range.
    DataError
        If music21 is not installed.
    """
    _check_numbers(songs, versions, seed)
    return {
        "format": FORMAT,
        "songs": songs,
        "versions": versions,
        "seed": seed,
        "features": FeatureConfig().fingerprint(),
        "music21": music21_version(),
    }


def _check_numbers(songs: int, versions: int, seed: int) -> None:
    most = len(TRANSPOSITIONS)
    for name, value, fits, allowed in (
        ("songs", songs, songs >= LEAST_SONGS, f"an integer from {LEAST_SONGS}"),
        ("versions", versions, 2 <= versions <= most, f"an integer from 2 to {most}"),
        ("seed", seed, seed >= 0, "an integer from 0"),
    ):
        if not fits:
            raise SettingsError(f"{name} is {value!r}; allowed: {allowed}")


def _layout(folder: Path, songs: int, versions: int) -> Corpus:
    lists = folder / "meta"
    return Corpus(
        data_dir=folder / "data",
        train_list=lists / "CHORALES-TRAIN",
        val_list=lists / "CHORALES-VAL",
        test_list=lists / "CHORALES-TEST",
        manifest=folder / "chorales.json",
        songs=songs,
        tracks=songs * versions,
    )


def _generator(seed: int, *key: int) -> Generator:
    return np.random.default_rng(SeedSequence(seed, spawn_key=key))


def shuffled_chorales(seed: int) -> list[Chorale]:
    """All chorales, in an order that the seed determines."""
    found = chorales()
    return [found[i] for i in _generator(seed, 0).permutation(len(found))]


def _write_song(
    numbered: tuple[int, Piece], data_dir: Path, versions: int, seed: int
) -> dict[str, Any]:
    """Write all versions of one song and describe them."""
    song, piece = numbered
    transpositions = _generator(seed, 1, song).permutation(TRANSPOSITIONS)
    described = []
    for version in range(versions):
        rng = _generator(seed, 2, song, version)
        rendition = draw_rendition(rng, int(transpositions[version]), piece.quarters)
        hpcp = render(arrange(piece.voices, rendition, rng), rendition.timbre, rng)
        path = data_dir / f"{song}_{version}.npy"
        write_array_atomically(path, hpcp)
        described.append({"vectors": len(hpcp), **dataclasses.asdict(rendition)})
    return {"title": piece.chorale.title, "bwv": piece.chorale.bwv, "versions": described}


def _write_lists(corpus: Corpus, records: list[dict[str, Any]]) -> None:
    """Whole songs to the three lists; the chorales were shuffled, so in order."""
    lines = [
        "".join(f"{song} {version}\n" for version in range(len(record["versions"])))
        for song, record in enumerate(records)
    ]
    validation = max(LEAST_IN_A_LIST, round(VALIDATION_PART * len(lines)))
    test = max(LEAST_IN_A_LIST, round(TEST_PART * len(lines)))
    train = len(lines) - validation - test
    write_text_atomically(corpus.train_list, "".join(lines[:train]))
    write_text_atomically(corpus.val_list, "".join(lines[train : train + validation]))
    write_text_atomically(corpus.test_list, "".join(lines[train + validation :]))


def _write_manifest(
    corpus: Corpus, settings: dict[str, Any], records: list[dict[str, Any]]
) -> None:
    """JSON with a song on every line."""
    lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    text = f'{{"settings": {json.dumps(settings)},\n"songs": [\n{lines}\n]}}\n'
    write_text_atomically(corpus.manifest, text)


def _is_complete(corpus: Corpus, settings: dict[str, Any]) -> bool:
    manifest = _read_manifest(corpus)
    lists = (corpus.train_list, corpus.val_list, corpus.test_list)
    files = [*lists, *_tracks(corpus, manifest)]
    return manifest.get("settings") == settings and all(path.is_file() for path in files)


def _clear(corpus: Corpus) -> None:
    """Make the folders; take away a corpus that was made with other settings."""
    for folder in (corpus.data_dir, corpus.train_list.parent):
        folder.mkdir(parents=True, exist_ok=True)
    for path in _tracks(corpus, _read_manifest(corpus)):
        path.unlink(missing_ok=True)
    corpus.manifest.unlink(missing_ok=True)


def _read_manifest(corpus: Corpus) -> dict[str, Any]:
    """The manifest, empty if there is none that this version wrote."""
    try:
        manifest = json.loads(corpus.manifest.read_text(encoding="utf-8"))
        known = manifest["settings"]["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return manifest if known else {}


def _tracks(corpus: Corpus, manifest: dict[str, Any]) -> Iterable[Path]:
    for song, record in enumerate(manifest.get("songs", [])):
        for version in range(len(record["versions"])):
            yield corpus.data_dir / f"{song}_{version}.npy"
