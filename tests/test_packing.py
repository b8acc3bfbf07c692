"""Packed files: what goes in comes out, and whatever is not one is refused in a line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kinet.cli import run
from kinet.config import FeatureConfig
from kinet.data.batches import TrainingBatches, first_vectors
from kinet.data.manifest import features_of, require_same_features, write_features
from kinet.data.packing import MAGIC, pack, packed_features, read_tracks
from kinet.data.tracks import FeatureError, present, read_list
from kinet.errors import DataError

LENGTHS = {("s1", "v1"): 3, ("s1", "v2"): 50, ("s2", "v1"): 20}


@pytest.fixture
def folder(tmp_path, rng):
    """Three tracks as files, float32 and float64, and a list of them."""
    (tmp_path / "data").mkdir()
    for number, ((song, version), length) in enumerate(LENGTHS.items()):
        values = rng.random((length, 12)).astype([np.float32, np.float64][number % 2])
        np.save(tmp_path / "data" / f"{song}_{version}.npy", values)
    lines = [f"{song}\t{version}\n" for song, version in LENGTHS]
    (tmp_path / "list").write_text("".join(reversed(lines)))
    return tmp_path


@pytest.fixture
def packed(folder):
    pack(read_list(folder / "list", folder / "data"), FeatureConfig(hop_size=512), folder / "all")
    return folder / "all"


def test_every_track_comes_out_as_it_went_in(folder, packed):
    tracks = read_tracks(folder / "list", packed)
    assert [(t.song_id, t.version_id) for t in tracks] == list(LENGTHS)[::-1]
    for track in tracks:
        file = folder / "data" / f"{track.song_id}_{track.version_id}.npy"
        values = track.load()
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, np.load(file).astype(np.float32))


def test_the_layout_of_the_file_is_the_documented_one(packed):
    data = packed.read_bytes()
    assert data[:8] == b"KINETPK1"
    length = int.from_bytes(data[8:16], "little")
    header = json.loads(data[16 : 16 + length])
    assert header["tracks"] == [["s2", "v1", 20], ["s1", "v2", 50], ["s1", "v1", 3]]
    assert header["features"]["hop_size"] == 512
    start = len(data) - (20 + 50 + 3) * 12 * 4
    assert start % 64 == 0
    assert 0 <= start - 16 - length < 64
    assert not any(data[16 + length : start])


def test_tracks_are_views_of_one_mapped_file_that_cannot_be_written(folder, packed):
    one, two, _ = (track.load() for track in read_tracks(folder / "list", packed))
    assert one.base is two.base
    with pytest.raises(ValueError, match="read-only"):
        one[0] = 0


def test_batches_are_the_same_from_files_and_from_a_packed_file(folder, packed):
    rows = []
    for data in (folder / "data", packed):
        tracks = read_tracks(folder / "list", data)
        batches = TrainingBatches(tracks, 16, 2, None, seed=3)
        loaded = [
            batches.load(epoch, index, members)
            for epoch in range(2)
            for index, members in enumerate(batches.order(epoch))
        ]
        rows.append([np.concatenate(part) for part in zip(*loaded, strict=True)])
        rows[-1].append(first_vectors(tracks, 30))
    for from_files, from_packed in zip(*rows, strict=True):
        np.testing.assert_array_equal(from_files, from_packed)


def test_a_crop_is_cut_from_a_random_place_and_a_short_track_ends_in_zeros(folder, packed):
    tracks = read_tracks(folder / "list", packed)
    batches = TrainingBatches(tracks, 16, 3, None, seed=0)
    hpcp, labels = batches.load(0, 0, np.array([0, 1, 2]))  # sorted: s1 v1, s1 v2, s2 v1
    assert labels.tolist() == [0, 0, 1]
    values = [np.load(folder / "data" / f"{s}_{v}.npy").astype(np.float32) for s, v in LENGTHS]
    np.testing.assert_array_equal(hpcp[0], np.concatenate([values[0], np.zeros((13, 12))]))
    for crop, whole in zip(hpcp[1:], values[1:], strict=True):
        assert any(np.array_equal(crop, whole[i : i + 16]) for i in range(len(whole) - 15))


def test_a_track_that_is_not_in_the_file_counts_as_missing(folder, packed):
    (folder / "longer").write_text("s2 v1\ns3 v1\n")
    there, missing = present(read_tracks(folder / "longer", packed))
    assert [t.song_id for t in there] == ["s2"]
    with pytest.raises(FeatureError, match=r"all/s3_v1\.npy: missing in the packed file"):
        missing[0].load()


def test_a_packed_file_says_how_its_features_were_made(folder, packed):
    assert features_of(packed) == packed_features(packed) == FeatureConfig(hop_size=512)
    with pytest.raises(DataError, match="hop_size is 512 there, needed is 1024"):
        require_same_features(packed, FeatureConfig(), "the model")
    pack(read_list(folder / "list", folder / "data"), None, folder / "unknown")
    assert packed_features(folder / "unknown") is None


def set_track(column, value):
    """Change the first track of the header."""

    def edit(header):
        header["tracks"][0][column] = value
        return header

    return edit


def with_header(data, edit):
    length = int.from_bytes(data[8:16], "little")
    text = json.dumps(edit(json.loads(data[16 : 16 + length]))).encode()
    return MAGIC + len(text).to_bytes(8, "little") + text + data[16 + length :]


BYTES = {
    "cut off": lambda data: data[:-4],
    "longer": lambda data: data + b"1",
    "no header": lambda data: data[:12],
    "cut in the header": lambda data: data[:60],
    "not JSON": lambda data: data[:16] + b"x" + data[17:],
    "huge header": lambda data: MAGIC + b"\xff" * 8 + data[16:],
}
HEADERS = {
    "no tracks": lambda header: {"features": None},
    "no list": lambda header: [],
    "no T": set_track(2, "20"),
    "T of 0": set_track(2, 0),
    "T of true": set_track(2, True),
    "id with a slash": set_track(0, "../s"),
    "id is a number": set_track(1, 7),
    "unknown setting": lambda header: {**header, "features": {"hops": 1}},
}


def damage(data, how):
    return BYTES[how](data) if how in BYTES else with_header(data, HEADERS[how])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut off", "bytes, expected"),
        ("longer", "bytes, expected"),
        ("no header", "damaged header"),
        ("cut in the header", "damaged header"),
        ("not JSON", "damaged header"),
        ("huge header", "damaged header"),
        ("no tracks", "KeyError"),
        ("no list", "TypeError"),
        ("no T", "T is '20'"),
        ("T of 0", "T is 0"),
        ("T of true", "T is True"),
        ("id is a number", "7 is no id"),
        ("id with a slash", "do not name a file"),
        ("unknown setting", "hops"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(folder, packed, how, message):
    packed.write_bytes(damage(packed.read_bytes(), how))
    with pytest.raises(DataError, match=message) as refused:
        read_tracks(folder / "list", packed)
    assert str(packed) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_another_file_is_refused(folder):
    with pytest.raises(DataError, match="list: not a packed file; need a file that kinet pack"):
        read_tracks(folder / "list", folder / "list")


def test_values_that_are_not_finite_are_refused_and_nothing_is_written(folder):
    np.save(folder / "data" / "s2_v1.npy", np.full((20, 12), np.nan))
    with pytest.raises(FeatureError, match="240 of 240 values are NaN"):
        pack(read_list(folder / "list", folder / "data"), None, folder / "all")
    assert not (folder / "all").exists()


def test_a_file_that_changes_meanwhile_is_refused(folder):
    tracks = read_list(folder / "list", folder / "data")

    def change(done, total):
        np.save(tracks[-1].path, np.ones((7, 12)))

    with pytest.raises(FeatureError, match="has 7 vectors, a moment ago 3; need files at rest"):
        pack(tracks, None, folder / "all", change)


def test_progress_counts_tracks(folder):
    told = []
    tracks = read_list(folder / "list", folder / "data")
    pack(tracks, None, folder / "all", lambda *counts: told.append(counts))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_the_command_packs_several_lists_each_track_once(folder, capsys):
    write_features(folder / "data", FeatureConfig())
    (folder / "second").write_text("s1 v1\n")
    arguments = ["pack", *(str(folder / name) for name in ("list", "second"))]
    arguments += ["--data-dir", str(folder / "data"), "--out", str(folder / "all")]
    assert run(arguments) == 0
    assert f"3 tracks, 0.0 MiB, fingerprint of features {FeatureConfig().fingerprint()}" in (
        " ".join(capsys.readouterr().err.split())
    )
    assert len(read_tracks(folder / "list", folder / "all")) == 3
    assert run(arguments) == 1
    assert "is there already; --force replaces it" in capsys.readouterr().err
    assert run([*arguments, "--force"]) == 0
    arguments[arguments.index("--data-dir") + 1] = str(folder / "all")
    assert run([*arguments, "--force"]) == 1
    assert "is a file; need a folder of features" in capsys.readouterr().err


def test_the_command_refuses_a_list_with_missing_files(folder, capsys):
    (folder / "list").write_text("s1 v1\ns9 v9\n")
    arguments = ["pack", str(folder / "list"), "--data-dir", str(folder / "data")]
    assert run([*arguments, "--out", str(folder / "all")]) == 1
    assert "1 of 2 feature files" in capsys.readouterr().err


def test_training_and_evaluation_take_a_packed_file_in_place_of_a_folder(
    tmp_path, rng, monkeypatch, capsys
):
    (tmp_path / "data").mkdir()
    write_features(tmp_path / "data", FeatureConfig())
    lines = []
    for song in range(2):
        melody = rng.random((120, 12)).astype(np.float32)
        for version in range(2):
            np.save(tmp_path / "data" / f"{song}_{version}.npy", np.roll(melody, version, axis=1))
            lines.append(f"{song} {version}\n")
    (tmp_path / "list").write_text("".join(lines))
    monkeypatch.chdir(tmp_path)
    assert run(["pack", "list", "--data-dir", "data", "--out", "all.pack"]) == 0
    small = "-S 1 --block simple --attention none --channels 4 --time-field 12 --epochs 1"
    small += (
        " --vectors 100 --batch-size 4 --train-list list --validation-list list --embedding-size 4"
    )
    assert run(["train", *small.split(), "--data-dir", "all.pack", "--tag", "a"]) == 0
    maps = []
    for data in ("data", "all.pack"):
        capsys.readouterr()
        assert run(["eval", "--test-list", "list", "--data-dir", data, "--json"]) == 0
        maps.append(json.loads(capsys.readouterr().out)["map"])
    assert maps[0] == maps[1]
