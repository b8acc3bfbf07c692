"""Packed files: what goes in comes out, and whatever is not one is refused in a line."""

from __future__ import annotations

import json
import os
import zlib

import numpy as np
import pytest
import safetensors.numpy

from kinet.cli import run
from kinet.config import FeatureConfig
from kinet.data.batches import TrainingBatches, first_vectors
from kinet.data.feature_files import FeatureError, feature_path
from kinet.data.packing import LARGEST_HEADER, PackedFile, pack
from kinet.data.settings_file import features_of, require_same_features, write_features
from kinet.data.tracks import present, read_tracks
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
    pack(files(folder), FeatureConfig(hop_size=512), folder / "all")
    return folder / "all"


def files(folder):
    """What `pack` takes, in the order of the list."""
    tracks = read_tracks(folder / "list", folder / "data")
    return {(track.song_id, track.version_id): track.path for track in tracks}


def test_every_track_comes_out_as_it_went_in(folder, packed):
    tracks = read_tracks(folder / "list", packed)
    assert [(t.song_id, t.version_id) for t in tracks] == list(LENGTHS)[::-1]
    for track in tracks:
        file = folder / "data" / f"{track.song_id}_{track.version_id}.npy"
        values = track.load()
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, np.load(file).astype(np.float32))


def test_any_reader_of_safetensors_reads_it(folder, packed):
    tensors = safetensors.numpy.load_file(packed)
    assert set(tensors) == {"s1/v1", "s1/v2", "s2/v1"}
    for (song, version), path in files(folder).items():
        np.testing.assert_array_equal(
            tensors[f"{song}/{version}"], np.load(path).astype(np.float32), strict=True
        )
    with safetensors.safe_open(packed, "np") as opened:
        metadata = opened.metadata()
    assert metadata["kinet"] == "packed 1"
    assert json.loads(metadata["features"]) == {
        "fingerprint": FeatureConfig(hop_size=512).fingerprint(),
        "features": FeatureConfig(hop_size=512).to_dict(),
    }
    # In the order of the values, which is that of the list.
    sums = [zlib.crc32(tensors[name].tobytes()) for name in ("s2/v1", "s1/v2", "s1/v1")]
    assert metadata["checksums"] == " ".join(f"{number:08x}" for number in sums)


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
    with pytest.raises(FeatureError, match=r"all/s3_v1\.npy: missing in this file"):
        missing[0].load()


def test_a_packed_file_says_how_its_features_were_made(folder, packed):
    assert features_of(packed) == PackedFile(packed).features == FeatureConfig(hop_size=512)
    with pytest.raises(DataError, match="hop_size is 512 there, needed is 1024"):
        require_same_features(packed, FeatureConfig(), "the model")
    pack(files(folder), None, folder / "unknown")
    assert PackedFile(folder / "unknown").features is None


def header_of(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(data, edit):
    header, values = header_of(data)
    edit(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + values


def renamed(old, new):
    def edit(header):
        header[new] = header.pop(old)

    return edit


def metadata(**changes):
    """Change entries; None takes one away."""

    def edit(header):
        for key, value in changes.items():
            header["__metadata__"].pop(key)
            if value is not None:
                header["__metadata__"][key] = value

    return edit


def tensor(**changes):
    return lambda header: header["s2/v1"].update(changes)


BYTES = {
    "cut off": lambda data: data[:-4],
    "longer": lambda data: data + b"1234",
    "empty": lambda data: b"",
    "no header": lambda data: data[:8],
    "cut in the header": lambda data: data[:60],
    "not JSON": lambda data: data[:9] + b"x" + data[10:],
    "text": lambda data: b"s1 v1\ns1 v2\n",
    "header of 2**64 bytes": lambda data: b"\xff" * 8 + data[8:],
    "header longer than the file": lambda data: len(data).to_bytes(8, "little") + data[8:],
}
HEADERS = {
    "of something else": metadata(kinet=None),
    "no checksums": metadata(checksums=None),
    "a checksum less": metadata(checksums="00000000 00000000"),
    "no number": metadata(checksums="00000000 0000000g 00000000"),
    "other checksums": metadata(checksums="00000000 00000000 00000000"),
    "other features": metadata(features=json.dumps(FeatureConfig().described())),
    "unknown features": metadata(features=None),
    "deep features": metadata(features="[" * 100_000),
    "unknown setting": metadata(features='{"features": {"hops": 1}, "fingerprint": ""}'),
    "T of 0": tensor(shape=[0, 12], data_offsets=[0, 0]),
    "13 columns": tensor(shape=[20, 13]),
    "another type": tensor(dtype="I32"),
    "an overlap": tensor(data_offsets=[0, 480], shape=[10, 12]),
    "a huge shape": tensor(shape=[2**62, 12]),
    "id with a slash": renamed("s2/v1", "../s2/v1"),
    "one id": renamed("s2/v1", "s2"),
    "another id": renamed("s2/v1", "s2/v2"),
}


def damage(data, how):
    return BYTES[how](data) if how in BYTES else with_header(data, HEADERS[how])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut off", "damaged header"),
        ("longer", "damaged header"),
        ("empty", "not a packed file"),
        ("no header", "not a packed file"),
        ("cut in the header", "not a packed file"),
        ("not JSON", "damaged header"),
        ("text", "not a packed file"),
        ("header of 2**64 bytes", "not a packed file"),
        ("header longer than the file", "not a packed file"),
        ("of something else", "safetensors of something else"),
        ("no checksums", "KeyError: 'checksums'"),
        ("a checksum less", "the digest is another"),
        ("no number", "invalid literal"),
        ("other checksums", "the digest is another"),
        ("other features", "the digest is another"),
        ("unknown features", "the digest is another"),
        ("deep features", "RecursionError"),
        ("unknown setting", "unknown setting 'hops'"),
        ("T of 0", "damaged header"),
        ("13 columns", "damaged header"),
        ("another type", "'s2/v1' is I32"),
        ("an overlap", "damaged header"),
        ("a huge shape", "damaged header"),
        ("id with a slash", "damaged header"),
        ("one id", "damaged header"),
        ("another id", "the digest is another"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(folder, packed, how, message):
    packed.write_bytes(damage(packed.read_bytes(), how))
    with pytest.raises(DataError, match=message) as refused:
        read_tracks(folder / "list", packed)
    assert str(packed) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_flipped_bit_of_the_header_is_told_when_the_file_is_opened(packed, rng):
    data = packed.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    for position in range(end):
        changed = bytearray(data)
        changed[position] ^= 1 << int(rng.integers(8))
        packed.write_bytes(changed)
        with pytest.raises(DataError):
            PackedFile(packed)


def test_a_flipped_bit_of_the_values_is_told_before_one_is_used(folder, packed):
    data = bytearray(packed.read_bytes())
    data[-1] ^= 1  # of the last track of the list, s1 v1
    packed.write_bytes(data)
    tracks = read_tracks(folder / "list", packed)  # opening reads no values
    assert len(present(tracks)[0]) == 3
    assert len(tracks[0].load()) == 20
    message = r"all/s1_v1\.npy: the values are not those that were packed \(another CRC-32\)"
    for use in (tracks[2].load, tracks[2].read, lambda: first_vectors(tracks, 5)):
        with pytest.raises(FeatureError, match=message):
            use()
    batches = TrainingBatches(tracks, 16, 3, None, seed=0)
    with pytest.raises(FeatureError, match=message):
        batches.load(0, 0, np.array([0, 1, 2]))


def test_values_are_compared_with_their_checksum_once(folder, packed, monkeypatch):
    tracks = read_tracks(folder / "list", packed)
    sums = []
    counted = zlib.crc32
    monkeypatch.setattr(zlib, "crc32", lambda values: sums.append(1) or counted(values))
    for _ in range(3):
        for track in tracks:
            track.load()
    assert len(sums) == 3


def test_check_looks_at_all_of_a_packed_file(folder, packed, capsys):
    assert run(["check", str(folder / "list"), "--data-dir", str(packed)]) == 1
    assert "3 tracks of 2 songs: 1 errors, 0 warnings" in capsys.readouterr().out  # one version
    data = bytearray(packed.read_bytes())
    data[-1] ^= 1
    packed.write_bytes(data)
    for listed in ("s1 v1\ns1 v2\n", "s1 v2\ns1 v3\n"):  # s1 v1 is there, listed or not
        (folder / "list").write_text(listed)
        assert run(["check", str(folder / "list"), "--data-dir", str(packed), "--json"]) == 1
        problems = json.loads(capsys.readouterr().out)["problems"]
        [damaged] = [problem for problem in problems if problem["kind"] == "damaged"]
        assert damaged["subject"] == "s1 v1"
        assert damaged["message"].startswith("s1_v1.npy: the values are not those that")


def test_a_header_costs_what_it_may_at_most(folder, packed):
    """A file can claim a header as long as itself, with a terabyte of nothing in it."""
    with packed.open("wb") as file:
        file.write((2**40).to_bytes(8, "little") + b"{")
        file.truncate(2**41)
    with pytest.raises(DataError, match="not a packed file"):
        PackedFile(packed)


def test_more_tracks_than_a_header_may_name_are_refused_before_writing(folder, monkeypatch):
    monkeypatch.setattr("kinet.data.packing.LARGEST_HEADER", 100)
    with pytest.raises(DataError, match=r"3 tracks need a header of \d+ bytes; allowed: 100; pack"):
        pack(files(folder), None, folder / "all")
    assert not (folder / "all").exists()
    assert LARGEST_HEADER >= 100_000 * 130  # bytes of a track with long ids


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a regular file"):
        PackedFile(tmp_path / "pipe")


def test_another_file_is_refused(folder):
    with pytest.raises(DataError, match="list: not a packed file; need a file that kinet pack"):
        read_tracks(folder / "list", folder / "list")


def test_values_that_are_not_finite_are_refused_and_nothing_is_written(folder):
    np.save(folder / "data" / "s2_v1.npy", np.full((20, 12), np.nan))
    with pytest.raises(FeatureError, match="240 of 240 values are NaN"):
        pack(files(folder), None, folder / "all")
    assert not (folder / "all").exists()


def test_a_file_that_changes_meanwhile_is_refused(folder):
    def change(done, total):
        np.save(feature_path(folder / "data", "s1", "v1"), np.ones((3, 12)))

    with pytest.raises(
        FeatureError, match=r"s1_v1\.npy: has changed meanwhile; need files at rest"
    ):
        pack(files(folder), None, folder / "all", change)
    assert not (folder / "all").exists()


def test_progress_counts_tracks(folder):
    told = []
    pack(files(folder), None, folder / "all", lambda *counts: told.append(counts))
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
    (tmp_path / "validation").write_text("".join(lines[:-1]))
    monkeypatch.chdir(tmp_path)
    assert run(["pack", "list", "--data-dir", "data", "--out", "all.pack"]) == 0
    small = "-S 1 --block simple --attention none --channels 4 --time-field 12 --epochs 1"
    small += " --vectors 100 --batch-size 4 --embedding-size 4"
    small += " --train-list list --validation-list validation"
    assert run(["train", *small.split(), "--data-dir", "all.pack", "--tag", "a"]) == 0
    maps = []
    for data in ("data", "all.pack"):
        capsys.readouterr()
        assert run(["eval", "--test-list", "list", "--data-dir", data, "--json"]) == 0
        maps.append(json.loads(capsys.readouterr().out)["map"])
    assert maps[0] == maps[1]
