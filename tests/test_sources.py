"""Files, folders and CSV files to recordings with ids; every way in which they cannot be used."""

from __future__ import annotations

import itertools
import os
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinet.errors import DataError
from kinet.extraction.naming import Source, make_id
from kinet.extraction.sources import distinct, read_sources
from kinet.reading import show_path

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


@pytest.fixture
def music(tmp_path):
    """A function that makes empty files in a folder ``music``."""

    def put(*names):
        for name in names:
            path = tmp_path / "music" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "music"

    return put


def ids(sources):
    return [(source.song_id, source.version_id) for source in sources]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("yesterday", "yesterday"),
        ("  Let It\tBe ", "Let-It-Be"),
        ("01. Für Elise", "01.-Für-Elise"),
        ("AC/DC: Live? <1>", "AC-DC-Live-1-"),
        ("под небом", "под-небом"),
        ("ね\u3000こ", "ね-こ"),
        ("u\u0308", "ü"),  # a letter and a combining mark become one character
        ("a_b", "a_b"),
        ("\0\x1f", "-"),
        ("caf\udce9", "caf-"),  # a byte that is no UTF-8
        ("", "-"),
    ],
)
def test_an_id_keeps_letters_and_loses_white_space_and_what_file_names_cannot_hold(name, expected):
    assert make_id(name) == expected


def test_a_long_id_is_cut_and_keeps_apart_what_was_different():
    one, other = make_id("a" * 300), make_id("a" * 299 + "b")
    assert one != other
    assert one.startswith("a" * 91 + "-")
    assert len(one) == len(other) == 100
    assert make_id("a" * 100) == "a" * 100
    assert len(make_id("é" * 60).encode()) <= 100


@given(st.text(max_size=120))
def test_an_id_names_a_file_and_a_field_of_a_list_and_its_id_is_itself(name):
    made = make_id(name)
    assert made.split() == [made]
    assert not set(made) & set('/\\:*?"<>|\0')
    assert 1 <= len(made.encode()) <= 100
    assert make_id(made) == made == unicodedata.normalize("NFC", made)


def test_a_folder_in_a_folder_is_a_song_and_its_files_are_versions(music):
    root = music("Let It Be/studio.flac", "Let It Be/live 1970.MP3", "Help/mono.ogg")
    assert ids(read_sources([root])) == [
        ("Help", "mono"),
        ("Let-It-Be", "live-1970"),
        ("Let-It-Be", "studio"),
    ]


def test_a_song_deeper_down_is_named_by_all_folders_on_the_way(music):
    root = music("Beatles/Help/mono.ogg", "Cash/Help/live.ogg")
    assert ids(read_sources([root])) == [("Beatles-Help", "mono"), ("Cash-Help", "live")]


def test_a_file_on_its_own_is_a_song_of_its_own(music):
    root = music("b.mp3", "a.wav", "song/c.wav")
    both = [("a", "1"), ("b", "1"), ("song", "c")]
    assert ids(read_sources([root])) == both
    assert ids(read_sources([root / "b.mp3", root / "a.wav"])) == both[:2]
    assert ids(read_sources([root / "song"])) == [("c", "1")]


def test_only_audio_and_video_of_a_folder_counts_and_hidden_files_do_not(music):
    names = ["a/1.wav", "a/cover.jpg", "a/list.m3u", "a/._1.wav", ".trash/x/2.wav", "a/3.mp4"]
    root = music(*names, "a/notes.csv", "a/noending")
    assert ids(read_sources([root])) == [("a", "1"), ("a", "3")]


def test_a_file_that_is_named_need_not_end_like_audio(music):
    root = music("recording.bin")
    assert ids(read_sources([root / "recording.bin"])) == [("recording", "1")]


def test_the_order_is_that_of_the_ids_whatever_the_order_of_the_arguments(music):
    root = music("z/2.wav", "z/10.wav", "B/1.wav", "a/1.wav", "c.wav")
    arguments = [root / "z" / "2.wav", root / "B", root / "c.wav"]
    results = [read_sources(order) for order in itertools.permutations(arguments)]
    assert all(result == results[0] for result in results)
    assert ids(read_sources([root])) == [
        ("B", "1"), ("a", "1"), ("c", "1"), ("z", "10"), ("z", "2"),
    ]  # fmt: skip


def test_the_order_in_which_a_file_system_lists_does_not_matter(music, monkeypatch, tmp_path):
    root = music("b/1.wav", "b/2.wav", "a/1.wav", "c.wav")
    expected = read_sources([root])
    (tmp_path / "two").mkdir()
    for name in ("x y.wav", "x-y.wav"):
        (tmp_path / "two" / name).touch()
    said = clashes([tmp_path / "two"])
    assert [path.name for path in said] == ["x y.wav", "x-y.wav"]
    walk = os.walk

    def backwards(*args, **kwargs):
        for folder, names, files in walk(*args, **kwargs):
            names.sort(reverse=True)
            yield folder, names, sorted(files, reverse=True)

    monkeypatch.setattr(os, "walk", backwards)
    assert read_sources([root]) == expected
    assert clashes([tmp_path / "two"]) == said


def test_the_same_argument_twice_is_the_same_recording(music):
    root = music("a/1.wav", "b.wav")
    assert read_sources([root, root]) == read_sources([root])


@needs_links
def test_links_to_folders_are_followed_once_and_loops_end(music, tmp_path):
    root = music("a/1.wav", "a/deep/2.wav")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "3.wav").touch()
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "up").symlink_to(tmp_path)
    (root / "0-again").symlink_to(root / "a")
    (root / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(elsewhere)
    assert ids(read_sources([root])) == [("a", "1"), ("a-deep", "2"), ("linked", "3")]


@needs_links
def test_a_broken_link_is_a_recording_that_will_fail(music):
    root = music("a/1.wav")
    (root / "a" / "2.wav").symlink_to("nowhere.wav")
    assert ids(read_sources([root])) == [("a", "1"), ("a", "2")]


def message(arguments):
    with pytest.raises(DataError) as caught:
        read_sources(arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_source(tmp_path):
    said = message([tmp_path / "absent.wav"])
    assert said.startswith(f"{tmp_path / 'absent.wav'}: missing; need an audio file, a folder")


def test_a_folder_without_audio(music):
    root = music("a/cover.jpg")
    assert message([root]).startswith(f"{root}: a folder without audio; need an audio file")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read(music):
    root = music("a/1.wav", "b/1.wav")
    (root / "a").chmod(0)
    try:
        assert "unreadable (Permission denied)" in message([root])
    finally:
        (root / "a").chmod(0o700)


def test_a_folder_that_cannot_be_listed_is_named(music, monkeypatch):
    root = music("a/1.wav")

    def fail(path):
        raise PermissionError(13, "Permission denied", os.fspath(path))

    monkeypatch.setattr(os, "scandir", fail)
    assert message([root]).startswith(f"{root}: unreadable (Permission denied); need")


def clashes(arguments):
    """What is said of recordings whose ids are taken, by path."""
    return {source.path: source.fault for source in read_sources(arguments) if source.fault}


def test_two_songs_of_one_id(music):
    root = music("one/a b/1.wav", "two/a-b/2.wav", "two/c/1.wav")
    remedy = "rename one, or give ids in a .csv file"
    one, other = root / "one/a b/1.wav", root / "two/a-b/2.wav"
    assert clashes([root / "one", root / "two"]) == {
        one: f"two songs have the id a-b, this and that of {other}; {remedy}",
        other: f"two songs have the id a-b, this and that of {one}; {remedy}",
    }


def test_a_file_and_a_folder_of_one_id(music):
    root = music("x/1.wav", "x.wav")
    assert set(clashes([root])) == {root / "x/1.wav", root / "x.wav"}


def test_two_versions_of_one_id(music):
    root = music("x/live.wav", "x/live.mp3", "x/studio.mp3")
    remedy = "rename one, or give ids in a .csv file"
    one, other = root / "x/live.mp3", root / "x/live.wav"
    assert clashes([root]) == {
        one: f"would be x_live.npy, as {other} (song x, version live); {remedy}",
        other: f"would be x_live.npy, as {one} (song x, version live); {remedy}",
    }


@pytest.mark.parametrize(
    "pairs",
    [
        [("a_b", "c"), ("a", "b_c")],
        [("Help", "1"), ("help", "1")],  # one file where capital and small letters are the same
        [("straße", "1"), ("STRASSE", "1")],
    ],
)
def test_ids_that_give_one_file_name(pairs):
    sources = [Source(Path(f"{number}.wav"), *pair) for number, pair in enumerate(pairs)]
    said = {source.path.name: source.fault for source in distinct(sources)}
    assert "1.wav" in said["0.wav"]
    assert "0.wav" in said["1.wav"]


def test_recordings_are_sorted_and_each_is_there_once():
    one, other = Source(Path("z.wav"), "a", "2"), Source(Path("a.wav"), "b", "1")
    assert distinct([other, one, other]) == [one, other]


def csv_file(folder, text, encoding="utf-8"):
    path = folder / "songs.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_csv_file_gives_paths_and_ids(tmp_path):
    text = "Version_ID,path, song_id ,year\n1,a/x y.wav,s1,1970\n\n2,/abs/z.mp3,s1,\n"
    path = csv_file(tmp_path, text.replace("\n", "\r\n"), "utf-8-sig")
    assert read_sources([path]) == [
        Source(tmp_path / "a/x y.wav", "s1", "1"),
        Source(Path("/abs/z.mp3"), "s1", "2"),
    ]


def test_two_csv_files_may_speak_of_one_song(tmp_path):
    head = "path,song_id,version_id\n"
    (tmp_path / "1.csv").write_text(head + "a.wav,s,1\n")
    (tmp_path / "2.CSV").write_text(head + '"b, live.wav",s,2\n')
    found = read_sources([tmp_path / "2.CSV", tmp_path / "1.csv"])
    assert [source.path.name for source in found] == ["a.wav", "b, live.wav"]


def test_a_song_of_a_csv_file_and_a_folder_of_the_same_id(tmp_path, music):
    path = csv_file(tmp_path, "path,song_id,version_id\na.wav,x,1\n")
    found = clashes([path, music("x/2.wav")])
    assert [said[:26] for said in found.values()] == ["two songs have the id x, t"] * 2


HEAD = "path,song_id,version_id\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "songs.csv:1: no column 'path' in ''; need a first line with path,song_id,version_id"),
        ("a.wav,s,1\n", "songs.csv:1: no column 'path' in 'a.wav,s,1'; need a first line"),
        ("path,song_id\na,b\n", "songs.csv:1: no column 'version_id' in 'path,song_id'; need"),
        (HEAD, "songs.csv: no recordings; need lines of path,song_id,version_id"),
        (HEAD + "a.wav,s\n", "songs.csv:2: 2 fields; need 3, as in the first line"),
        (HEAD + "a.wav,s,1,2\n", "songs.csv:2: 4 fields; need 3, as in the first line"),
        (HEAD + " ,s,1\n", "songs.csv:2: no path; need a file and two ids"),
        (HEAD + "\na.wav, ,1\n", "songs.csv:3: no song_id; need a file and two ids"),
        (HEAD + "a.wav,s,\n", "songs.csv:2: no version_id; need a file and two ids"),
        (HEAD + "a.wav,Let It Be,1\n", "songs.csv:2: song_id is 'Let It Be'; allowed: up to 100"),
        (HEAD + "a.wav,s,a/b\n", "'/' and such, as 'a-b'"),
        (HEAD + '"a.wav,s,1\n', "songs.csv:2: unexpected end of data; need CSV"),
    ],
)
def test_a_csv_file_that_cannot_be_used(tmp_path, text, said):
    assert said in message([csv_file(tmp_path, text)])


def test_a_csv_file_that_is_no_text(tmp_path):
    path = tmp_path / "songs.csv"
    path.write_bytes(b"\xff\xfe\x00")
    assert message([path]) == f"{path}: not UTF-8 text; need path,song_id,version_id"


def test_a_csv_file_that_cannot_be_read(tmp_path, monkeypatch):
    path = csv_file(tmp_path, HEAD)

    def fail(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("kinet.extraction.sources.read_text", fail)
    assert message([path]).startswith(f"{path}: unreadable (Permission denied); need")


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_no_text_gets_an_id_and_can_be_shown(music):
    root = music(os.fsdecode(b"song/caf\xe9.wav"))
    [source] = read_sources([root])
    assert source.version_id == "caf-"
    assert source.path.exists()
    assert show_path(source.path).endswith("caf�.wav")
    show_path(source.path).encode()
