"""Writers that are killed at every file event: ``python tests/kill_scenarios.py [NAME ...]``.

With ``KINET_KILLS=COUNT,SEED`` each is killed so often, at moments that are drawn. Networks and
converters are made-up: what is looked at is how files take their places.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile
from killing import in_fork, kill_at_every_event, kill_at_random

from kinet import checkpoint, export, files
from kinet.cli import run
from kinet.commands import embed
from kinet.commands.model_files import ModelFile
from kinet.config import FeatureConfig, ModelConfig
from kinet.data.manifest import has_list_of, read_manifest
from kinet.data.packing import PackedFile, pack
from kinet.data.settings_file import write_features
from kinet.embeddings import Embedder
from kinet.errors import KinetError  # noqa: F401 - for those who import this
from kinet.export import placing
from kinet.export.formats import FORMATS, Converter
from kinet.metadata import Metadata
from kinet.training.runs import RunFolders

# Keras's backend whose operations need no threads, which a fork would not have.
BACKEND = "numpy"
OLD, NEW = b"old " * 300, b"new content " * 500


class World:
    """A folder that can be made again as it was, and how its writer is killed."""

    def __init__(self, kill: Callable[..., int] = kill_at_every_event) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kinet-kill-"))
        self.kill = kill

    def clear(self) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()


def old_or_new(found: bytes, finished: bool) -> None:
    assert found in (OLD, NEW), f"{len(found)} bytes that are neither"
    assert not finished or found == NEW, "it was reported and is not there"


def file(world: World) -> int:
    path = world.folder / "a"

    def prepare() -> None:
        world.clear()
        path.write_bytes(OLD)

    return world.kill(
        prepare,
        lambda: files.write_atomically(path, lambda opened: opened.write(NEW)),
        lambda finished: old_or_new(path.read_bytes(), finished),
    )


METADATA = Metadata(ModelConfig(block="simple", stages=1, attention=()))


class Network:
    """What saves itself as Keras does."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.metadata = METADATA

    def save(self, path: Path) -> None:
        said = {"registered_name": "kinet>Network", "config": {"metadata": METADATA.to_dict()}}
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(said))
            archive.writestr("model.weights.h5", self.content)


def weights_in(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return archive.read("model.weights.h5")


def save(world: World) -> int:
    path = world.folder / "last.keras"

    def prepare() -> None:
        world.clear()
        checkpoint.save(Network(OLD), path)

    def check(finished: bool) -> None:
        old_or_new(weights_in(path), finished)
        assert checkpoint.read_metadata(path).model == METADATA.model

    return world.kill(prepare, lambda: checkpoint.save(Network(NEW), path), check)


def convert(world: World) -> int:
    from kinet.original import conversion

    conversion.read_original = lambda source: conversion.OriginalCheckpoint(METADATA.model, 0, {})
    conversion.network_of = lambda original: Network(NEW)
    path = world.folder / "new.keras"

    def check(finished: bool) -> None:
        assert path.exists() or not finished, "it was reported and is not there"
        if path.exists():
            assert weights_in(path) == NEW

    return world.kill(world.clear, lambda: conversion.convert("old.h5", path), check)


def embedded(world: World) -> int:
    made = Embedder(lambda batch: batch[:, 0, :4] + 1, 4, 20, 20, None)
    opened = ModelFile(world.folder / "m", FeatureConfig(), 1, 20, lambda *_: made)
    embed.open_model = lambda path: opened
    out = world.folder / "e.npz"
    names = ["--data-dir", str(world.folder), "--model-file", str(world.folder / "m")]
    command = ["embed", str(world.folder / "list"), *names, "--out", str(out), "--force", "--json"]

    def prepare() -> None:
        world.clear()
        write_features(world.folder, FeatureConfig())
        (world.folder / "m").write_text("model")
        (world.folder / "list").write_text("a 1\na 2\n")
        for version in (1, 2):
            np.save(world.folder / f"a_{version}.npy", np.ones((20, 12), np.float32))
        np.savez(out, embeddings=np.zeros((1, 4)))

    def write() -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        assert run(command) == 0

    def check(finished: bool) -> None:
        with np.load(out) as arrays:
            rows = arrays["embeddings"]
        assert rows.shape in ((1, 4), (2, 4))
        assert not finished or rows.shape == (2, 4), "it was reported and is not there"

    return world.kill(prepare, write, check)


def network_xml(begin: int, size: int) -> bytes:
    text = f'<layer type="Const"><data offset="{begin}" size="{size}" /></layer>'
    return f"<net><layers>{text}</layers></net>".encode()


def write_format(name: str, path: Path, content: bytes) -> None:
    """What a converter would write, as far as it matters how it takes its place."""
    if name == "savedmodel":
        (path / "variables").mkdir(parents=True)
        (path / "saved_model.pb").write_bytes(content)
        (path / "variables" / "data").write_bytes(content)
    elif name == "openvino":
        path.with_suffix(".bin").write_bytes(content)
        path.write_bytes(network_xml(0, len(content)))
    else:
        path.write_bytes(content)


def read_format(name: str, path: Path) -> bytes:
    """The weights, as who runs the export finds them."""
    if name == "savedmodel":
        content = (path / "saved_model.pb").read_bytes()
        assert (path / "variables" / "data").read_bytes() == content, "of two exports"
        return content
    if name == "openvino":
        said = re.search(rb'offset="(\d+)" size="(\d+)"', path.read_bytes())
        begin, size = map(int, said.groups())
        return path.with_suffix(".bin").read_bytes()[begin : begin + size]
    return path.read_bytes()


def stub_converter(name: str, content: bytes) -> None:
    """Export writes `content`, and it agrees with the model."""

    def child(backend: str, job: dict, folder: Path, form: object) -> None:
        write_format(name, Path(job["target"]), content)
        for task in ("write", "reference"):
            np.savez(folder / f"{task}.npz", np.eye(4, dtype=np.float32))
        np.save(folder / "rounding.npy", 0.0)
        (folder / "report.json").write_text(json.dumps({"dynamic_axes": ["batch"]}))

    export._run_child = child
    export.choose_converter = lambda form: Converter("torch", ())
    export.choose = lambda: "torch"


def exported(world: World, name: str, there: bool = True) -> int:
    """An export by force over another one, and the next run, which leaves nothing else."""
    target = world.folder / f"m{FORMATS[name].ending}"
    model = world.folder / "m.keras"

    stub_converter(name, NEW)

    def prepare() -> None:
        world.clear()
        checkpoint.save(Network(OLD), model)
        if there:
            write_format(name, target, OLD)

    def write() -> None:
        export.export(model, name, target, force=True)

    def check(finished: bool) -> None:
        if placing._exchange is NO_EXCHANGE:  # then the next run puts it right
            with placing.staging(target):
                pass
        if there or finished:
            old_or_new(read_format(name, target), finished)
        write()
        assert read_format(name, target) == NEW
        known = {file.name for file in (*FORMATS[name].files(target), model)}
        left = {path.name for path in world.folder.iterdir()} - known
        assert not left, f"left behind: {left}"

    return world.kill(prepare, write, check)


def NO_EXCHANGE(one: Path, other: Path) -> bool:
    return False


def without_exchange(world: World) -> int:
    exchange, placing._exchange = placing._exchange, NO_EXCHANGE
    try:
        return exported(world, "savedmodel")
    finally:
        placing._exchange = exchange


def added(world: World) -> int:
    """Three recordings come into a library, one of which is new content under an old name."""
    from libraries import MODEL, tune
    from libraries import write as write_hpcp

    from kinet.library import Library

    path = world.folder / "library"
    names = [world.folder / f"{name}.npy" for name in "abcd"]
    # Open before, so that writing to it is no event.
    reached, name_of_it = tempfile.mkstemp()

    def contents() -> dict[str, float]:
        with Library.open(path) as library:
            assert library.check() == [], library.check()
            lengths = library.durations()
            return {file.path.name: lengths[file.recording] for file in library.files()}

    def prepare() -> None:
        world.clear()
        os.pwrite(reached, b"0", 0)
        for length, name in enumerate(names, start=40):
            write_hpcp(name, tune(length, length))
        with Library.create(path, MODEL) as library:
            library.add(names[:2], workers=1)
        write_hpcp(names[0], tune(50, 50))

    def write() -> None:
        with Library.open(path) as library:
            library.add(names, 1, lambda done, *_: os.pwrite(reached, b"%d" % done, 0))

    def check(finished: bool) -> None:
        old = {"a.npy": 40, "b.npy": 41}
        new = [{"a.npy": 50}, {"c.npy": 42}, {"d.npy": 43}]
        states = [old]
        for change in new:
            states.append(states[-1] | change)
        in_a_vector = FeatureConfig().seconds_per_vector
        vectors = {name: round(seconds / in_a_vector) for name, seconds in contents().items()}
        acknowledged = int(os.pread(reached, 1, 0))
        assert vectors in states[acknowledged:], f"{vectors} after {acknowledged} were reported"
        assert not finished or vectors == states[-1], "it was reported and is not there"
        write()
        assert contents().keys() == states[-1].keys()
        left = {file.name for file in world.folder.iterdir()} - {name.name for name in names}
        assert left == {"library"}, f"left behind: {left}"

    try:
        return world.kill(prepare, write, check)
    finally:
        os.close(reached)
        os.unlink(name_of_it)


def silent(command: list[str]) -> None:
    """Run a command that must succeed, without what it prints."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    assert run(command) == 0


def split(world: World) -> int:
    """All lists or none: never one of the new beside one of the old."""
    lists = [world.folder / f"list-{part}" for part in ("TRAIN", "VAL", "TEST")]

    def prepare() -> None:
        world.clear()
        names = [f"s{song} {version}\n" for song in range(9) for version in range(2)]
        (world.folder / "list").write_text("".join(names))
        for path in lists:
            path.write_text("old 1\n")

    def check(finished: bool) -> None:
        texts = [path.read_text() for path in lists if path.exists()]
        old = [text == "old 1\n" for text in texts]
        assert len(set(old)) <= 1, "new lists beside old ones"
        assert not finished or (len(texts) == 3 and not any(old)), "it was reported, not there"
        lines = [line for text in texts for line in text.splitlines()]
        assert any(old) or len(lines) == len(set(lines))

    command = ["split", str(world.folder / "list"), "--out", str(world.folder), "--force"]
    return world.kill(prepare, lambda: silent(command), check)


def packed(world: World) -> int:
    """The old file of packed features or the new one, with all tracks of either."""
    out = world.folder / "p"
    command = ["pack", str(world.folder / "list"), "--data-dir", str(world.folder)]
    command += ["--out", str(out), "--force"]

    def prepare() -> None:
        world.clear()
        write_features(world.folder, FeatureConfig())
        files = {("a", str(version)): world.folder / f"a_{version}.npy" for version in range(3)}
        for number, path in enumerate(files.values()):
            np.save(path, np.full((20, 12), number / 4, np.float32))
        (world.folder / "list").write_text("a 0\na 1\na 2\n")
        pack({("a", "0"): files["a", "0"]}, FeatureConfig(), out)

    def check(finished: bool) -> None:
        found = PackedFile(out)
        assert len(found.ids) in (1, 3)
        assert not finished or len(found.ids) == 3, "it was reported and is not there"
        for song, version in found.ids:
            assert (found.load(song, version) == int(version) / 4).all()

    return world.kill(prepare, lambda: silent(command), check)


def extracted(world: World) -> int:
    """Whole features at any time; the same command goes on to what an undisturbed one makes."""
    music, data = world.folder / "music", world.folder / "data"
    command = ["extract", str(music), "--out", str(data), "--workers", "1"]
    tracks = ["a_1", "a_2", "b_1"]

    def prepare() -> None:
        world.clear()
        for track in tracks:
            song, version = track.split("_")
            (music / song).mkdir(parents=True, exist_ok=True)
            tone = np.sin(np.arange(22050) * (0.05 + 0.01 * len(list(music.rglob("*.wav")))))
            soundfile.write(music / song / f"{version}.wav", tone, 22050)

    def there() -> list[str]:
        return sorted(path.stem for path in data.glob("*.npy"))

    def check(finished: bool) -> None:
        for path in data.glob("*.npy"):
            assert np.load(path).shape == (2, 12)
        for entry in read_manifest(data):
            assert f"{entry.song_id}_{entry.version_id}" in there(), "an entry without its file"
        assert not finished or there() == tracks, "it was reported and is not there"
        assert in_fork(lambda: silent(command)) == 0, "the same command does not go on"
        assert there() == tracks
        assert has_list_of(data, read_manifest(data))
        assert len(read_manifest(data)) == len(tracks)
        left = {path.name for path in data.iterdir()} - {f"{track}.npy" for track in tracks}
        assert left == {"list", "manifest.csv", "features.json"}, f"left behind: {left}"

    return world.kill(prepare, lambda: silent(command), check)


SCORES = (0.25, 0.5, 0.375)


def trained(world: World) -> int:
    """Three epochs of a run, as far as it writes; the next one goes on after the last whole one."""
    from kinet.config import TrainConfig
    from kinet.training.averages import Averages
    from kinet.training.keeping import Keeper
    from kinet.training.log import RunLog, write_history

    folders = RunFolders.of("a", world.folder)
    training = TrainConfig(epochs=len(SCORES))

    class Model(Network):
        """Its file holds the number of the epoch, and the history."""

        optimizer = SimpleNamespace(learning_rate=0.5)

        def save(self, path: Path) -> None:
            said = {"registered_name": "kinet>Network"}
            said["config"] = {"metadata": self.metadata.to_dict()}
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("config.json", json.dumps(said))
                archive.writestr("model.weights.h5", str(len(self.metadata.history)))

    def train() -> None:
        with folders.alone():
            history = list(checkpoint.read_metadata(folders.last).history if begun() else ())
            folders.write_settings({"of": "this run"})
            folders.make()
            if history:  # as kinet.training.fitting does it
                write_history(folders.logs, history)
            with RunLog(folders.logs, first_epoch=len(history) + 1) as log:
                keeper = Keeper(folders, training, history, None, log, Averages())
                keeper.set_model(Model(b""))
                for epoch in range(len(history), len(SCORES)):
                    keeper.on_epoch_begin(epoch)
                    measures = dict.fromkeys(("val_p10", "val_mr1", "val_hit1"), 1.0)
                    keeper.on_epoch_end(epoch, {"loss": 1.0, "val_map": SCORES[epoch], **measures})

    def begun() -> bool:
        return folders.last.exists()

    def epochs_in(path: Path) -> int:
        history = checkpoint.read_metadata(path).history
        assert [record["map"] for record in history] == list(SCORES[: len(history)])
        assert weights_in(path) == str(len(history)).encode(), "weights of another epoch"
        return len(history)

    def check(finished: bool) -> None:
        assert begun() or not finished, "it was reported and is not there"
        if begun():
            done = epochs_in(folders.last)
            best = int(np.argmax(SCORES[:done])) + 1
            # Killed between the two, the next epoch's best is there already, and is made again.
            assert epochs_in(folders.best) in (best, done + 1), "the best is of another epoch"
            assert not finished or done == len(SCORES)
        if not finished:
            assert in_fork(train) == 0, "it cannot be gone on with"
        assert (epochs_in(folders.last), epochs_in(folders.best)) == (len(SCORES), 2)
        rows = (folders.logs / "history.csv").read_text().splitlines()
        assert len(rows) == 1 + len(SCORES), "an epoch is not in the table"
        left = {path.name for path in folders.models.iterdir()}
        assert left == {"best.keras", "last.keras", "settings.json"}, f"left behind: {left}"

    return world.kill(world.clear, train, check)


SCENARIOS = {
    "file": file,
    "split": split,
    "pack": packed,
    "extract": extracted,
    "save": save,
    "embed": embedded,
    "index-add": added,
    "export-file": lambda world: exported(world, "onnx"),
    "export-folder": lambda world: exported(world, "savedmodel"),
    "export-folder-without-exchange": without_exchange,
    "export-pair": lambda world: exported(world, "openvino"),
    "export-first-file": lambda world: exported(world, "onnx", there=False),
    "export-first-folder": lambda world: exported(world, "savedmodel", there=False),
    "export-first-pair": lambda world: exported(world, "openvino", there=False),
    "convert": convert,
    "train": trained,
}


def how_to_kill(asked: str) -> Callable[..., int]:
    """At every event, or COUNT times at random, by SEED."""
    if not asked:
        return kill_at_every_event
    count, seed = map(int, asked.split(","))
    return partial(kill_at_random, kills=count, rng=np.random.default_rng(seed))


def main(names: list[str]) -> dict[str, int | str]:
    """For each scenario how often its writer was killed, or what it left that it must not."""
    kill = how_to_kill(os.environ.get("KINET_KILLS", ""))
    found: dict[str, int | str] = {}
    for name in names:
        world = World(kill)
        scratch = tempfile.tempdir = str(world.folder.with_name(f"{world.folder.name}-temporary"))
        Path(scratch).mkdir()
        try:
            found[name] = SCENARIOS[name](world)
        except AssertionError as error:
            found[name] = str(error)
        finally:
            tempfile.tempdir = None
            shutil.rmtree(world.folder)
            shutil.rmtree(scratch)
    return found


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = BACKEND
    sys.stdout.write(json.dumps(main(sys.argv[1:] or list(SCENARIOS))))
