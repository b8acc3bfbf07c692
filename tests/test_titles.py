"""Names of files to titles, titles to songs, and how folders of music are read."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from kinet.audio.tags import read_tags
from kinet.cli import run
from kinet.data.manifest import read_manifest
from kinet.errors import SettingsError
from kinet.extraction.sources import read_sources
from kinet.extraction.titles import Name, are_numbered, has_number, read_name, song_of


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("01 Help", True), ("1. Help", True), ("1-07 Help", True), ("2.07 - Help", True),
        ("A2 Help", True), ("007_Help", True), ("12) Help", True),
        ("99", False), ("1970 live", False), ("Help 01", False), ("01", False), ("", False),
        ("4ever", False), ("E5 chord", False),
    ],
)  # fmt: skip
def test_numbers_of_tracks_are_known(name, found):
    assert has_number(name) is found


def test_only_where_most_have_one_a_number_is_that_of_a_track():
    assert are_numbered(["01 a", "02 b", "99"])
    assert not are_numbered(["01 a", "b"])
    assert not are_numbered([])


@pytest.mark.parametrize(
    ("name", "numbered", "expected"),
    [
        ("Help", False, Name("Help")),
        ("13 Yesterday", True, Name("Yesterday")),
        ("1-13. Yesterday", True, Name("Yesterday")),
        ("99 Luftballons", False, Name("99 Luftballons")),
        ("03 99 Luftballons", True, Name("99 Luftballons")),
        ("Nena - 99 Luftballons", False, Name("99 Luftballons", "Nena")),
        ("02 - The Beatles - Help", True, Name("Help", "The Beatles")),
        ("Help (Live)", False, Name("Help", "", "Live")),
        ("Help [Mono] (Take 3)", False, Name("Help", "", "Mono Take 3")),
        ("(What A) Wonderful World", False, Name("(What A) Wonderful World")),
        ("(Intro)", False, Name("(Intro)")),
        ("Help - Remastered 2009", False, Name("Help", "", "Remastered 2009")),
        ("A - Help (Demo) - Live at X", False, Name("Help", "A", "Demo Live at X")),
        ("Live - Selling the Drama", False, Name("Selling the Drama", "Live")),
        ("Self-Esteem", False, Name("Self-Esteem")),
        ("05", True, Name("05")),
        ("", False, Name("")),
    ],
)
def test_a_name_is_taken_apart(name, numbered, expected):
    assert read_name(name, numbered) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Help!", "HELP"),
        ("Don't Stop", "dont stop"),
        ("Don’t Stop", "Don't Stop"),
        ("Für Elise", "Fur Elise"),
        ("Rock & Roll", "Rock  Roll"),
        ("ＨＥＬＰ", "help"),
        ("\N{MATHEMATICAL BOLD SCRIPT CAPITAL H}elp", "help"),
    ],
)
def test_titles_that_differ_in_how_they_are_written_are_one_song(one, other):
    assert song_of(one) == song_of(other)


@pytest.mark.parametrize(("one", "other"), [("Help", "Yelp"), ("под небом", "под"), ("!", "?")])
def test_other_titles_are_other_songs(one, other):
    assert song_of(one) != song_of(other)


@given(st.text(max_size=60), st.booleans())
def test_any_name_has_a_title_and_its_song_is_its_own(name, numbered):
    found = read_name(name, numbered)
    assert found.title or not name.strip()
    song = song_of(found.title)
    assert song_of(song) == song or not re.search(r"[^\W_]", song)


@pytest.fixture
def music(tmp_path):
    """A function that makes empty files in a folder, and reads it."""

    def read(*names, songs_by="auto"):
        for name in names:
            path = tmp_path / "music" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        readings = []
        sources = read_sources([tmp_path / "music"], songs_by, tell=readings.append)
        [reading] = readings
        return reading, {
            source.path.relative_to(tmp_path / "music").as_posix(): (
                source.song_id,
                source.version_id,
            )
            for source in sources
            if not source.fault
        }

    return read


ALBUMS = (
    "The Beatles/Help!/13 Yesterday.mp3",
    "The Beatles/Anthology 2/1-04 Yesterday (Take 1).mp3",
    "The Beatles/Help!/01 Help!.mp3",
    "Ray Charles/Listen/05. Yesterday.flac",
)


def test_albums_of_artists_are_read_by_title(music):
    reading, found = music(*ALBUMS)
    assert reading.name == "title"
    assert found == {
        ALBUMS[0]: ("yesterday", "The-Beatles-Help!"),
        ALBUMS[1]: ("yesterday", "The-Beatles-Anthology-2-Take-1"),
        ALBUMS[2]: ("help", "The-Beatles-Help!"),
        ALBUMS[3]: ("yesterday", "Ray-Charles-Listen"),
    }
    assert str(reading).endswith(
        "music: files of one title are a song, by their names, wherever they lie (most names begin "
        "with the number of a track, as in albums): 4 recordings of 2 songs, 1 of them in several "
        "versions; such as Ray Charles/Listen/05. Yesterday.flac: song yesterday, version "
        "Ray-Charles-Listen"
    )


def test_a_flat_folder_is_read_by_title(music):
    names = ("Nina Simone - Feeling Good.mp3", "Muse - Feeling Good (Live).ogg", "Help.wav")
    reading, found = music(*names)
    assert (reading.name, reading.why) == ("title", "all files lie in the folder itself")
    assert found == {
        names[0]: ("feeling-good", "Nina-Simone"),
        names[1]: ("feeling-good", "Muse-Live"),
        names[2]: ("help", "1"),
    }


def test_folders_of_songs_are_read_by_folder(music):
    names = ("Yesterday/live.mp3", "Yesterday/studio.mp3", "99 Luftballons/1983.mp3", "demo.wav")
    reading, found = music(*names)
    assert reading.name == "folder"
    assert found["99 Luftballons/1983.mp3"] == ("99-Luftballons", "1983")
    assert found["demo.wav"] == ("demo", "1")
    assert "4 recordings of 3 songs, 1 of them in several versions" in str(reading)


def test_what_is_asked_for_wins(music):
    reading, found = music(*ALBUMS, songs_by="folder")
    assert (reading.name, reading.why) == ("folder", "asked for")
    assert found[ALBUMS[0]] == ("The-Beatles-Help!", "13-Yesterday")
    _, found = music("Yesterday/live.mp3", songs_by="title")
    assert found["Yesterday/live.mp3"] == ("live", "Yesterday")


def test_two_of_one_title_on_one_album_are_two_versions(music):
    _, found = music("A/1-01 Intro.mp3", "A/2-01 Intro.mp3", "B/01 Intro.mp3")
    assert found == {
        "A/1-01 Intro.mp3": ("intro", "A-1-01-Intro"),
        "A/2-01 Intro.mp3": ("intro", "A-2-01-Intro"),
        "B/01 Intro.mp3": ("intro", "B"),
    }


def test_an_unknown_reading_is_told(music):
    with pytest.raises(SettingsError, match="unknown reading 'titel', did you mean 'title'"):
        music("a.mp3", songs_by="titel")


def write_tagged(path, tags):
    """A second of a tone with tags."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(44100) / 44100
    tone = (0.1 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)[None]
    if path.suffix == ".ogg":
        with soundfile.SoundFile(path, "w", 44100, 1) as file:
            for name, value in tags.items():
                setattr(file, name, value)
            file.write(tone[0])
        return
    codec = {".mp3": "libmp3lame", ".flac": "flac", ".m4a": "aac"}[path.suffix]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=44100, layout="mono")
        container.metadata.update(tags)
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate = 44100
        resampled = av.AudioResampler(stream.format.name, "mono", 44100, stream.frame_size or 1024)
        for part in [*resampled.resample(frame), *resampled.resample(None)]:
            for packet in stream.encode(part):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


TAGS = {"title": "Feeling Good", "artist": "Nina Simone", "album": "I Put a Spell on You"}


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".flac", ".m4a"])
def test_tags_are_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_tagged(path, TAGS)
    assert read_tags(path) == TAGS


def test_tags_are_text_on_one_line_and_those_that_are_empty_are_none(tmp_path):
    write_tagged(tmp_path / "a.flac", {"TITLE": " Feeling\n Good ", "artist": " "})
    assert read_tags(tmp_path / "a.flac") == {"title": "Feeling Good"}


def test_what_cannot_be_read_has_no_tags(tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"no sound")
    (tmp_path / "b.wav").write_bytes(b"RIFF\xff\xff\xff\xffWAVELIST\xff\xff\xff\x7f")
    for name in ("a.mp3", "b.wav", "absent.mp3", "."):
        assert read_tags(tmp_path / name) == {}


def test_folders_are_read_by_tags_and_without_tags_by_names(tmp_path, capsys):
    root = tmp_path / "music"
    write_tagged(root / "x" / "track7.mp3", {**TAGS, "title": "Feeling Good (Live)"})
    write_tagged(root / "y" / "01.flac", {**TAGS, "artist": "Muse", "album": "2001"})
    soundfile.write(root / "y" / "Feeling good!.wav", np.sin(np.arange(44100) / 9), 44100)
    out = tmp_path / "data"
    command = ["extract", str(root), "--out", str(out), "--songs-by", "tags", "--workers", "1"]
    assert run(command) == 0
    shown = " ".join(capsys.readouterr().err.split())
    assert "by their tags, else by their names (asked for): 3 recordings of 1 songs, 1 of" in shown
    entries = {Path(entry.source).name: entry for entry in read_manifest(out)}
    assert {name: (entry.song_id, entry.version_id) for name, entry in entries.items()} == {
        "track7.mp3": ("feeling-good", "Nina-Simone-I-Put-a-Spell-on-You-Live"),
        "01.flac": ("feeling-good", "Muse-2001"),
        "Feeling good!.wav": ("feeling-good", "y"),
    }
    assert (entries["track7.mp3"].title, entries["track7.mp3"].artist) == (
        "Feeling Good",
        "Nina Simone",
    )
    assert (entries["Feeling good!.wav"].title, entries["Feeling good!.wav"].artist) == (
        "Feeling good!",
        "y",
    )
    # The tags of a file that is made already may have been put right.
    write_tagged(root / "x" / "track7.mp3", {**TAGS, "title": "Feeling good (Live)"})
    assert run(command) == 0
    assert {entry.title for entry in read_manifest(out)} >= {"Feeling good"}


def test_the_reading_is_told_before_any_work(tmp_path, capsys, monkeypatch):
    soundfile.write(tmp_path / "Muse - Help.wav", np.sin(np.arange(44100) / 9), 44100)

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("kinet.extraction.extract_all", stop)
    assert run(["extract", str(tmp_path), "--out", str(tmp_path / "data")]) == 130
    assert "such as Muse - Help.wav: song help, version Muse" in capsys.readouterr().err


def test_a_reading_does_not_go_with_a_data_set(tmp_path, capsys):
    command = ["extract", "--dataset", "covers80", str(tmp_path), "--out", str(tmp_path / "x")]
    assert run([*command, "--songs-by", "tags"]) == 2
    assert "--songs-by is for folders of your own" in capsys.readouterr().err


def test_a_file_that_is_named_beside_its_folder_is_the_same_recording(tmp_path):
    for name in ("good.wav", "other.wav"):
        (tmp_path / name).touch()
    found = read_sources([tmp_path, tmp_path / "good.wav"])
    assert [(source.path.name, source.fault) for source in found] == [
        ("good.wav", ""),
        ("other.wav", ""),
    ]
