"""``kinet quickstart --train``: a network trained and evaluated on made versions of chorales."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinet.baselines import chance_map, mean_chroma
from kinet.commands.options import start_backend
from kinet.commands.output import (
    say,
    show_json,
    show_metrics,
    show_table,
    tracks_progress,
    training_progress,
)
from kinet.config import ModelConfig, TrainConfig
from kinet.data.tracks import Track, read_tracks
from kinet.errors import SettingsError
from kinet.training.runs import RunFolders
from kinet.versions.chorales import Corpus, corpus_settings, write_corpus

if TYPE_CHECKING:
    import numpy as np

# Small enough for two cores; the chorales last about 200 vectors.
MODEL = ModelConfig(
    block="simple",
    stages=3,
    attention=(),
    pitch_axis="circular",
    vectors=200,
    channels=32,
    time_field=24,
    embedding_size=64,
)
EPOCHS = 20
NEAREST = 5


def train_and_evaluate(
    out: Path,
    songs: int,
    versions: int,
    epochs: int,
    seed: int,
    backend: str | None,
    gpu: str | None,
    as_json: bool,
) -> None:
    """Write the corpus, train, evaluate, draw, and look for the song of a recording.

    Each chorale is written in several versions, in other keys, tempi and voicings, as HPCP; a
    small model is trained on some songs and evaluated on songs that it has not seen. At last a
    version of one of these is played once more, in another key and faster, and written as a sound
    file, whose song is looked for. What was stopped goes on.
    """
    started = time.monotonic()
    training = TrainConfig(
        loss="supcon", epochs=epochs, learning_rate=3e-3, batch_size=32, seed=seed
    )
    folders = RunFolders.of("quickstart", out)
    settings = {"corpus": corpus_settings(songs, versions, seed), "model": MODEL.to_dict()}
    settings["training"] = training.to_dict()
    with folders.alone():
        _keep_to_settings(folders, settings)
        devices = start_backend(backend, gpu)
        with tracks_progress("1/5 chorales to HPCP", unit="steps") as progress:
            corpus = write_corpus(out, songs, versions, seed, progress=progress)
        folders.write_settings(settings)
        say(f"2/5 training: {MODEL.block}, S = {MODEL.stages}, {MODEL.channels} channels")
        _train(corpus, training, folders, devices)
        report = _evaluate(corpus, folders)
        report["recording"] = _find_recording(corpus, folders, out, seed)
    report["seconds"] = time.monotonic() - started
    if as_json:
        show_json(report)
        return
    show_metrics(report)
    _show_baselines(report)
    _show_recording(report["recording"])
    say(f"model: {report['model']}; {report['seconds']:.0f} s in all")
    say(f"pictures: {report['recording']['picture']}, {report['picture']}")
    say(
        f"next: kinet eval --data-dir {corpus.data_dir} --test-list {corpus.test_list} "
        f"--model-file {report['model']}"
    )


def _keep_to_settings(folders: RunFolders, now: dict[str, Any]) -> None:
    """Refuse to go on from another corpus or with other settings than a run began with.

    Songs that one corpus has for the test another one has for training: a model of both would be
    tested on what it has learnt.

    Raises
    ------
    SettingsError
        With what differs.
    """
    if not folders.last.exists():
        return
    before = folders.read_json() if folders.settings.exists() else {}
    for part, values in now.items():
        for name, value in values.items():
            there = before[part].get(name) if isinstance(before.get(part), dict) else None
            if there != value:
                raise SettingsError(
                    f"{folders.models} began with {part} {name} = {there!r}, now it is {value!r}; "
                    "repeat the command that it began with, or name another --out"
                )


def _train(corpus: Corpus, training: TrainConfig, folders: RunFolders, devices: int) -> None:
    from kinet.training.fitting import Task, train

    task = Task(
        model=MODEL,
        training=training,
        tracks=read_tracks(corpus.train_list, corpus.data_dir),
        validation=read_tracks(corpus.val_list, corpus.data_dir),
        folders=folders,
        devices=devices,
    )
    with training_progress(training.epochs) as listener:
        train(task, listener, resume=folders.last.exists())


def _evaluate(corpus: Corpus, folders: RunFolders) -> dict[str, Any]:
    import kinet
    from kinet.embeddings import embed_tracks
    from kinet.pictures import draw_distances

    tracks = read_tracks(corpus.test_list, corpus.data_dir)
    labels = [track.song_id for track in tracks]
    with tracks_progress("3/5 unseen songs") as progress:
        rows = embed_tracks(kinet.load(folders.best), tracks, progress=progress)
    metrics = kinet.evaluate(rows, labels)
    validation = [track.song_id for track in read_tracks(corpus.val_list, corpus.data_dir)]
    picture = corpus.manifest.parent / "distances.png"
    say(f"4/5 drawing {picture}")
    draw_distances(picture, rows, labels, f"{metrics.songs} unseen chorales, MAP {metrics.map:.3f}")
    return {
        "model": str(folders.best),
        "picture": str(picture),
        "list": str(corpus.test_list),
        "protocol": "standard",
        "listed": len(tracks),
        "missing": 0,
        **metrics.to_dict(),
        "baselines": _baselines(tracks, labels, MODEL.vectors),
        "validation": {"songs": len(set(validation)), "chance_map": chance_map(validation)},
    }


def _baselines(tracks: list[Track], labels: list[str], vectors: int) -> dict[str, float]:
    """The mAP of chance and of mean pitch classes on the same list."""
    hpcp: list[np.ndarray] = [track.read(0, vectors) for track in tracks]
    return {"chance": chance_map(labels), "mean_chroma": mean_chroma(hpcp, labels).map}


def _show_baselines(report: dict[str, Any]) -> None:
    """What the mAP is worth: beside those of no model, and of the validation."""
    baselines, validation = report["baselines"], report["validation"]
    rows = [
        ("chance", baselines["chance"]),
        ("mean of the pitch classes, best of 12 keys", baselines["mean_chroma"]),
        ("this model", report["map"]),
    ]
    show_table(("mAP on the same songs", ""), rows)
    say(
        f"the mAP after each epoch was that of the {validation['songs']} validation songs, where "
        f"chance has {validation['chance_map']:.4f}: among {report['songs']} songs a version is "
        f"harder to find, and chance has {baselines['chance']:.4f}"
    )


def _find_recording(corpus: Corpus, folders: RunFolders, out: Path, seed: int) -> dict[str, Any]:
    """Play a song of the test list, and look for the sound file in that list."""
    import kinet
    from kinet.embeddings import embed_tracks
    from kinet.pictures import draw_nearest
    from kinet.search import nearest_songs
    from kinet.versions.recordings import write_recording

    tracks = read_tracks(corpus.test_list, corpus.data_dir)
    songs = [track.song_id for track in tracks]
    recording = out / "recording.flac"
    say(f"5/5 playing song {songs[0]} in another key and faster: {recording}")
    write_recording(corpus, songs[0], recording, seed)
    model = kinet.load(folders.best)
    query = kinet.embed(model, [kinet.extract(recording)])[0]
    matches = nearest_songs(embed_tracks(model, tracks), songs, query, len(set(songs)))
    found = [match.song_id for match in matches]
    rank = found.index(songs[0]) + 1
    nearest: list[dict[str, Any]] = [
        {"song": match.song_id, "title": corpus.title(match.song_id), "cosine": match.cosine}
        for match in matches[:NEAREST]
    ]
    picture = out / "nearest.png"
    draw_nearest(
        picture,
        [song["title"] for song in nearest],
        [song["cosine"] for song in nearest],
        rank - 1 if rank <= NEAREST else None,
        f"{recording.name}: {corpus.title(songs[0])}, played in another key and faster. "
        f"Nearest of {len(found)} unseen songs:",
    )
    return {
        "path": str(recording),
        "song": songs[0],
        "title": corpus.title(songs[0]),
        "rank": rank,
        "songs": len(found),
        "nearest": nearest,
        "picture": str(picture),
    }


def _show_recording(found: dict[str, Any]) -> None:
    """The songs nearest to the recording, its own marked."""
    rows = [
        (rank, ">" if song["song"] == found["song"] else "", song["title"], song["cosine"])
        for rank, song in enumerate(found["nearest"], start=1)
    ]
    show_table(("rank", "", "song", "cosine"), rows, title=f"nearest to {found['path']}")
    say(f"its own song, >, has rank {found['rank']} of {found['songs']} unseen songs")
