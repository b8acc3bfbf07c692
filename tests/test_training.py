"""`kinet train` and `kinet eval` on files: results, resuming, and every refusal."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from quick import ONCE, ONE_OF_MANY

import kinet
from kinet.backend import on_cpu
from kinet.checkpoint import load_model, read_metadata
from kinet.cli import run
from kinet.config import TrainConfig
from kinet.data.batches import TrainingBatches, first_vectors
from kinet.data.tracks import Track, read_tracks
from kinet.errors import CheckpointError, DataError
from kinet.training.keeping import is_finished

SMALL = [
    *("--block", "wider", "-S", "3", "--channels", "8", "--embedding-size", "8"),
    *("--vectors", "110", "--time-field", "12", "--batch-size", "8", "--epochs", "3"),
    *("--attention", "channel,temporal", "--loss", "softmax"),
]
# Song ids with a gap, versions of a song not next to each other.
SONGS = ("7", "2", "40", "11")
VALIDATION = ("100", "3")


def write_layout(root: Path) -> Path:
    """The documented layout with a few songs: each a melody, in random keys."""
    rng = np.random.default_rng(1)
    data = root / "data" / "youtube_hpcp_npy"
    data.mkdir(parents=True)
    (root / "meta").mkdir()
    for name, songs in (("TRAIN", SONGS), ("VAL", VALIDATION), ("TEST", (*VALIDATION, "55"))):
        lines = [f"{song}\t{v}" for v in range(3) for song in songs]
        if name == "TEST":
            lines = [line for line in lines if line not in ("55\t1", "55\t2")]
        (root / "meta" / f"SHS100K-{name}").write_text("\n".join(lines) + "\n")
    for song in (*SONGS, *VALIDATION, "55"):
        melody = rng.random((140, 12)) ** 4
        for version in range(3):
            hpcp = np.roll(melody, rng.integers(12), axis=1)[: int(rng.integers(90, 140))]
            np.save(data / f"{song}_{version}.npy", hpcp.astype(np.float32))
    return root


@pytest.fixture
def layout(tmp_path, monkeypatch):
    monkeypatch.chdir(write_layout(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in the documented layout, with a finished run of the tag ``whole``."""
    root = write_layout(tmp_path_factory.mktemp("trained"))
    before = Path.cwd()
    os.chdir(root)
    try:
        assert run(["train", *SMALL, "--tag", "whole"]) == 0
    finally:
        os.chdir(before)
    return root


def weights_and_state(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a model file: weights, and the state of the optimizer."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        content = archive.read("model.weights.h5")
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(
            lambda name, item: arrays.update({name: item[()]} if hasattr(item, "shape") else {})
        )
    assert any(name.startswith("optimizer/") for name in arrays)
    return arrays


def assert_same_run(one: Path, other: Path) -> None:
    left, right = weights_and_state(one), weights_and_state(other)
    assert left.keys() == right.keys()
    for name, values in left.items():
        np.testing.assert_array_equal(values, right[name], err_msg=name)


@ONCE
def test_the_number_of_workers_does_not_change_the_weights(trained, layout):
    assert run(["train", *SMALL, "--tag", "threads", "--workers", "3"]) == 0
    assert_same_run(trained / "models/whole/last.keras", layout / "models/threads/last.keras")


def test_a_run_leaves_best_last_settings_and_logs(trained):
    models, logs = trained / "models" / "whole", trained / "log" / "whole"
    assert sorted(p.name for p in models.iterdir()) == ["best.keras", "last.keras", "settings.json"]
    assert json.loads((models / "settings.json").read_text())["model"]["stages"] == 3
    rows = list(csv.DictReader((logs / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    # lr * 0.5 * (1 + cos(pi * epoch / 3)): 1, 3/4 and 1/4 of it.
    rates = [float(row["learning_rate"]) for row in rows]
    np.testing.assert_allclose(rates, [1e-3, 0.75e-3, 0.25e-3])
    assert len(list(logs.glob("events.out.tfevents.*"))) == 1


def test_the_best_epoch_is_kept(trained):
    history = read_metadata(trained / "models/whole/last.keras").history
    kept = read_metadata(trained / "models/whole/best.keras").history
    scores = [record["map"] for record in history]
    assert kept[-1]["map"] == max(scores)
    assert len(kept) == scores.index(max(scores)) + 1


def test_the_model_file_knows_settings_features_songs_and_plugins(trained):
    metadata = read_metadata(trained / "models/whole/best.keras")
    assert metadata.songs == ("11", "2", "40", "7")
    assert metadata.model.block == "wider"
    assert {use.name for use in metadata.plugins} == {"wider", "channel", "temporal", "softmax"}
    assert all(use.distribution == "mulkinet" for use in metadata.plugins)
    assert metadata.to_dict()["fingerprint"] == metadata.features.fingerprint()


def test_load_gives_an_embedder_of_unit_rows(trained, rng):
    model = kinet.load(trained / "models/whole/best.keras")
    rows = kinet.embed(model, [rng.random((200, 12)), rng.random((30, 12))])
    assert rows.shape == (2, 8)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_killed_while_it_works_a_run_resumes_to_the_same_weights(trained, layout):
    command = [sys.executable, "-m", "kinet.cli", "train", *SMALL, "--tag", "killed"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    last = layout / "models/killed/last.keras"
    for _ in range(30000):  # a busy machine takes minutes to start
        if last.exists() or process.poll() is not None:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(read_metadata(last).history)
    assert run(["train", "--resume", "--tag", "killed"]) == 0
    assert 1 <= done <= 3
    assert_same_run(last, trained / "models/whole/last.keras")


@ONCE
def test_killed_while_it_saves_the_old_checkpoint_stays_and_the_run_resumes(trained, layout):
    # It dies in the middle of writing the second epoch's checkpoint. All other moments of a writer
    # have their turn in test_killed.
    script = """
import os, sys
import kinet.checkpoint
from kinet.cli import run
write = kinet.checkpoint.write_atomically
saved = []
def dying_write(path, content):
    def half(file):
        content(file)
        if saved:
            file.flush(); file.truncate(file.tell() // 2); os.kill(os.getpid(), 9)
    write(path, half)
    if path.name == "last.keras": saved.append(path)
kinet.checkpoint.write_atomically = dying_write
run(sys.argv[1:])
"""
    last = layout / "models/killed/last.keras"
    done = subprocess.run(
        [sys.executable, "-c", script, "train", *SMALL, "--tag", "killed"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(read_metadata(last).history) == 1
    assert run(["train", "--resume", "--tag", "killed"]) == 0
    assert_same_run(last, trained / "models/whole/last.keras")


def test_order_of_the_list_does_not_matter(layout):
    tracks = read_tracks("meta/SHS100K-TRAIN", "data/youtube_hpcp_npy")
    for versions in (None, 2):
        one = TrainingBatches(tracks, 110, 4, versions, seed=3)
        other = TrainingBatches(tracks[::-1], 110, 4, versions, seed=3)
        np.testing.assert_array_equal(one.order(2), other.order(2))
        for left, right in zip(
            one.load(2, 0, one.order(2)[0]), other.load(2, 0, other.order(2)[0]), strict=True
        ):
            np.testing.assert_array_equal(left, right)


def test_every_track_is_in_an_epoch_and_all_batches_have_one_shape(layout):
    tracks = read_tracks("meta/SHS100K-TRAIN", "data/youtube_hpcp_npy")
    for versions in (None, 2, 4):
        batches = TrainingBatches(tracks, 110, 5, versions, seed=0)
        order = batches.order(0)
        assert set(order.ravel()) == set(range(len(tracks)))
        assert not np.array_equal(order, batches.order(1))


def test_batches_hold_the_versions_of_songs(layout):
    tracks = read_tracks("meta/SHS100K-TRAIN", "data/youtube_hpcp_npy")
    batches = TrainingBatches(tracks, 110, 6, 3, seed=0)
    for members in batches.order(0):
        songs, counts = np.unique(batches.labels[members], return_counts=True)
        assert list(counts) == [3, 3], songs


def test_songs_of_one_version_are_left_out_and_counted(tmp_path):
    ids = (("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("c", "1"))
    tracks = [Track(song, version, tmp_path / "x") for song, version in ids]
    batches = TrainingBatches(tracks, 110, 4, 2, seed=0)
    assert batches.left_out == 1
    with pytest.raises(DataError, match="of them with two versions; this loss compares versions"):
        TrainingBatches(tracks[1:], 110, 4, 2, seed=0)


def test_a_short_track_is_padded_with_zeros_at_the_end(tmp_path):
    np.save(tmp_path / "a_1.npy", np.ones((90, 12), np.float32))
    batches = TrainingBatches([Track("a", "1", tmp_path / "a_1.npy")], 110, 1, None, seed=0)
    hpcp, _ = batches.load(0, 0, np.array([0]))
    assert (hpcp[0, :90] == 1).all()
    assert (hpcp[0, 90:] == 0).all()


def test_patience_ends_a_run():
    scores = [{"map": value} for value in (0.1, 0.5, 0.4, 0.45)]
    assert is_finished(scores, TrainConfig(patience=2))
    assert not is_finished(scores[:3], TrainConfig(patience=2))
    assert not is_finished(scores, TrainConfig(patience=3))
    assert is_finished(scores, TrainConfig(epochs=4))


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(
            ["--loss", "triplet", "--loss-option", "margin=0.2", "--no-tempatt"], marks=ONE_OF_MANY
        ),
        ["--loss", "supcon", "--attention", "channel,local", "--pitch-axis", "circular"],
        ["--precision", "mixed_bfloat16", "--no-chnlatt", "--workers", "2"],
        pytest.param(["--precision", "mixed_float16", "--no-tempatt"], marks=ONE_OF_MANY),
    ],
)
def test_other_losses_attentions_and_precisions_train(layout, more):
    assert run(["train", *SMALL, "--epochs", "1", "--tag", "other", *more]) == 0
    assert keras.config.dtype_policy().name == "float32"
    state = weights_and_state(Path("models/other/last.keras"))
    assert all(values.dtype.kind in "fiu" for values in state.values())
    history = read_metadata(layout / "models/other/last.keras").history
    assert np.isfinite(history[0]["loss"])
    assert run(["eval", "--model-file", "models/other/best.keras"]) == 0


def test_training_can_start_from_a_model(trained, layout):
    best = str(trained / "models/whole/best.keras")
    assert run(["train", *SMALL, "--epochs", "1", "--tag", "more", "--init", best]) == 0


def test_moving_averages_follow_the_weights_of_a_short_list(layout):
    # The weights stay as they were drawn, so the averages must become those of the tracks.
    options = [*SMALL, "--batch-size", "2", "--learning-rate", "1e-12", "--tag", "averages"]
    assert run(["train", *options]) == 0
    model = load_model(layout / "models/averages/last.keras")[0]
    first = model.get_layer("stage0_kernel_conv")
    tracks = read_tracks("meta/SHS100K-TRAIN", "data/youtube_hpcp_npy")
    values = keras.Model(model.inputs, first.output).predict(first_vectors(tracks, 110), verbose=0)
    norm = model.get_layer("stage0_kernel_bn")
    mean, variance = (
        keras.ops.convert_to_numpy(v) for v in (norm.moving_mean, norm.moving_variance)
    )
    np.testing.assert_allclose(variance, values.var(axis=(0, 1, 2)), rtol=0.3)
    np.testing.assert_allclose(mean, values.mean(axis=(0, 1, 2)), atol=0.3 * values.std())


def test_a_model_of_another_shape_cannot_be_started_from(trained, layout, capsys):
    best = str(trained / "models/whole/best.keras")
    options = [*SMALL, "--channels", "4", "--tag", "more", "--init", best]
    assert run(["train", *options]) == 1
    assert "the checkpoint does not fit: layer 'stage0_kernel_conv'" in capsys.readouterr().err


def test_eval_reports_metrics_counts_and_per_query(trained, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(trained)
    table = tmp_path / "queries.csv"
    assert run(["eval", "--json", "--per-query", str(table)]) == 0
    output = capsys.readouterr()
    assert "model: models/whole/best.keras" in output.err
    report = json.loads(output.out)
    assert (report["tracks"], report["songs"]) == (7, 3)
    assert (report["queries"], report["queries_left_out"], report["missing"]) == (6, 1, 0)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    precision = [float(row["average_precision"]) for row in rows]
    assert len(rows) == 6
    assert "55" not in {row["song_id"] for row in rows}
    assert report["map"] == pytest.approx(sum(precision) / 6)
    low, high = report["map_interval"]
    assert low <= report["map"] <= high


def test_eval_table_for_people(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    assert run(["eval"]) == 0
    output = capsys.readouterr()
    assert all(name in output.out for name in ("mAP", "P@10", "MR1", "hit@1", "95 % interval"))
    assert "7 tracks, 3 songs, 6 queries, 1 left out" in output.err


def test_missing_features_are_an_error_unless_allowed(trained, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(trained)
    listed = tmp_path / "list"
    listed.write_text(Path("meta/SHS100K-TEST").read_text() + "9 9\n")
    assert run(["eval", "--test-list", str(listed)]) == 1
    assert "1 of 8 feature files" in capsys.readouterr().err
    assert run(["eval", "--test-list", str(listed), "--allow-missing"]) == 0
    assert "1 of 8 listed files missing" in capsys.readouterr().err


def test_eval_checks_the_stages_it_is_told(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    assert run(["eval", "--ki-block-num", "12"]) == 1
    assert "-S 12 was given" in capsys.readouterr().err


def test_eval_with_another_length_is_refused_where_attention_ties_it(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    assert run(["eval", "--vectors", "200"]) == 1
    assert "ties this model to T = 110" in capsys.readouterr().err


def test_embed_writes_rows_with_ids(trained, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(trained)
    out = tmp_path / "rows.npz"
    assert run(["embed", "meta/SHS100K-TEST", "--out", str(out)]) == 0
    with np.load(out) as arrays:
        assert arrays["embeddings"].shape == (7, 8)
        assert list(arrays["song_id"]).count("55") == 1
    assert run(["embed", "meta/SHS100K-TEST", "--out", str(out)]) == 1
    assert "is there already" in capsys.readouterr().err


def refuse(capsys, *arguments):
    """Run a command that must fail with one line and no traceback; give that line."""
    code = run(list(arguments))
    lines = capsys.readouterr().err.strip().splitlines()
    assert code in (1, 2)
    # Before it, train tells its lists, and what it thinks of them.
    assert [line for line in lines if line.startswith(("kinet", "Traceback"))] == lines[-1:]
    return lines[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--block", "widr"], "unknown block 'widr', did you mean 'wider'?"),
        (["--attention", "chanel"], "unknown attention 'chanel', did you mean 'channel'?"),
        (["--attention", "channel,channel"], "allowed: each module once"),
        (["--loss", "tripplet"], "did you mean 'triplet'?"),
        (["--loss-option", "margn=1"], "unknown option of the loss softmax 'margn'"),
        (["--loss-option", "margin"], "NAME=NUMBER"),
        (["-S", "5"], "number of stages S is 5; allowed: the divisors of 12"),
        (["--vectors", "60"], "feature length T is 60; allowed: at least 99"),
        (["--time-field", "13"], "a multiple of the number of stages"),
        (["--learning-rate", "0"], "learning rate is 0.0; allowed: a finite number above 0"),
        (["--epochs", "0"], "number of epochs is 0"),
        (["--batch-size", "0"], "batch size is 0"),
        (["--dropout", "1"], "dropout is 1.0"),
        (["--l2", "-1"], "L2 penalty is -1.0"),
        (["--seed", "-1"], "seed is -1"),
        (["--patience", "0"], "patience is 0"),
        (["--versions-per-song", "1"], "versions per song is 1"),
        (["--tag", "a/b"], "tag is 'a/b'; allowed: a name without '/'"),
        (["--train-list", "nowhere"], "nowhere: missing"),
        (["--blok", "wider"], "No such option"),
        (["--gpu", "first"], "--gpu is 'first'; allowed: none, a number"),
        (["--gpu", "0,0"], "every number once"),
        (["--init", "nowhere.keras"], "no model file nowhere.keras"),
        (["--resume", "--tag", "nowhere"], "there is no run to resume"),
    ],
)
def test_refusals_of_train(layout, capsys, monkeypatch, options, message):
    # --gpu writes these before it is refused or not.
    for name in ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    assert message in refuse(capsys, "train", *SMALL, "--tag", "refused", *options)
    assert not (layout / "models/refused/last.keras").exists()


def test_a_gpu_that_is_not_there(layout, capsys, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    if not on_cpu():
        pytest.skip("there is a GPU")
    assert "sees 0 of 1; use --gpu none" in refuse(capsys, "train", *SMALL, "--gpu", "7")


def test_without_the_layout_train_says_how_to_get_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = refuse(capsys, "train", "--block", "wider", "-S", "12")
    assert "no list meta/SHS100K-TRAIN here; the default layout is" in said
    assert "kinet quickstart" in said
    assert "meta/SHS100K-TEST" in refuse(capsys, "eval")


def test_a_run_is_not_overwritten(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    assert "go on with --resume" in refuse(capsys, "train", *SMALL, "--tag", "whole")


def test_resuming_with_other_settings_is_refused(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    said = refuse(capsys, "train", "--resume", "--tag", "whole", "--learning-rate", "0.5")
    assert "--learning-rate 0.5 contradicts 0.001" in said


def test_resuming_with_other_songs_is_refused(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    Path("meta/other").write_text("100 0\n100 1\n3 0\n3 1\n")
    said = refuse(capsys, "train", "--resume", "--tag", "whole", "--train-list", "meta/other")
    assert "resume with the list that the run began with" in said


@ONCE
def test_a_run_killed_in_its_first_epoch_begins_again(trained, layout):
    settings = (trained / "models/whole/settings.json").read_text()
    (layout / "models/early").mkdir(parents=True)
    (layout / "models/early/settings.json").write_text(settings)
    assert run(["train", "--resume", "--tag", "early"]) == 0
    assert_same_run(layout / "models/early/last.keras", trained / "models/whole/last.keras")


def test_eval_without_a_run(layout, capsys):
    assert "train one with kinet train" in refuse(capsys, "eval")


def test_nan_in_the_features(layout, capsys):
    path = layout / "data/youtube_hpcp_npy/7_0.npy"
    hpcp = np.load(path)
    hpcp[:] = np.nan
    np.save(path, hpcp)
    said = refuse(capsys, "train", *SMALL, "--tag", "nan").splitlines()[-1]
    assert "7_0.npy" in said
    assert "NaN" in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.ones((12, 200), np.float32), "transposed, expected (T, 12)"),
        (np.ones((200, 24), np.float32), "expected (T, 12)"),
        (np.array([{"a": 1}], object), "contains pickled objects, which are never loaded"),
    ],
)
def test_wrong_feature_files(layout, capsys, content, message):
    np.save(layout / "data/youtube_hpcp_npy/7_0.npy", content, allow_pickle=True)
    assert message in refuse(capsys, "train", *SMALL)


def test_validation_needs_two_versions_of_a_song(layout, capsys):
    Path("meta/one").write_text("100 0\n3 0\n")
    said = refuse(capsys, "train", *SMALL, "--validation-list", "meta/one", "--tag", "one")
    assert "no song of two versions" in said


def test_empty_and_malformed_lists(layout, capsys):
    Path("meta/bad").write_text("7 0\n7\n")
    assert "meta/bad:2:" in refuse(capsys, "train", *SMALL, "--train-list", "meta/bad")
    Path("meta/bad").write_text("\n")
    assert "no tracks" in refuse(capsys, "train", *SMALL, "--train-list", "meta/bad")


def test_a_folder_that_cannot_be_written(layout, capsys):
    Path("models").write_text("in the way")
    said = refuse(capsys, "train", *SMALL)
    assert "models" in said


def test_a_full_disk_leaves_the_old_checkpoint(trained, tmp_path, monkeypatch):
    import kinet.files
    from kinet.checkpoint import save

    model = load_model(trained / "models/whole/best.keras")[0]
    target = tmp_path / "model.keras"
    target.write_bytes(b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kinet.files.os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"cannot write .*No space left on device.*unchanged"):
        save(model, target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


# What a model file may say of itself, or not.
CHANGES = {
    "later": lambda config: config["config"]["metadata"].update(format=99),
    "foreign": lambda config: config.update(registered_name="Functional"),
    "mute": lambda config: config["config"].update(metadata=None),
    "incomplete": lambda config: config["config"]["metadata"].pop("features"),
}


def damaged(kind: str, source: Path, target: Path) -> None:
    content = source.read_bytes()
    if kind == "truncated":
        target.write_bytes(content[: len(content) // 2])
    elif kind == "text":
        target.write_text("not a model")
    elif kind == "flipped":
        middle = len(content) // 2
        flipped = bytes(255 - byte for byte in content[middle : middle + 64])
        target.write_bytes(content[:middle] + flipped + content[middle + 64 :])
    else:
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
            for name in old.namelist():
                text = old.read(name)
                if name == "config.json":
                    config = json.loads(text)
                    CHANGES.get(kind, dict)(config)
                    text = json.dumps(config).encode()
                if kind != "bare" or name != "config.json":
                    new.writestr(name, text)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("truncated", "is damaged or not a model file"),
        ("text", "is damaged or not a model file"),
        ("flipped", "cannot be loaded|is damaged"),
        ("bare", "has no config.json: expected a .keras file that kinet wrote"),
        ("foreign", "holds a Functional that does not say what it is; expected a network of kinet"),
        ("mute", "holds a kinet>Network that does not say what it is"),
        ("incomplete", ": unreadable in what it says of itself .KeyError: 'features'."),
        ("later", "in format 99; this kinet .* reads up to format 1: upgrade it"),
    ],
)
def test_damaged_and_foreign_model_files(trained, tmp_path, kind, message):
    target = tmp_path / "model.keras"
    damaged(kind, trained / "models/whole/best.keras", target)
    with pytest.raises(CheckpointError, match=message):
        kinet.load(target)


def test_one_flipped_bit_of_a_weight_is_told(tmp_path, rng):
    """HDF5 does not notice it, nor does Keras: a weight is another number."""
    model = kinet.build("simple", 1, channels=4, attention=(), embedding_size=4)
    for weight in model.weights:
        weight.assign(rng.random(weight.shape))
    target = tmp_path / "model.keras"
    kinet.save(model, target)
    content = bytearray(target.read_bytes())
    weight = max((np.asarray(weight) for weight in model.weights), key=np.size)
    place = content.find(weight.tobytes()[:64])
    assert place > 0
    content[place] ^= 1
    target.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.h5 is damaged"):
        kinet.load(target)


def test_debug_shows_the_traceback(layout):
    with pytest.raises(CheckpointError):
        run(["eval", "--debug", "--model-file", "nowhere.keras"])
