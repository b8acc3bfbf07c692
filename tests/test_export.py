"""Exports agree with their model, say what they are, and are put in place whole or not at all."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from quick import ONCE, SLOW

import kinet
from kinet import export as exporting
from kinet.checkpoint import save
from kinet.cli import run
from kinet.config import FeatureConfig, ModelConfig
from kinet.data.settings_file import write_features
from kinet.data.tracks import Track
from kinet.embeddings import as_embedder, embed_tracks
from kinet.errors import CheckpointError, ExportError
from kinet.export import FORMATS, export, load_export, read_export_metadata
from kinet.export.comparing import compare_maps, compare_rows
from kinet.export.formats import choose_converter
from kinet.export.network import as_float32, load_network, sample_batches
from kinet.export.placing import default_target, place, staging
from kinet.metadata import Metadata
from kinet.model import build_classifier, build_embedder

# Keras's own, under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = {"stages": 2, "channels": 8, "time_field": 6, "vectors": 110, "embedding_size": 16}
CONFIGS = {
    "fixed": ModelConfig(block="simple", attention=("channel", "temporal"), **SMALL),
    "dynamic": ModelConfig(
        block="wider", attention=("channel", "local"), pitch_axis="circular", **SMALL
    ),
}


def usable(name):
    try:
        choose_converter(FORMATS[name])
    except ExportError:
        return False
    return True


ANY = next((name for name in ("savedmodel", "onnx") if usable(name)), "onnx")
# An export takes ten seconds: every format is tried with one model or the other.
IN_TIME = {("fixed", ANY), ("dynamic", ANY), ("fixed", "openvino")}
IN_TIME |= {("dynamic", "onnx"), ("dynamic", "litert")}


def needs(name):
    return pytest.mark.skipif(not usable(name), reason=f"no library here that writes {name}")


def in_time(pair):
    return pytest.mark.skipif(not SLOW and pair not in IN_TIME, reason="KINET_SLOW=1 has all pairs")


def hpcp(count, vectors, seed=3):
    """Random HPCP from dense to sparse, so that embeddings differ."""
    values = np.random.default_rng(seed).random((count, vectors, 12))
    return (values ** (2.0 ** np.arange(count))[:, None, None]).astype("float32")


def write_model(path, config, policy="float32"):
    """A classifier whose batch normalisation has settled, as after training."""
    keras.utils.set_random_seed(1)
    model = build_classifier(config, ("a", "b", "c"))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(hpcp(8, config.vectors), training=True)
    save(model, path)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: write_model(folder / f"{name}.keras", c) for name, c in CONFIGS.items()}


@pytest.fixture(scope="module")
def exports(models):
    """Every model in every format that can be written here: child processes, two at a time."""
    wanted = [
        (kind, name)
        for kind, name in itertools.product(models, FORMATS)
        if usable(name) and (SLOW or (kind, name) in IN_TIME)
    ]
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda pair: export(models[pair[0]], pair[1]), wanted)
        return dict(zip(wanted, done, strict=True))


def output_of(done, batches):
    """The file's output; TensorFlow, if it is not the backend that runs, must not come in here."""
    if done.format == "savedmodel" and keras.config.backend() != "tensorflow":
        pytest.skip("TensorFlow is not the backend of this process")
    embedder = load_export(done.path)
    return [embedder.embed(batch) for batch in batches]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(*pair, marks=[needs(pair[1]), in_time(pair)])
        for pair in itertools.product(CONFIGS, FORMATS)
    ],
)
class TestEveryFormat:
    def test_the_file_agrees_with_the_model_at_other_sizes(self, exports, models, kind, name):
        done = exports[kind, name]
        sizes = [(3, 110), (7, 110)] + ([(5, 93), (2, 241)] if kind == "dynamic" else [])
        batches = [hpcp(*size, seed=8) for size in sizes]
        model = kinet.load(models[kind])
        for batch, rows in zip(batches, output_of(done, batches), strict=True):
            expected = keras.ops.convert_to_numpy(model(batch, training=False))
            assert np.ptp(expected, axis=0).max() > 0.05  # else agreement would mean nothing
            np.testing.assert_allclose(rows, expected, atol=1e-4)

    def test_the_report_is_true(self, exports, kind, name):
        done = exports[kind, name]
        assert 0 <= done.difference <= 1e-4 < 0.05 < done.spread
        assert done.dynamic_axes == (("batch", "T") if kind == "dynamic" else ("batch",))
        assert done.compared_with == keras.config.backend()
        files = FORMATS[name].files(done.path)
        if not done.path.is_dir():
            assert done.bytes == sum(file.stat().st_size for file in files)
        assert done.bytes > 4 * 5000  # float32 weights
        assert not list(done.path.parent.glob(".kinet-export-*"))

    def test_it_says_what_it_is(self, exports, kind, name):
        if name == "onnx" and not importlib.util.find_spec("onnxruntime"):
            pytest.skip("onnxruntime is not installed")
        said = read_export_metadata(exports[kind, name].path)
        config = CONFIGS[kind]
        assert ModelConfig.from_dict(said["model"]) == config
        assert said["fingerprint"] == Metadata(config).features.fingerprint()
        assert said["features"] == Metadata(config).features.to_dict()
        assert said["kinet"]
        least = config.minimum_vectors if kind == "dynamic" else config.vectors
        assert said["input"]["minimum_vectors"] == least
        assert said["input"]["dynamic"] == list(exports[kind, name].dynamic_axes)
        assert "songs" not in said


TRACKS = np.stack([np.roll(hpcp(4, 110)[i], k, axis=1) for i in range(4) for k in (0, 3)])


@pytest.mark.parametrize(
    ("precision", "smaller", "cosine"), [("bfloat16", 0.6, 0.9999), ("int8", 0.5, 0.99)]
)
def test_narrower_files_are_smaller_and_near(exports, tmp_path, precision, smaller, cosine):
    """Near as far as 8 channels with random weights allow; the MAP decides on a real model."""
    form = FORMATS["openvino"]
    if not usable("openvino") or not importlib.util.find_spec(form.narrowers[precision][0]):
        pytest.skip(f"no library here that writes OpenVINO in {precision}")
    done = exports["fixed", "openvino"]
    (tmp_path / "scratch").mkdir()
    files = [tmp_path / file.name for file in form.files(done.path)]
    for file, copy in zip(form.files(done.path), files, strict=True):
        shutil.copyfile(file, copy)
    importlib.import_module(form.module).reduce_precision(
        files[1], precision, TRACKS, tmp_path / "scratch"
    )
    assert files[0].stat().st_size < smaller * done.path.with_suffix(".bin").stat().st_size
    assert read_export_metadata(files[1]) == read_export_metadata(done.path)
    full, reduced = (load_export(path).embed(TRACKS) for path in (done.path, files[1]))
    assert reduced.shape == full.shape
    assert cosine < (reduced * full).sum(axis=1).mean() < 1 - 1e-7
    np.testing.assert_allclose(np.linalg.norm(reduced, axis=1), 1, atol=1e-5)


@needs(ANY)
def test_an_exported_file_embeds_a_list(exports, models, tmp_path):
    if ANY == "savedmodel" and keras.config.backend() != "tensorflow":
        pytest.skip("TensorFlow is not the backend of this process")
    paths = [tmp_path / f"a_{index}.npy" for index in range(3)]
    for path, values in zip(paths, hpcp(3, 90), strict=True):
        np.save(path, values)
    tracks = [Track("a", path.stem[2:], path) for path in paths]
    rows = embed_tracks(load_export(exports["fixed", ANY].path), tracks, batch_size=2)
    np.testing.assert_allclose(rows, embed_tracks(kinet.load(models["fixed"]), tracks), atol=1e-4)
    embedder = load_export(exports["dynamic", ANY].path)
    assert (embedder.size, embedder.vectors, embedder.fixed_vectors) == (16, 110, None)
    assert load_export(exports["fixed", ANY].path).fixed_vectors == 110


@needs(ANY)
def test_eval_takes_an_export_or_the_faster_form(exports, models, tmp_path, capsys, monkeypatch):
    if ANY == "savedmodel" and keras.config.backend() != "tensorflow":
        pytest.skip("TensorFlow is not the backend of this process")
    names = [f"{song} {version}\n" for song in "ab" for version in (1, 2)]
    for name, values in zip(names, hpcp(4, 120), strict=True):
        np.save(tmp_path / f"{name.strip().replace(' ', '_')}.npy", values)
    (tmp_path / "list").write_text("".join(names))
    lists = ["--data-dir", str(tmp_path), "--test-list", str(tmp_path / "list"), "--json"]

    def evaluated(path, *options):
        assert run(["eval", *lists, "--model-file", str(path), *options]) == 0
        report = json.loads(capsys.readouterr().out)
        return {key: value for key, value in report.items() if key != "model"}

    plain = evaluated(models["dynamic"])
    assert evaluated(exports["dynamic", ANY].path, "-S", str(CONFIGS["dynamic"].stages)) == plain
    monkeypatch.setattr("kinet.embeddings.MANY_TRACKS", 1)
    assert evaluated(models["dynamic"]) == plain
    (tmp_path / "features.json").unlink(missing_ok=True)
    write_features(tmp_path, FeatureConfig(hop_size=512))
    assert run(["eval", *lists, "--model-file", str(exports["dynamic", ANY].path)]) == 1
    assert "hop_size" in capsys.readouterr().err


class TestPrecision:
    @pytest.mark.parametrize("name", ["onnx", "savedmodel", "litert"])
    def test_a_format_that_gains_nothing_is_refused(self, models, name):
        with pytest.raises(ExportError, match=r"precision 'int8' was .*; .* allows: float32$"):
            export(models["fixed"], name, precision="int8")

    def test_int8_needs_its_library(self, models, without):
        without("nncf")
        with pytest.raises(ExportError, match="written with nncf, which is not installed; install"):
            export(models["fixed"], "openvino", precision="int8", tracks=[1])

    @needs("openvino")
    def test_tracks_are_needed(self, models):
        with pytest.raises(ExportError, match=r"bfloat16 was asked for without tracks .*DIR$"):
            export(models["fixed"], "openvino", precision="bfloat16")

    # Two songs of two versions. In order, every query finds its song first: MAP 1. With the two
    # in the middle exchanged it is second for the outer two and third for the inner: MAP 5/12.
    GOOD = np.float32([[1, 0], [0.98, 0.199], [0.199, 0.98], [0, 1]])
    BAD = GOOD[[0, 2, 1, 3]]

    @staticmethod
    def keep(folder, reference, written):
        np.save(folder / "reference_tracks.npy", reference)
        np.save(folder / "write_tracks.npy", written)

    def test_the_map_of_file_and_model_is_told(self, tmp_path):
        self.keep(tmp_path, self.BAD, self.GOOD)
        found = compare_maps(tmp_path, "int8 OpenVINO", list("aabb"), 0.0)  # better is no loss
        assert (found.map, found.model_map) == (1.0, pytest.approx(5 / 12))
        assert found.difference == pytest.approx(0.781)
        assert found.spread == 1.0

    def test_a_loss_is_refused_beyond_what_is_allowed(self, tmp_path):
        self.keep(tmp_path, self.GOOD, self.BAD)
        message = r"int8 X file has MAP 0\.4167 on 4 tracks, the model 1\.0000: 0\.5833 less; allo"
        with pytest.raises(ExportError, match=message):
            compare_maps(tmp_path, "int8 X", list("aabb"), 0.58)
        assert compare_maps(tmp_path, "int8 X", list("aabb"), 0.59).map == pytest.approx(5 / 12)

    def test_what_is_not_finite_or_of_another_shape_is_refused(self, tmp_path):
        self.keep(tmp_path, self.GOOD, self.GOOD * np.float32(np.nan))
        with pytest.raises(ExportError, match="embeddings that are not finite"):
            compare_maps(tmp_path, "int8 X", list("aabb"), 1.0)
        self.keep(tmp_path, self.GOOD, self.GOOD[:, :1])
        with pytest.raises(ExportError, match=r"shape \(4, 1\), the model of \(4, 2\)"):
            compare_maps(tmp_path, "int8 X", list("aabb"), 1.0)

    def test_the_file_is_named_after_its_precision(self, tmp_path):
        form, model = FORMATS["openvino"], tmp_path / "best.keras"
        assert default_target(model, form, "int8") == tmp_path / "best_int8.xml"
        assert default_target(model, form) == tmp_path / "best.xml"


@needs("onnx")
def test_axes_of_onnx_have_names(exports):
    onnxruntime = importlib.import_module("onnxruntime")
    session = onnxruntime.InferenceSession(exports["dynamic", "onnx"].path)
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("hpcp", ["batch", "T", 12])]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("embedding", ["batch", 16])]


@needs(ANY)
class TestTarget:
    """What is at the target stays unless a file that agrees takes its place."""

    @pytest.fixture
    def done(self, exports, tmp_path):
        """A copy of an export, with a mark by which to know it again."""
        source = exports["fixed", ANY].path
        target = tmp_path / source.name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
        return target

    @staticmethod
    def content(path):
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        return {file: (file.stat().st_ino, file.stat().st_size) for file in files}

    def test_an_export_that_is_there_is_refused(self, done, models):
        before = self.content(done)
        with pytest.raises(ExportError, match="already there; --force replaces it"):
            export(models["fixed"], ANY, done)
        assert self.content(done) == before

    @pytest.mark.parametrize("fault", [0.01, np.nan])
    def test_a_file_that_disagrees_is_not_put_in_place(self, done, models, monkeypatch, fault):
        before = self.content(done)

        def child(backend, job, folder, form):
            rows = np.ones((5, 16), "float32")
            np.savez(folder / "reference.npz", rows)
            rows[2, 3] += fault
            np.savez(folder / "write.npz", rows)
            np.save(folder / "rounding.npy", 1e-6)

        monkeypatch.setattr(exporting, "_run_child", child)
        with pytest.raises(ExportError, match=r"by (1\.0e-02|nan); allowed"):
            export(models["fixed"], ANY, done, force=True)
        assert self.content(done) == before
        assert [path.name for path in done.parent.iterdir()] == [done.name]

    @ONCE
    def test_a_damaged_model_is_named(self, models, tmp_path):
        damaged = tmp_path / "damaged.keras"
        with zipfile.ZipFile(models["fixed"]) as source, zipfile.ZipFile(damaged, "w") as copy:
            for member in source.namelist():
                content = source.read(member)
                is_weights = member == "model.weights.h5"
                copy.writestr(member, content[: len(content) // 2] if is_weights else content)
        with pytest.raises(CheckpointError, match="cannot be loaded"):
            export(damaged, ANY)
        assert list(tmp_path.iterdir()) == [damaged]

    def test_a_folder_that_cannot_be_written_is_named(self, models, tmp_path):
        (tmp_path / "file").touch()
        for parent in ("file", "absent"):
            with pytest.raises(ExportError, match=f"cannot write to .*{parent}"):
                export(models["fixed"], ANY, tmp_path / parent / f"x{FORMATS[ANY].ending}")


@needs("onnx")
def test_a_name_with_another_ending_is_refused(models, tmp_path):
    with pytest.raises(ExportError, match=r"allowed: a name ending in \.onnx"):
        export(models["fixed"], "onnx", models["fixed"], force=True)


class TestAgreement:
    """A file may differ by what the model differs by from itself, not by more."""

    @staticmethod
    def keep(folder, fault, rounding):
        rows = np.eye(4, dtype=np.float32)
        np.savez(folder / "reference.npz", rows)
        np.savez(folder / "write.npz", rows + np.float32(fault))
        np.save(folder / "rounding.npy", rounding)

    @pytest.mark.parametrize(("fault", "rounding"), [(5e-5, 0.0), (9e-4, 1.9e-4)])
    def test_within_the_tolerance_or_within_the_rounding(self, tmp_path, fault, rounding):
        self.keep(tmp_path, fault, rounding)
        found = compare_rows(tmp_path, "X")
        assert found.difference == pytest.approx(fault, rel=1e-2)
        assert found.rounding == rounding

    @pytest.mark.parametrize(
        ("fault", "rounding", "allowed"),
        [(2e-4, 1e-6, "1.0e-04"), (2e-3, 1.9e-4, "9.5e-04"), (np.nan, 1.0, "5"), (1.0, np.nan, "")],
    )
    def test_beyond_both(self, tmp_path, fault, rounding, allowed):
        self.keep(tmp_path, fault, rounding)
        with pytest.raises(ExportError, match=f"differs from the model by .*; allowed: {allowed}"):
            compare_rows(tmp_path, "X")


class TestLeftovers:
    """Of runs that were killed; never those of one that is at work."""

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="without locks nothing is removed")
    def test_the_next_run_removes_them(self, tmp_path):
        dead = tmp_path / ".kinet-export-abcd1234"
        (dead / "new").mkdir(parents=True)
        mine = tmp_path / ".kinet-export-of-mine"
        mine.mkdir()
        with staging(tmp_path / "m.onnx") as first:
            assert not dead.exists()
            with staging(tmp_path / "m.onnx") as second:
                assert first.is_dir()
                assert second.is_dir()
        assert list(tmp_path.iterdir()) == [mine]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="without locks nothing is removed")
    def test_what_was_moved_away_comes_back(self, tmp_path):
        old = tmp_path / ".kinet-export-abcd1234" / "old" / "m_savedmodel"
        old.mkdir(parents=True)
        (old / "saved_model.pb").write_text("old")
        with staging(tmp_path / "m_savedmodel"):
            assert (tmp_path / "m_savedmodel" / "saved_model.pb").read_text() == "old"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="without locks nothing is removed")
    def test_a_folder_that_another_run_is_about_to_remove_is_left_to_it(
        self, tmp_path, monkeypatch
    ):
        """Between being made and being locked a folder looks like a dead run's."""
        import fcntl

        make, made, theirs = tempfile.mkdtemp, [], []

        def make_while_another_run_clears_up(**of):
            made.append(Path(make(**of)))
            if len(made) == 1:
                theirs.append(os.open(made[0], os.O_RDONLY))
                fcntl.flock(theirs[0], fcntl.LOCK_EX)
            return str(made[-1])

        monkeypatch.setattr(tempfile, "mkdtemp", make_while_another_run_clears_up)
        with staging(tmp_path / "m.onnx") as folder:
            assert folder == made[1]
        os.close(theirs[0])

    def test_runs_that_begin_together_leave_each_other_alone(self, tmp_path):
        def run(number):
            with staging(tmp_path / f"{number}.onnx") as folder:
                (folder / "new" / "file").write_text("x")
                return (folder / "new" / "file").read_text()

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(run, range(400))) == ["x"] * 400
        assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits of the size of files")
def test_a_full_disk_is_told_in_one_line(tmp_path):
    """As far as a limit on the size of files is one: every write beyond it fails."""
    code = f"""
import resource, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import kill_scenarios as world
target, model = Path({str(tmp_path)!r}, "m.onnx"), Path({str(tmp_path)!r}, "m.keras")
world.checkpoint.save(world.Network(world.OLD), model)
target.write_bytes(world.OLD)
world.stub_converter("onnx", bytes(200_000))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for call in (
    lambda: world.export.export(model, "onnx", target, force=True),
    lambda: world.checkpoint.save(world.Network(bytes(200_000)), model),
):
    try:
        call()
    except world.KinetError as error:
        print(error)
assert target.read_bytes() == world.OLD
assert world.weights_in(model) == world.OLD
assert sorted(path.name for path in target.parent.iterdir()) == ["m.keras", "m.onnx"]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert "cannot write to" in first
    assert "File too large; what was there is unchanged" in first
    assert "File too large; the previous file, if any, is unchanged" in second


@needs("savedmodel")
def test_force_never_replaces_another_folder(models, tmp_path):
    (tmp_path / "music.wav").touch()
    with pytest.raises(ExportError, match="is no SavedModel"):
        export(models["fixed"], "savedmodel", tmp_path, force=True)
    assert (tmp_path / "music.wav").exists()


def test_two_files_are_both_replaced_or_neither(tmp_path):
    """An OpenVINO .xml with the .bin of another model would load and be wrong."""
    old, new, aside = (tmp_path / name for name in ("old", "new", "aside"))
    for folder in (old, new, aside):
        folder.mkdir()
    for name in ("m.bin", "m.xml"):
        (old / name).write_text("old")
    (new / "m.bin").write_text("new")
    staged, targets = ([folder / name for name in ("m.bin", "m.xml")] for folder in (new, old))
    with pytest.raises(ExportError, match="what is there is whole"):
        place(staged, targets, aside)
    assert {path.name: path.read_text() for path in old.iterdir()} == dict.fromkeys(
        ("m.bin", "m.xml"), "old"
    )
    (new / "m.xml").write_text("<net>new</net>")
    place(staged, targets, aside)
    assert {path.name: path.read_text() for path in old.iterdir()} == {
        "m.bin": "new",
        "m.xml": "<net>new</net>",
    }


def test_an_unknown_format_names_the_close_one(models):
    with pytest.raises(ExportError, match="unknown format 'onx', did you mean 'onnx'"):
        export(models["fixed"], "onx")


def test_a_missing_or_foreign_model_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no model file"):
        export(tmp_path / "absent.keras", "onnx")
    (tmp_path / "text.keras").write_text("no model")
    with pytest.raises(CheckpointError, match="damaged or not a model file"):
        export(tmp_path / "text.keras", "onnx")


@pytest.fixture
def without(monkeypatch):
    """Hide modules from `find_spec`, and pretend that all others are there."""

    def hide(*hidden):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *_: None if name in hidden else object()
        )

    return hide


class TestMissingLibraries:
    @pytest.mark.parametrize("name", ["savedmodel", "litert"])
    def test_tensorflow_is_asked_for(self, models, without, name):
        without("tensorflow")
        with pytest.raises(ExportError, match=r'not installed: tensorflow; .*"mulkinet\[export\]"'):
            export(models["fixed"], name)

    @pytest.mark.parametrize(
        ("name", "runner"),
        [("onnx", "onnxruntime"), ("litert", "ai_edge_litert"), ("openvino", "openvino")],
    )
    def test_nothing_is_written_that_cannot_be_run(self, models, without, name, runner):
        without(runner)
        with pytest.raises(ExportError, match=f"{runner} is not installed; install it with: pip"):
            export(models["fixed"], name, models["fixed"].parent / "unchecked")

    def test_the_converter_depends_on_what_is_there(self, without):
        without()
        assert choose_converter(FORMATS["onnx"]).backend == "tensorflow"
        without("tf2onnx")
        assert choose_converter(FORMATS["onnx"]).backend == "torch"
        without("tensorflow")
        assert choose_converter(FORMATS["openvino"]).backend == "torch"
        without("tensorflow", "torch")
        with pytest.raises(ExportError, match=r"written with tensorflow \+ onnx .* or torch \+"):
            choose_converter(FORMATS["onnx"])


@pytest.mark.slow
@needs("onnx")
def test_a_process_that_only_writes(models, tmp_path):
    """As where another backend gives the reference: nothing has called the model before."""
    network, description = load_network(models["fixed"])
    target = tmp_path / "x.onnx"
    job = {"model_file": str(models["fixed"]), "target": str(target), "format": "onnx"}
    job |= {"precision": "float32", "plugins": []}
    form = FORMATS["onnx"]
    exporting._run_child(
        choose_converter(form).backend, {**job, "tasks": ["write"]}, tmp_path, form
    )
    with np.load(tmp_path / "write.npz") as arrays:
        rows = [arrays[name] for name in arrays.files]
    for ours, batch in zip(rows, sample_batches(as_embedder(network)), strict=True):
        np.testing.assert_allclose(ours, network.predict_on_batch(batch), atol=1e-4)
    assert read_export_metadata(target) == json.loads(description)


@pytest.mark.slow
@pytest.mark.skipif(
    any(FORMATS["onnx"].converters[1].missing()) or not importlib.util.find_spec("onnxruntime"),
    reason="torch, onnx, onnxscript or onnxruntime is not installed",
)
def test_onnx_without_tensorflow(models, tmp_path, monkeypatch):
    """Dynamic in both axes; how it compares is checked within."""
    form = FORMATS["onnx"]
    only_torch = dataclasses.replace(form, converters=form.converters[1:])
    monkeypatch.setattr(exporting, "choose_converter", lambda _: only_torch.converters[0])
    done = export(models["dynamic"], "onnx", tmp_path / "x.onnx")
    assert done.written_by == "torch"
    assert done.dynamic_axes == ("batch", "T")
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]  # weights are inside
    assert read_export_metadata(done.path)["model"] == CONFIGS["dynamic"].to_dict()
    rows = output_of(done, [hpcp(5, 93), hpcp(1, 241)])
    assert [row.shape for row in rows] == [(5, 16), (1, 16)]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_mixed_precision_becomes_float32(policy):
    keras.config.set_dtype_policy(policy)
    try:
        mixed = build_embedder(CONFIGS["fixed"])
    finally:
        keras.config.set_dtype_policy("float32")
    full = as_float32(mixed)
    assert {layer.compute_dtype for layer in full.layers} == {"float32"}
    assert {weight.dtype for weight in full.weights} == {"float32"}
    assert [layer.name for layer in full.layers] == [layer.name for layer in mixed.layers]
    for ours, theirs in zip(full.weights, mixed.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(ours),
            keras.ops.convert_to_numpy(keras.ops.cast(theirs, "float32")),
        )
    assert as_float32(full) is full


def test_the_sample_has_several_sizes(models):
    fixed, dynamic = (
        sample_batches(as_embedder(load_network(models[name])[0])) for name in ("fixed", "dynamic")
    )
    assert [batch.shape for batch in fixed] == [(8, 110, 12), (1, 110, 12)]
    assert dynamic[2].shape == (2, CONFIGS["dynamic"].minimum_vectors, 12)
    assert all(0 <= batch.min() <= batch.max() <= 1 for batch in dynamic)


def test_metadata_of_something_else(tmp_path):
    for name, content in (("a.onnx", "no"), ("a.xml", "<a/>"), ("b.xml", "no"), ("a.tflite", "no")):
        (tmp_path / name).write_text(content)
        with pytest.raises(ExportError, match=r"expected a \.onnx|cannot be read without"):
            read_export_metadata(tmp_path / name)
    for path in (tmp_path, tmp_path / "absent.onnx", tmp_path / "x.keras"):
        with pytest.raises(ExportError, match=r"expected a \.onnx"):
            read_export_metadata(path)


class TestCommand:
    @ONCE
    @needs(ANY)
    def test_the_newest_model_is_taken_and_force_replaces(
        self, models, exports, tmp_path, monkeypatch, capsys
    ):
        monkeypatch.chdir(tmp_path)
        best = tmp_path / "models" / "a" / "best.keras"
        best.parent.mkdir(parents=True)
        shutil.copyfile(models["fixed"], best)
        target = best.with_name(f"best{FORMATS[ANY].ending}")
        old = exports["dynamic", ANY].path
        (shutil.copytree if old.is_dir() else shutil.copyfile)(old, target)

        assert run(["export", "--model-file", str(best), "--format", ANY]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert read_export_metadata(target)["input"]["dynamic"] == ["batch", "T"]

        assert run(["export", "--format", ANY, "--force", "--json"]) == 0
        out, err = capsys.readouterr()
        said = json.loads(out)
        assert said["path"] == str(target.relative_to(tmp_path))
        assert said["difference"] < 1e-4
        assert "models/a/best.keras" in err
        assert read_export_metadata(target)["input"]["dynamic"] == ["batch"]
        assert sorted(best.parent.iterdir()) == sorted([best, target])

    def test_no_model_and_two_models(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        assert run(["export", "--format", "onnx"]) == 1
        assert run(["export", "a", "--model-file", "b", "--format", "onnx"]) == 2
        assert run(["export", "a", "--format", "onx"]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 3
