"""`kinet train` before it trains: settings, presets and lists. No backend is loaded."""

from __future__ import annotations

import numpy as np
import pytest

from kinet.cli import run
from kinet.commands import train
from kinet.config import ModelConfig, TrainConfig
from kinet.data.tracks import Track
from kinet.errors import BackendError, DataError
from kinet.training.lists import doubts, require_lists
from kinet.training.runs import RunFolders


def settings_of(*arguments):
    """What `kinet train` would train with."""
    options = train.command.make_context("train", list(arguments)).params
    settings = train._settings({**options, "no_chnlatt": False, "no_tempatt": False})
    return train._configs(settings)


def test_without_options_the_defaults_are_those_of_python():
    assert settings_of() == (ModelConfig(), TrainConfig())


def test_the_preset_gives_the_settings_of_the_original():
    expected = ModelConfig.original(), TrainConfig.original()
    assert settings_of("--preset", "original") == expected


@pytest.mark.parametrize("before", [True, False])
def test_options_win_over_the_preset_wherever_they_stand(before):
    options = ["--channels", "32", "--attention", "none", "--loss", "triplet"]
    preset = ["--preset", "original"]
    model, training = settings_of(*(options + preset if before else preset + options))
    assert model == ModelConfig.original(channels=32, attention=())
    assert training == TrainConfig.original(loss="triplet")


def test_an_unknown_preset_is_told(capsys):
    assert run(["train", "--preset", "new"]) == 2
    assert "'new' is not 'original'" in capsys.readouterr().err


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A run with the defaults that has done an epoch."""
    monkeypatch.chdir(tmp_path)
    folders = RunFolders.of("a")
    context = train.command.make_context("train", [])
    folders.write_settings(train._settings(context.params))
    folders.last.write_bytes(b"")
    return folders


def test_a_preset_that_contradicts_a_run_is_refused(begun, capsys):
    assert run(["train", "--resume", "--tag", "a", "--preset", "original"]) == 1
    assert capsys.readouterr().err == (
        "kinet: --preset with -S 12 contradicts 4, with which the run models/a began; leave "
        "it out to resume\n"
    )


def test_an_option_that_contradicts_a_run_is_refused(begun, capsys):
    assert run(["train", "--resume", "--tag", "a", "--epochs", "3"]) == 1
    assert capsys.readouterr().err == (
        "kinet: --epochs 3 contradicts 100, with which the run models/a began; leave it out to "
        "resume\n"
    )


def listed(versions):
    """Tracks of songs with so many versions: ``{"a": 2}``."""
    return [
        Track(song, str(number), f"{song}_{number}.npy")
        for song, count in versions.items()
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ({"a": 1, "b": 1}, "has 2 tracks and no song of two versions; at least one song must"),
        ({"a": 5}, "has one song, a: its mAP would be 1 in every epoch; at least two songs"),
        ({}, "has 0 tracks and no song of two versions"),
    ],
)
def test_a_validation_that_tells_nothing_is_refused(validation, message):
    with pytest.raises(DataError, match=message):
        require_lists([], listed(validation))


def test_training_on_the_validation_list_is_refused():
    tracks = listed({"a": 2, "b": 2})
    with pytest.raises(DataError, match="validation list hold the same 4 tracks; needed are songs"):
        require_lists(tracks[::-1], tracks)
    require_lists(tracks[1:], tracks)
    require_lists([], tracks)


def test_what_makes_a_validation_say_little_is_told():
    ten = listed({str(song): 2 for song in range(10)})
    assert doubts(listed({"x": 2}), ten) == []
    nine = listed({str(song): 2 for song in range(9)} | {"single": 1})
    (few,) = doubts([], nine)
    assert few.startswith("the validation list has 9 songs of two and more versions; below 10")
    (shared,) = doubts(listed({"3": 1, "2": 4, "x": 1}), ten)
    assert shared == (
        "2 of 10 songs of the validation list are in the training list too, first 2: its mAP is "
        "not that of songs that are new"
    )


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """Features of songs a to e; the command ends before it trains."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for track in listed(dict.fromkeys("abcde", 2)):
        np.save(tmp_path / "data" / track.path, np.ones((200, 12), np.float32))

    def stop(*_):
        raise BackendError("this far and no farther")

    monkeypatch.setattr(train, "start_backend", lambda *_: 1)
    monkeypatch.setattr(train, "_start_from", stop)

    def command(training, validation):
        for name, songs in (("T", training), ("V", validation)):
            lines = (f"{track.song_id} {track.version_id}\n" for track in listed(songs))
            (tmp_path / name).write_text("".join(lines))
        return run(["train", "--data-dir", "data", "--train-list", "T", "--validation-list", "V"])

    return command


def test_the_command_refuses_before_a_backend_is_loaded(layout, capsys):
    assert layout({"a": 2, "b": 2}, {"c": 2}) == 1
    assert "the validation list has one song, c" in capsys.readouterr().err
    assert layout({"a": 2, "b": 2}, {"a": 2, "b": 2}) == 1
    assert "hold the same 4 tracks" in capsys.readouterr().err


def test_the_command_tells_its_doubts(layout, capsys):
    assert layout({"a": 2, "b": 2}, {"b": 2, "c": 2}) == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert "the validation list has 2 songs of two and more versions; below 10" in shown
    assert "1 of 2 songs of the validation list are in the training list too, first b" in shown
    assert shown.endswith("kinet: this far and no farther")
    assert shown.startswith("training: T; validation: V; features: data ")


def test_tracks_of_which_a_model_sees_much_silence_are_told(layout, capsys, tmp_path):
    for song, length in (("a", 199), ("c", 31)):
        np.save(tmp_path / "data" / f"{song}_0.npy", np.ones((length, 12), np.float32))
    assert layout({"a": 2, "b": 2}, {"c": 2, "d": 2}) == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert (
        "2 of 8 tracks are shorter than half of the 400 vectors (186 s) that the model looks at, "
        "the shortest has 31 (14 s); the rest of these is silence to it"
    ) in shown
    assert layout({"b": 2, "d": 2}, {"c": 1, "e": 2, "d": 1}) == 1
    assert "1 of 8 tracks" in " ".join(capsys.readouterr().err.split())


def test_what_kinet_split_writes_is_read_where_no_list_is_named(layout, capsys, tmp_path):
    lines = (f"{track.song_id} {track.version_id}\n" for track in listed(dict.fromkeys("abcde", 2)))
    (tmp_path / "data" / "list").write_text("".join(lines))
    assert run(["split", "data/list", "--out", "meta", "--val", "0.4", "--test", "0"]) == 0
    assert run(["train"]) == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert "training: meta/list-TRAIN; validation: meta/list-VAL; features: data " in shown
    # The layout of the original comes first.
    for part in ("TRAIN", "VAL"):
        (tmp_path / "meta" / f"list-{part}").rename(tmp_path / "meta" / f"SHS100K-{part}")
        (tmp_path / "meta" / f"other-{part}").touch()
    (tmp_path / "data" / "youtube_hpcp_npy").mkdir()
    for path in tmp_path.glob("data/*.npy"):
        path.rename(path.parent / "youtube_hpcp_npy" / path.name)
    assert run(["train"]) == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert "training: meta/SHS100K-TRAIN; validation: meta/SHS100K-VAL; features: data/you" in shown


def test_of_several_lists_one_has_to_be_named(layout, capsys, tmp_path):
    (tmp_path / "meta").mkdir()
    for name in ("a-TRAIN", "b-TRAIN"):
        (tmp_path / "meta" / name).touch()
    assert run(["train"]) == 1
    assert capsys.readouterr().err == (
        "kinet: no list was named, and there are several: meta/a-TRAIN, meta/b-TRAIN; name one of "
        "them\n"
    )


def test_without_lists_the_layout_is_explained(layout, capsys):
    assert run(["train"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("kinet: no list meta/SHS100K-TRAIN here; the default layout is meta/<n")
    assert shown.count("\n") == 1


def test_a_second_training_with_one_tag_is_refused_and_changes_nothing(layout, capsys, tmp_path):
    folders = RunFolders.of("wider_S4_no-attention_circular_supcon")
    folders.write_settings({"of": "the first"})
    before = folders.settings.read_bytes()
    with folders.alone():
        assert layout({"a": 2, "b": 2}, {"c": 2, "d": 2}) == 1
    assert capsys.readouterr().err == (
        f"kinet: another training is at work in {folders.models}; wait for it, or choose another "
        "tag\n"
    )
    assert folders.settings.read_bytes() == before
