"""Da-TACOS: refused unless asked for, other settings, pooled, and read through mirdata.

mirdata brings hundreds of MB, so most tests have a stand-in for the few of its names that are
used; one test compares the stand-in with mirdata itself where that is installed.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
import types
from pathlib import Path

import h5py
import numpy as np
import pytest

from kinet.cli import run
from kinet.config import FeatureConfig
from kinet.data.feature_files import read_hpcp
from kinet.data.manifest import read_manifest
from kinet.data.settings_file import features_of, require_same_features, write_features
from kinet.datasets.da_tacos import DA_TACOS, convert_da_tacos, dataset
from kinet.errors import DataError, SettingsError
from kinet.features.hpcp import hpcp_of_blocks

TRACKS = ["benchmark#W_7#P_1", "benchmark#W_7#P_2", "benchmark#W_9#P_3", "coveranalysis#W_7#P_1"]


def index_path(name):
    subset, work, performance = name.split("#")
    return f"da-tacos_{subset}_subset_hpcp/{work}_hpcp/{performance}_hpcp.h5"


class StandInTrack:
    def __init__(self, name, data_home):
        _, self.work_id, self.performance_id = name.split("#")
        self.hpcp_path = f"{data_home}/{index_path(name)}"

    @property
    def hpcp(self):
        with h5py.File(self.hpcp_path, "r") as file:
            return file["hpcp"][()]


class StandInDataset:
    def __init__(self, data_home, has_index):
        self.data_home, self.has_index = data_home, has_index

    @property
    def track_ids(self):
        if not self.has_index:
            raise FileNotFoundError("This dataset's index must be downloaded.")
        return list(reversed(TRACKS))

    def track(self, name):
        return StandInTrack(name, self.data_home)


@pytest.fixture
def stand_in(monkeypatch):
    """Takes the place of mirdata; its ``has_index`` can be set to False."""
    module = types.ModuleType("mirdata")
    module.has_index = True

    def initialize(name, data_home, version):
        assert (name, version) == ("da_tacos", "1.1_full")
        logging.getLogger().setLevel(logging.INFO)  # as mirdata does
        logging.getLogger().addHandler(logging.NullHandler())
        return StandInDataset(data_home, module.has_index)

    module.initialize = initialize
    monkeypatch.setitem(sys.modules, "mirdata", module)
    return module


def put(folder, name, hpcp):
    path = folder / index_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["hpcp"] = hpcp
        file["label"] = name.split("#")[1]
    return path


@pytest.fixture
def data(tmp_path, rng):
    """Two of the three tracks of the benchmark subset, and one of the other subset."""
    for name, frames in ((TRACKS[0], 45), (TRACKS[2], 20), (TRACKS[3], 60)):
        put(tmp_path / "data", name, rng.random((frames, 12)))
    return tmp_path / "data"


def command(data, out, *more):
    return ["extract", "--dataset", "da-tacos", str(data), "--out", str(out), *more]


ACCEPT = "--accept-other-features"


def test_it_is_refused_unless_other_features_are_accepted(stand_in, data, tmp_path, capsys):
    assert run(command(data, tmp_path / "out")) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("kinet: the HPCP of da-tacos are not interchangeable with those of")
    assert ": hop_size is 512 in place of 1024; " in told
    assert "; maximum_frequency is 3500 in place of 5000;" in told
    assert "; maximum_peaks is 100 in place of 30;" in told
    assert "other_processing is spectral whitening, " in told
    assert told.endswith(
        f"{ACCEPT} makes a folder of them that only models of such features take\n"
    )
    assert not (tmp_path / "out").exists()


def test_blocks_of_20_frames_are_summed_and_divided_by_their_maximum(stand_in, tmp_path):
    frames = np.zeros((45, 12))
    frames[:20, 0], frames[:10, 5] = 1.0, 0.5  # sums 20 and 5
    frames[20:40, 11] = 0.25
    put(tmp_path / "data", TRACKS[0], frames)
    converted = convert_da_tacos(tmp_path / "data", tmp_path / "out")
    expected = np.zeros((2, 12))
    expected[0, 0], expected[0, 5], expected[1, 11] = 1.0, 0.25, 1.0
    np.testing.assert_array_equal(read_hpcp(tmp_path / "out" / "W_7_P_1.npy"), expected)
    [entry] = converted.done
    assert (entry.vectors, entry.seconds) == (2, round(45 * 512 / 44100, 3))


def test_the_benchmark_subset_is_made_and_its_coverage_told(stand_in, data, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(command(data, out, ACCEPT, "--json")) == 0
    streams = capsys.readouterr()
    report = json.loads(streams.out)
    assert (report["done"], report["failed"]) == (2, [])
    assert report["fingerprint"] == DA_TACOS.fingerprint()
    assert "2 of 3 listed tracks have features: " in streams.err
    assert (out / "there-da-tacos").read_text() == "W_7\tP_1\nW_9\tP_3\n"
    assert (out / "missing-da-tacos").read_text() == "W_7\tP_2\n"
    assert (out / "list").read_text() == "W_7\tP_1\nW_9\tP_3\n"
    assert [entry.vectors for entry in read_manifest(out)] == [2, 1]
    assert Path(read_manifest(out)[0].source) == data / index_path(TRACKS[0])


def test_what_is_finished_is_not_made_again(stand_in, data, tmp_path, rng):
    out = tmp_path / "out"
    convert_da_tacos(data, out)
    put(data, TRACKS[0], rng.random((60, 12)))
    (out / "W_9_P_3.npy").unlink()
    put(data, TRACKS[1], rng.random((40, 12)))
    seen = []
    again = convert_da_tacos(data, out, lambda *state: seen.append(state[:2]))
    assert [entry.version_id for entry in again.done] == ["P_1", "P_2", "P_3"]
    assert len(read_hpcp(out / "W_7_P_1.npy")) == 3
    assert seen == [(1, 3), (2, 3), (3, 3)]
    last = convert_da_tacos(data, out)
    assert (last.done, last.skipped) == ((), again.done)
    assert (last.listed, last.missing) == (
        [("W_7", "P_1"), ("W_7", "P_2"), ("W_9", "P_3")],
        (),
    )


@pytest.mark.parametrize("change", ["size", "time", "place"])
def test_a_file_that_has_changed_is_made_again(stand_in, data, tmp_path, change):
    convert_da_tacos(data, tmp_path / "out")
    path = data / index_path(TRACKS[0])
    before = path.stat()
    if change == "size":
        path.write_bytes(path.read_bytes() + b"\0")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "time":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))
    else:
        data = data.rename(tmp_path / "moved")
    again = convert_da_tacos(data, tmp_path / "out")
    assert len(again.done) == (2 if change == "place" else 1)


def test_models_of_other_features_refuse_it(stand_in, data, tmp_path):
    convert_da_tacos(data, tmp_path / "out")
    assert features_of(tmp_path / "out") == DA_TACOS
    with pytest.raises(DataError, match=r"hop_size is 512 there, needed is 1024; .+ other_proc"):
        require_same_features(tmp_path / "out", FeatureConfig(), "the model")
    require_same_features(tmp_path / "out", DA_TACOS, "the model")


def test_other_processing_alone_makes_other_features():
    plain = FeatureConfig.from_dict({**DA_TACOS.to_dict(), "other_processing": ""})
    assert plain.fingerprint() != DA_TACOS.fingerprint()
    assert FeatureConfig.from_dict(json.loads(json.dumps(DA_TACOS.to_dict()))) == DA_TACOS
    assert DA_TACOS.seconds_per_vector == 20 * 512 / 44100


def test_the_fingerprint_is_what_it_was_before_there_was_other_processing():
    """As `benchmarks/` and model files have it that were made before."""
    assert FeatureConfig().fingerprint() == "c410c87cfcc0"
    old = FeatureConfig().to_dict()
    del old["other_processing"]
    assert FeatureConfig.from_dict(old) == FeatureConfig()


def test_features_with_other_processing_cannot_be_made_of_sound():
    config = FeatureConfig(other_processing="whitening")
    with pytest.raises(SettingsError, match="other processing is 'whitening'; allowed: none, for"):
        hpcp_of_blocks([np.zeros(9000, np.float32)], config)


def test_the_differences_are_those_of_the_two_settings():
    names = [part.split(" is ")[0] for part in dataset.differences().split("; ")]
    ours, theirs = FeatureConfig().to_dict(), DA_TACOS.to_dict()
    assert names == [name for name in ours if ours[name] != theirs[name]]


@pytest.mark.parametrize(
    ("hpcp", "message"),
    [
        (np.ones((12, 400)), "HPCP of the shape (12, 400); need (n_frames, 12) values from 0"),
        (np.ones(400), "HPCP of the shape (400,); need (n_frames, 12) values from 0"),
        (np.ones((19, 12)), "19 frames; need at least 20, for one vector"),
        (np.zeros((40, 12)), "nothing but zeros; need sound"),
        (np.full((40, 12), np.nan), "NaN, infinite or negative values; need (n_frames, 12)"),
        (-np.ones((40, 12)), "NaN, infinite or negative values; need (n_frames, 12)"),
        (np.full((40, 12), b"x"), "of type |S1; need (n_frames, 12) values from 0"),
        ("cut", "no HPCP that can be read ("),
        ("none", "no HPCP that can be read ("),
        ("group", "no HPCP that can be read ("),
    ],
)
def test_a_file_that_cannot_be_used_does_not_stop_the_rest(
    stand_in, data, tmp_path, hpcp, message, capsys
):
    if isinstance(hpcp, str):
        path = put(data, TRACKS[1], np.ones((4000, 12)))
        if hpcp == "cut":
            path.write_bytes(path.read_bytes()[:3000])
        else:
            with h5py.File(path, "a") as file:
                del file["hpcp"]
                if hpcp == "group":
                    file.create_group("hpcp")
    else:
        put(data, TRACKS[1], hpcp)
    assert run(command(data, tmp_path / "out", ACCEPT, "--json")) == 1
    report = json.loads(capsys.readouterr().out)
    [failed] = report["failed"]
    assert (report["done"], failed["song_id"], failed["version_id"]) == (2, "W_7", "P_2")
    assert failed["message"].startswith(message)
    assert "\n" not in failed["message"]
    assert (tmp_path / "out" / "missing-da-tacos").read_text() == "W_7\tP_2\n"


def test_without_mirdata_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mirdata", None)
    with pytest.raises(DataError, match=r'mirdata is not installed; pip install "mulkinet\[datas'):
        convert_da_tacos(tmp_path, tmp_path / "out")


def test_without_index_or_files_it_is_said_how_to_get_them(stand_in, data, tmp_path):
    with pytest.raises(DataError, match=r"none of the 3 tracks .+ this gets them: python -c "):
        convert_da_tacos(tmp_path / "empty", tmp_path / "out")
    stand_in.has_index = False
    with pytest.raises(DataError, match=r"mirdata has no index of Da-TACOS yet, and kinet downl"):
        convert_da_tacos(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_logging_is_left_as_it_was(stand_in, data, tmp_path):
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    convert_da_tacos(data, tmp_path / "out")
    assert (root.level, root.handlers) == before


def test_features_of_other_or_unknown_settings_are_not_mixed_with_it(stand_in, data, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    np.save(out / "a_1.npy", np.ones((4, 12)))
    with pytest.raises(DataError, match=r"out holds a_1.npy without a features.json that says how"):
        convert_da_tacos(data, out)
    write_features(out, FeatureConfig())
    with pytest.raises(DataError, match=r"Da-TACOS needs .+ hop_size is 1024 there, needed is 51"):
        convert_da_tacos(data, out)


def test_a_target_that_is_a_file_is_told_in_one_line(stand_in, data, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(DataError, match=r"^cannot write .+out: File exists; need a folder that ca"):
        convert_da_tacos(data, tmp_path / "out")


def test_a_disk_that_is_full_leaves_what_is_finished(stand_in, data, tmp_path, monkeypatch):
    from kinet.datasets import da_tacos

    write = da_tacos.write_array_atomically

    def full(path, content):
        if path.name == "W_9_P_3.npy":
            raise OSError(28, "No space left on device", str(path))
        write(path, content)

    monkeypatch.setattr(da_tacos, "write_array_atomically", full)
    with pytest.raises(DataError, match=r"^cannot write .+W_9_P_3.npy: No space left on device;"):
        convert_da_tacos(data, tmp_path / "out")
    assert [entry.version_id for entry in read_manifest(tmp_path / "out")] == ["P_1"]


def test_workers_are_for_audio(data, tmp_path, capsys):
    assert run(command(data, tmp_path / "out", ACCEPT, "--workers", "2")) == 2
    assert "--workers is for audio; da-tacos has none." in capsys.readouterr().err


@pytest.mark.skipif(
    importlib.util.find_spec("mirdata") is None,
    reason="mirdata is not installed; the other tests have a stand-in for it",
)
@pytest.mark.filterwarnings("ignore")  # what mirdata's own imports warn of
def test_mirdata_itself_is_read_like_the_stand_in(stand_in, data, tmp_path, monkeypatch):
    convert_da_tacos(data, tmp_path / "stand-in")
    monkeypatch.delitem(sys.modules, "mirdata")
    from mirdata import core

    kinds = ("cens", "crema", "key", "madmom", "mfcc", "tags")
    tracks = {
        name: {"hpcp": [index_path(name), "0"], **{kind: [None, None] for kind in kinds}}
        for name in TRACKS
    }
    index = tmp_path / "index.json"
    monkeypatch.setattr(core.Index, "get_path", lambda self: str(index))
    with pytest.raises(DataError, match="mirdata has no index of Da-TACOS yet"):
        convert_da_tacos(data, tmp_path / "real")
    index.write_text(json.dumps({"version": "1.1", "tracks": tracks}))
    real = convert_da_tacos(data, tmp_path / "real")
    assert len(real.done) == 2
    assert len(real.missing) == 1
    for path in (tmp_path / "real").glob("*.npy"):
        np.testing.assert_array_equal(read_hpcp(path), read_hpcp(tmp_path / "stand-in" / path.name))
