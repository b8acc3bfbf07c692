"""Arrays, tracks, feature files, folders and recordings to HPCP."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kinet.config import FeatureConfig
from kinet.data.settings_file import write_features
from kinet.data.tracks import Track
from kinet.errors import DataError
from kinet.extraction import extract_file
from kinet.extraction.inputs import read_inputs


def write_tone(path, frequency=440.0):
    time = np.arange(3 * 44100) / 44100
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, 0.1 * np.sin(2 * np.pi * frequency * time), 44100)
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "features").mkdir()
    for number, name in enumerate(("b_1", "a_1", "a_2")):
        np.save(tmp_path / f"features/{name}.npy", np.full((30 + number, 12), number, np.float64))
    return tmp_path


def test_a_folder_of_features_is_read_in_the_order_of_its_names(folder):
    found = read_inputs(folder / "features")
    assert [len(hpcp) for hpcp in found] == [31, 32, 30]
    assert found[0].dtype == np.float32


def test_arrays_tracks_feature_files_and_recordings_may_be_mixed(folder):
    tone = write_tone(folder / "music/tone.wav")
    array = np.ones((5, 12))
    track = Track("b", "1", folder / "features/b_1.npy")
    found = read_inputs([array, track, str(folder / "features/a_1.npy"), tone])
    assert [len(hpcp) for hpcp in found] == [5, 30, 31, len(extract_file(tone))]
    assert found[0] is array
    np.testing.assert_array_equal(found[3], extract_file(tone))


def test_a_recording_alone_and_a_folder_of_recordings(folder):
    low = write_tone(folder / "music/a.wav", 220 * 2 ** (3 / 12))
    write_tone(folder / "music/b.wav")
    found = read_inputs(folder / "music")
    assert [int(hpcp[2].argmax()) for hpcp in found] == [3, 0]
    np.testing.assert_array_equal(read_inputs(low)[0], found[0])


def test_recordings_are_made_features_of_with_the_settings_of_the_model(folder):
    tone = write_tone(folder / "music/tone.wav")
    finer = FeatureConfig(frames_per_vector=10)
    found = read_inputs(tone, finer)[0]
    np.testing.assert_array_equal(found, extract_file(tone, finer))
    assert len(found) > len(extract_file(tone))


def test_features_that_kinet_cannot_make_are_asked_for(folder):
    tone = write_tone(folder / "music/tone.wav")
    with pytest.raises(DataError, match=r"tone.wav is a recording, and the model needs features"):
        read_inputs([tone], FeatureConfig(other_processing="spectral whitening"))


def test_a_folder_of_features_of_other_settings_is_refused(folder):
    write_features(folder / "features", FeatureConfig(hop_size=512))
    with pytest.raises(DataError, match="hop_size is 512 there"):
        read_inputs(folder / "features")
    assert len(read_inputs(folder / "features", FeatureConfig(hop_size=512))) == 3


def test_a_folder_holds_either_features_or_recordings(folder):
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds 0 feature files and 0 recordings; allowed"):
        read_inputs(folder / "empty")
    write_tone(folder / "features/tone.wav")
    with pytest.raises(DataError, match="holds 3 feature files and 1 recordings; allowed"):
        read_inputs(folder / "features")


@pytest.mark.parametrize("name", ["nowhere.npy", "nowhere.wav"])
def test_a_file_that_is_not_there(name):
    with pytest.raises(DataError, match=name):
        read_inputs(Path(name))
