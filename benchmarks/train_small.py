"""Train what ``kinet.load("small")`` gives, in three steps that each leave a file.

``network`` trains a network on versions of scores and ranks lists of real tracks after every
epoch; killed, it goes on where it was. ``descriptor`` learns the directions of Fourier magnitudes
from made versions. ``join`` puts both into one model file and writes its card.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import numpy as np
from machine import machine, versions

from kinet.config import ModelConfig, TrainConfig
from kinet.data.tracks import Track, read_tracks
from kinet.files import digest_of, write_text_atomically
from kinet.workers import work_off_in_order

NETWORK = ModelConfig(stages=4, attention=(), channels=32, pooling="gem")
ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "kinet" / "weights"
WORKS = ROOT / "benchmarks" / "results" / "small-works.csv"
SONGS, VERSIONS = 24, 4
# Vectors; 7 to 45 seconds. More lengths than a descriptor has that nobody trained.
PATCHES = (16, 24, 36, 48, 72, 96)
TRAINING = TrainConfig(
    loss="supcon",
    batch_size=SONGS * VERSIONS,
    versions_per_song=VERSIONS,
    learning_rate=2e-3,
    warmup=50,
    averaging=0.99,
)


@click.group()
def main() -> None:
    """Train what kinet.load("small") gives."""


def lists_option(function: Any) -> Any:
    """Lists of real tracks that are ranked: LIST:FOLDER."""
    return click.option("--list", "lists", multiple=True, metavar="LIST:FOLDER")(function)


@main.command()
@click.option("--scores", required=True, type=Path, help="A file of kinet scores.")
@lists_option
@click.option("--out", required=True, type=Path, help="Folder of the run.")
@click.option("--epochs", default=12)
@click.option("--batches", default=50, help="In an epoch.")
@click.option("--loss", default=TRAINING.loss, help="NAME[:WEIGHT],... as of kinet train.")
@click.option("--channels", default=NETWORK.channels)
@click.option("--stages", default=NETWORK.stages)
@click.option("--block", default=NETWORK.block)
@click.option("--pooling", default=NETWORK.pooling)
@click.option("--head", default=NETWORK.head)
@click.option("--embedding-size", default=NETWORK.embedding_size)
@click.option("--attention", multiple=True, help="An attention module; several in their order.")
@click.option("--init", type=Path, help="A model file to begin with.")
@click.option("--freeze", is_flag=True, help="Train a new head on the rest of --init.")
@click.option("--precision", default=TRAINING.precision, help="As of kinet train.")
@click.option("--seed", default=0)
def network(scores: Path, lists: tuple[str, ...], out: Path, **options: Any) -> None:
    """Train the network; best.keras is the epoch that ranks the first list best."""
    from dataclasses import replace

    from kinet.backend import choose
    from kinet.losses.objective import losses_of

    choose()
    from kinet import load
    from kinet.training.fitting import Task, train
    from kinet.training.runs import RunFolders
    from kinet.versions.made_batches import Draw, MadeBatches
    from kinet.versions.note_pack import read_note_pack

    of_model = ("channels", "stages", "block", "pooling", "head", "embedding_size", "attention")
    model = replace(NETWORK, **{name: options[name] for name in of_model})
    training = replace(
        TRAINING, **{name: options[name] for name in ("epochs", "seed", "freeze", "precision")}
    )
    training = replace(training, loss=losses_of(options["loss"]))
    draw = Draw(songs=SONGS, versions=VERSIONS, batches=options["batches"], seed=options["seed"])
    known = {Path(text.rpartition(":")[0]).name: tracks_of(text) for text in lists}
    folders = RunFolders(out, out / "log")
    curve = curve_callback(known, out / "curve.json", training, draw)
    with MadeBatches(read_note_pack(scores), draw, workers=1) as batches:
        task = Task(
            model=model,
            training=training,
            tracks=(),
            validation=next(iter(known.values())),
            folders=folders,
            batches=batches,
            callbacks=[curve],
        )
        begin = options["init"] and load(options["init"])
        train(task, resume=folders.last.exists(), start_from=begin)


@main.command()
@click.option("--scores", required=True, type=Path, help="A file of kinet scores.")
@lists_option
@click.option("--out", required=True, type=Path, help="The .npz file.")
@click.option("--versions", "count", default=12, help="Of every work.")
@click.option("--size", default=128)
@click.option("--shrinkage", default=0.25)
@click.option("--seed", default=0)
@click.option("--workers", default=2)
def descriptor(
    scores: Path, lists: tuple[str, ...], out: Path, count: int, seed: int, workers: int, **of: Any
) -> None:
    """Learn in which directions works differ and their versions do not."""
    from kinet.evaluation import evaluate
    from kinet.features.fourier_magnitudes import learn_discriminants, write_components
    from kinet.versions.note_pack import read_note_pack

    works = read_note_pack(scores)
    jobs = [(number, work, count, seed) for number, work in enumerate(works)]
    rows: list[np.ndarray] = []
    work_off_in_order(magnitudes_of, jobs, workers, lambda found: rows.extend(found) or True)
    labels = [number for number in range(len(works)) for _ in range(count)]
    components = learn_discriminants(rows, labels, patches=PATCHES, **of)
    write_components(components, out)
    for name, tracks in ((text, tracks_of(text)) for text in lists):
        described = [components.describe(np.load(t.path)[: NETWORK.vectors]) for t in tracks]
        found = evaluate(described, [track.song_id for track in tracks])
        click.echo(f"{Path(name.rpartition(':')[0]).name} MAP {found.map:.4f}")


def magnitudes_of(job: tuple[int, Any, int, int]) -> list[np.ndarray]:
    """The magnitudes of some versions of a work, each as long as recordings are."""
    from kinet.features.fourier_magnitudes import fourier_magnitudes
    from kinet.versions.dataset import shares_for
    from kinet.versions.generator import make_version

    number, work, count, seed = job
    material, rows = work.material, []
    for version in range(count):
        rng = np.random.default_rng([seed, number, version])
        vectors = int(rng.integers(NETWORK.minimum_vectors, NETWORK.vectors + 1))
        hpcp = make_version(material, vectors, rng, shares_for(work))
        rows.append(fourier_magnitudes(hpcp, PATCHES))
    return rows


@main.command()
@click.option("--network", "network_file", required=True, type=Path, help="best.keras of the run.")
@click.option("--descriptor", "descriptor_file", required=True, type=Path)
@click.option("--scores", required=True, type=Path, help="What both were learned from.")
@click.option("--network-scores", type=Path, help="What the network alone was trained on.")
@click.option("--curve", required=True, type=Path, help="curve.json of the run.")
@click.option("--list", "lists", multiple=True, metavar="NAME=LIST:FOLDER")
@click.option("--weight", default=0.2, help="Of the network.")
@click.option("--name", default="small")
@click.option("--out", default=WEIGHTS, type=Path, help="Folder of model file and card.")
@click.option("--works", default=WORKS, type=Path, help="The CSV of works to write.")
def join(
    network_file: Path,
    descriptor_file: Path,
    scores: Path,
    network_scores: Path | None,
    curve: Path,
    lists: tuple[str, ...],
    weight: float,
    name: str,
    out: Path,
    works: Path,
) -> None:
    """Put network and descriptor into one model file; rank the lists; write the card."""
    from kinet.backend import choose

    choose()
    from covers import EXCERPTS, excerpt_map, systems

    import kinet
    from kinet.combined import with_descriptor
    from kinet.export.network import as_float32
    from kinet.features.fourier_magnitudes import read_components
    from kinet.network import embedder_of
    from kinet.versions.note_pack import read_note_pack

    trained = embedder_of(kinet.load(network_file))
    network = as_float32(trained)
    network.metadata = trained.metadata
    components = read_components(descriptor_file)
    kinet.save(with_descriptor(network, components, weight), out / f"{name}.keras")
    model = kinet.load(out / f"{name}.keras")
    records = [work.record for work in read_note_pack(scores)]
    results, excerpts = {}, {}
    for title, tracks in (named_tracks(text) for text in lists):
        found = systems(model, tracks)
        results[title] = {system: metrics.to_dict() for system, metrics in found.items()}
        excerpts[title] = {seconds: excerpt_map(model, tracks, seconds) for seconds in EXCERPTS}
    card = card_of(name, out, model, records, json.loads(curve.read_text()), weight)
    if network_scores:
        of_network = [work.record for work in read_note_pack(network_scores)]
        card["material_of_the_network"] = material_of(of_network)
    write_text_atomically(
        out / f"{name}.json",
        json.dumps({**card, "results": results, "excerpts": excerpts}, indent=1) + "\n",
    )
    lines = [(r.title, r.file, r.source, r.licence, r.sha256) for r in records]
    with io.StringIO() as text:
        rows = csv.writer(text, lineterminator="\n")
        rows.writerows([("title", "file", "source", "licence", "sha256"), *lines])
        write_text_atomically(works, text.getvalue())


def card_of(
    name: str, out: Path, model: Any, records: list[Any], curve: dict[str, Any], weight: float
) -> dict[str, Any]:
    """All that the card says but the results."""
    seconds = sum(epoch["seconds"] for epoch in curve["epochs"])
    network = model.output_shape[-1] - model.get_layer("descriptor").size
    return {
        "name": name,
        "description": f"a network of {network} numbers and a descriptor of "
        f"{model.get_layer('descriptor').size}, learned from versions made of scores",
        "licence": "MIT",
        "sha256": digest_of(out / f"{name}.keras"),
        "numbers": model.output_shape[-1],
        "weight_of_the_network": weight,
        "material": material_of(records),
        # The best epoch on the first list is kept; the rest of the run is in the hours.
        "samples": curve["epochs"][len(model.metadata.history) - 1]["samples"],
        "hours": round(seconds / 3600, 2),
        "seed": curve["training"]["seed"],
        "machine": {key: curve["machine"][key] for key in ("cpu", "cores")},
        "versions": curve["versions"],
        "commands": "benchmarks/train_small.py, as benchmarks/README.md says",
        "curve": curve["epochs"],
        "cannot": [
            "It was trained on made versions alone: sung, spoken over, heavily processed or live "
            "recordings are harder for it than what the lists here hold.",
            "Excerpts are found less often than whole recordings: the table says how much less.",
            "Songs that share chords and tempo come out near each other: look and listen before "
            "you decide.",
            "Its cosines are no probabilities.",
        ],
    }


def material_of(records: list[Any]) -> list[str]:
    """How many works there are of each source, with its licence."""
    counts = Counter((record.source, record.licence) for record in records)
    return [f"{n} works of {source} ({licence})" for (source, licence), n in sorted(counts.items())]


def named_tracks(text: str) -> tuple[str, list[Track]]:
    """The title and the tracks of NAME=LIST:FOLDER."""
    title, _, rest = text.partition("=")
    return title, tracks_of(rest)


def curve_callback(
    lists: dict[str, list[Track]], file: Path, training: TrainConfig, draw: Any
) -> Any:
    """Ranks all lists after every epoch, tracks filled up by being played again, into `file`."""
    import keras

    from kinet.embeddings import embed_arrays
    from kinet.evaluation import evaluate
    from kinet.network import embedder_of

    tracks = {name: [heard(np.load(t.path)) for t in found] for name, found in lists.items()}
    songs = {name: [track.song_id for track in found] for name, found in lists.items()}

    class Curve(keras.callbacks.Callback):
        def set_model(self, model: Any) -> None:
            super().set_model(model)
            self.embedder = embedder_of(model)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.started = time.time()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            rows = json.loads(file.read_text())["epochs"] if file.exists() else []
            row = {"samples": (epoch + 1) * draw.batches * training.batch_size}
            row["seconds"] = round(time.time() - self.started)
            row["loss"] = float(logs["loss"])
            for name, hpcp in tracks.items():
                row[name] = evaluate(embed_arrays(self.embedder, hpcp, None, 32), songs[name]).map
            report = {"training": training.to_dict(), "machine": machine(), "epochs": rows[:epoch]}
            report["versions"] = versions(("keras", "tensorflow", "jax", "torch", "numpy"))
            report["epochs"].append(row)
            write_text_atomically(file, json.dumps(report, indent=1) + "\n")
            click.echo(json.dumps(row))

    return Curve()


def heard(hpcp: np.ndarray, vectors: int = NETWORK.vectors) -> np.ndarray:
    """A track cut to `vectors`, or played again until it has so many."""
    return np.resize(hpcp[:vectors], (vectors, hpcp.shape[1])).astype(np.float32)


def tracks_of(text: str) -> list[Track]:
    """The tracks of LIST:FOLDER."""
    path, _, folder = text.rpartition(":")
    return list(read_tracks(path, folder))


if __name__ == "__main__":
    main()
