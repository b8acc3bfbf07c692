"""What a folder of features says of itself, and that other features are refused."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from kinet.config import FeatureConfig
from kinet.data.manifest import Entry, origins_of, read_manifest, write_manifest
from kinet.data.settings_file import features_of, require_same_features, write_features
from kinet.data.tracks import Track, read_tracks
from kinet.errors import DataError

ENTRY = Entry("s1", "v1", "/music/a b.wav", 4096, 1795375781118617216, 12.5, 26, "c410c87cfcc0")
OTHER = FeatureConfig(hop_size=512, maximum_peaks=100, window="hann")


def test_settings_come_back_as_they_were(tmp_path):
    for config in (FeatureConfig(), OTHER, FeatureConfig(weighting_window=1 / 3)):
        write_features(tmp_path, config)
        assert features_of(tmp_path) == config
    values = json.loads((tmp_path / "features.json").read_text())
    assert values["fingerprint"] == FeatureConfig(weighting_window=1 / 3).fingerprint()
    assert values["features"]["hop_size"] == 1024


def test_a_folder_that_says_nothing_has_no_settings_and_passes(tmp_path):
    assert features_of(tmp_path) is None
    assert features_of(tmp_path / "absent") is None
    require_same_features(tmp_path, FeatureConfig(), "the model")


def test_the_same_settings_pass(tmp_path):
    write_features(tmp_path, OTHER)
    require_same_features(tmp_path, dataclasses.replace(OTHER), "the model")


def test_other_settings_are_refused_with_both_fingerprints_and_what_differs(tmp_path):
    write_features(tmp_path, OTHER)
    with pytest.raises(DataError) as caught:
        require_same_features(tmp_path, FeatureConfig(), "the model m.keras")
    assert str(caught.value) == (
        f"the features in {tmp_path} have the fingerprint {OTHER.fingerprint()}, the model m.keras "
        f"needs {FeatureConfig().fingerprint()}; hop_size is 512 there, needed is 1024; window is "
        "'hann' there, needed is 'blackmanharris92'; maximum_peaks is 100 there, needed is 30"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not what kinet extract writes (JSONDecodeError: "),
        (b"\xff", "not what kinet extract writes (UnicodeDecodeError: "),
        (b"[]", "not what kinet extract writes (TypeError: "),
        (b"3", "not what kinet extract writes (TypeError: "),
        (b"{}", "not what kinet extract writes (KeyError: 'features')"),
        (b'{"features": {}}', "not what kinet extract writes (KeyError: 'fingerprint')"),
        (b'{"features": []}', "not what kinet extract writes (AttributeError: "),
        (b'{"features": {"hop": 1}}', "SettingsError: unknown setting 'hop'"),
    ],
)
def test_settings_that_cannot_be_read(tmp_path, content, said):
    (tmp_path / "features.json").write_bytes(content)
    with pytest.raises(DataError) as caught:
        features_of(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'features.json'}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_that_were_changed_by_hand(tmp_path):
    write_features(tmp_path, FeatureConfig())
    path = tmp_path / "features.json"
    path.write_text(path.read_text().replace("1024", "512"))
    changed = FeatureConfig(hop_size=512).fingerprint()
    with pytest.raises(DataError) as caught:
        features_of(tmp_path)
    assert str(caught.value) == (
        f"{path}: not what kinet extract writes (SettingsError: the settings have the fingerprint "
        f"{changed}, but {FeatureConfig().fingerprint()} is written there); need settings of "
        "features and their fingerprint"
    )


def test_settings_that_are_a_folder(tmp_path):
    (tmp_path / "features.json").mkdir()
    with pytest.raises(DataError, match=r"features.json: unreadable \("):
        features_of(tmp_path)


def test_entries_come_back_in_the_order_of_the_ids(tmp_path):
    entries = [
        dataclasses.replace(ENTRY, version_id="v2", source='/a,"b"/ü\n.wav', seconds=0.5),
        ENTRY,
        dataclasses.replace(ENTRY, song_id="S", source=os.fsdecode(b"/caf\xe9.wav"), bytes=0),
    ]
    write_manifest(tmp_path, entries)
    assert read_manifest(tmp_path) == [entries[2], entries[1], entries[0]]
    header, line = (tmp_path / "manifest.csv").read_bytes().split(b"\n")[:2]
    assert header.decode() == HEADER.strip() + ",title,artist"
    assert line == b"S,v1,/caf\xe9.wav,0,1795375781118617216,12.500,26,c410c87cfcc0,,"


def test_titles_come_back_and_manifests_without_them_are_read(tmp_path):
    titled = dataclasses.replace(ENTRY, title='Help, "live"', artist="Die Ärzte")
    write_manifest(tmp_path, [titled])
    assert read_manifest(tmp_path) == [titled]
    (tmp_path / "manifest.csv").write_text(HEADER + LINE)
    [found] = read_manifest(tmp_path)
    assert (found.source, found.title, found.artist) == ("a.wav", "", "")


def test_tracks_are_told_by_title_and_recording_as_far_as_they_are_known(tmp_path):
    entry = dataclasses.replace(ENTRY, title="Help", source=os.fsdecode(b"/caf\xe9.wav"))
    write_manifest(tmp_path, [entry])
    tracks = [Track("s1", "v2", tmp_path), Track("s1", "v1", tmp_path)]
    assert origins_of(tmp_path, tracks) == [("", ""), ("Help", "/caf\ufffd.wav")]
    assert origins_of(tmp_path / "absent", tracks) == [("", ""), ("", "")]


def test_the_list_has_the_same_tracks(tmp_path):
    write_manifest(tmp_path, [dataclasses.replace(ENTRY, version_id="v0"), ENTRY])
    assert (tmp_path / "list").read_text() == "s1\tv0\ns1\tv1\n"
    assert [t.path.name for t in read_tracks(tmp_path / "list", tmp_path)] == [
        "s1_v0.npy",
        "s1_v1.npy",
    ]


def test_no_manifest_no_entries(tmp_path):
    assert read_manifest(tmp_path) == []
    assert read_manifest(tmp_path / "absent") == []


LINE = "s1,v1,a.wav,1,2,3.0,4,c410c87cfcc0\n"
HEADER = "song_id,version_id,source,bytes,modified_ns,seconds,vectors,fingerprint\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "manifest.csv:1: columns are [], expected ['song_id', "),
        ("a,b\n", "manifest.csv:1: columns are ['a', 'b'], expected ['song_id', "),
        (HEADER + LINE + "s1,v2\n", "manifest.csv:3: 2 fields, expected 8; restore it, or remove"),
        (HEADER + LINE.replace(",1,", ",x,"), "manifest.csv:2: invalid literal for int()"),
        (HEADER + LINE.replace("3.0", "3,0"), "manifest.csv:2: 9 fields, expected 8"),
        (HEADER + '"s1', "manifest.csv:2: unexpected end of data; restore it, or remove it"),
    ],
)
def test_a_manifest_that_cannot_be_read(tmp_path, text, said):
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        read_manifest(tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_manifest_that_is_a_folder(tmp_path):
    (tmp_path / "manifest.csv").mkdir()
    with pytest.raises(DataError, match=r"manifest.csv: unreadable \("):
        read_manifest(tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match=r"No such file"):
        write_manifest(tmp_path / "absent", [ENTRY])
    with pytest.raises(OSError, match=r"No such file"):
        write_features(Path(tmp_path, "absent"), FeatureConfig())
