"""Covers80 and SHS100K: miniatures of their layouts, coverage, and what can be wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kinet.cli import run
from kinet.data.tracks import read_tracks
from kinet.datasets import Dataset, registry
from kinet.datasets.coverage import files_of, write_coverage
from kinet.datasets.covers80 import read_covers80
from kinet.datasets.shs100k import read_shs100k
from kinet.errors import DataError, PluginError
from kinet.extraction.sources import read_sources

PAIRS = [
    ("Lodi/tesla+Five_Man_Jam+09-Lodi", "Lodi/ccr+Live+08-Lodi"),
    ("Tush/zz_top+Fandango+09-Tush", "Tush/nazareth+_Snaz+16-Tush"),
    ("Let_It_Be/nick_cave+I_am_Sam+20-Let_It_Be", "Let_It_Be/beatles+1+26-Let_It_Be"),
]
THIRD = "Let_It_Be/beatles+Let_It_Be+06-Let_It_Be"


def lists_of(folder, suffix=".list", pairs=PAIRS):
    for number in (0, 1):
        lines = "".join(f"{pair[number]}\n" for pair in pairs)
        Path(folder, f"list{number + 1}{suffix}").write_text(lines)


def touch(folder, *names):
    for name in names:
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def tone(path, frequency):
    """A second of a tone: two vectors."""
    time = np.arange(44100) / 44100
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.sin(2 * np.pi * frequency * time), 44100)


@pytest.fixture
def covers80(tmp_path):
    """Three songs as the archive unpacks, with a third version that is in no list; empty files."""
    root = tmp_path / "coversongs" / "covers32k"
    touch(root, *(f"{name}.mp3" for pair in PAIRS for name in pair), f"{THIRD}.mp3", "README.txt")
    lists_of(root)
    return root


def ids(sources):
    return [(source.song_id, source.version_id) for source in sources]


@pytest.fixture
def said(capsys):
    """What a command says to a person, on stderr."""
    return lambda: capsys.readouterr().err


# Covers80


def test_covers80_has_the_versions_of_both_lists_under_the_names_of_folders_and_files(covers80):
    found = read_covers80(covers80)
    assert ids(found.sources) == [
        ("Let_It_Be", "beatles+1+26-Let_It_Be"),
        ("Let_It_Be", "nick_cave+I_am_Sam+20-Let_It_Be"),
        ("Lodi", "ccr+Live+08-Lodi"),
        ("Lodi", "tesla+Five_Man_Jam+09-Lodi"),
        ("Tush", "nazareth+_Snaz+16-Tush"),
        ("Tush", "zz_top+Fandango+09-Tush"),
    ]
    assert found.sources[2].path == covers80 / "Lodi" / "ccr+Live+08-Lodi.mp3"
    assert (found.missing, found.unlisted) == ((), (covers80 / f"{THIRD}.mp3",))
    assert found.listed == ids(found.sources)


def test_covers80_gives_the_ids_that_its_folder_alone_would_give(covers80):
    found = read_covers80(covers80)
    alone = {source for source in read_sources([covers80]) if source.path not in found.unlisted}
    assert set(found.sources) == alone


@pytest.mark.parametrize("given", [".", "coversongs", "coversongs/covers32k"])
@pytest.mark.parametrize("place", [".", "coversongs", "coversongs/covers32k"])
@pytest.mark.parametrize("suffix", [".list", ".txt"])
def test_covers80_is_found_from_each_of_its_folders(tmp_path, covers80, given, place, suffix):
    for path in covers80.glob("list*"):
        path.unlink()
    lists_of(tmp_path / place, suffix)
    if len(place) < len(given):
        with pytest.raises(DataError, match=r"no list1.list and list2.list"):
            read_covers80(tmp_path / given)
    else:
        assert len(read_covers80(tmp_path / given).sources) == 6


def test_a_track_of_covers80_may_be_converted_and_may_be_missing(covers80):
    (covers80 / f"{PAIRS[0][0]}.mp3").rename(covers80 / f"{PAIRS[0][0]}.wav")
    (covers80 / f"{PAIRS[1][1]}.mp3").unlink()
    found = read_covers80(covers80)
    assert found.sources[3].path.suffix == ".wav"
    assert ids(found.missing) == [("Tush", "nazareth+_Snaz+16-Tush")]
    assert found.missing[0].path == covers80 / f"{PAIRS[1][1]}.mp3"
    assert len(found.listed) == 6


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (["Lodi/a", "Tush/b"], r"list1.list has 3 lines and \S+list2.list 2; need two versions"),
        (["Lodi/a", "b", "c/d"], r"list2.list:2: 'b'; need '<song>/<file without ending>'"),
        (["a/Lodi/x", "Tush/b", "c/d"], r"list2.list:1: 'a/Lodi/x'; need '<song>/<file"),
        (["../x", "Tush/b", "c/d"], r"list2.list:1: '../x'; need '<song>/<file without"),
        (["Lodi/a", "Lodi/b", "c/d"], r"list2.list:2: 'Lodi', but the other version is of 'Tush'"),
        (["Lodi/a", PAIRS[1][0], "c/d"], r"list2.list:2: 'Tush/zz\S+' is listed before; list each"),
    ],
)
def test_lists_of_covers80_that_are_no_pairs_are_refused(covers80, second, message):
    (covers80 / "list2.list").write_text("\n".join(second) + "\n")
    with pytest.raises(DataError, match=message):
        read_covers80(covers80)


def test_two_recordings_of_one_track_are_refused(covers80):
    touch(covers80, f"{PAIRS[0][0]}.wav", f"{PAIRS[1][0]}.wav")
    with pytest.raises(DataError, match=r"are both version tesla.+ of song Lodi, as of 1 other"):
        read_covers80(covers80)


def test_covers80_without_its_audio_is_refused(tmp_path):
    lists_of(tmp_path)
    with pytest.raises(DataError, match=r"none of the 6 listed tracks is in .+; need Let_It_Be/be"):
        read_covers80(tmp_path)


def test_extract_of_covers80_makes_what_is_there_and_tells_the_rest(tmp_path, said, capsys):
    root = tmp_path / "covers32k"
    for number, name in enumerate([*(name for pair in PAIRS for name in pair), THIRD]):
        tone(root / f"{name}.wav", 220 + 20 * number)
    lists_of(root)
    (root / f"{PAIRS[1][1]}.wav").unlink()
    out = tmp_path / "out"
    command = [
        "extract",
        "--dataset",
        "covers80",
        str(tmp_path),
        "--out",
        str(out),
        "--workers",
        "1",
    ]
    assert run([*command, "--json"]) == 1
    streams = capsys.readouterr()
    report = json.loads(streams.out)
    assert (report["done"], len(report["failed"])) == (5, 1)
    assert report["failed"][0]["message"] == "missing"
    assert report["failed"][0]["version_id"] == "nazareth+_Snaz+16-Tush"
    assert "5 of 6 listed tracks are there, of 3 songs listed\n" in streams.err
    assert f"not in the lists and left out: {root / THIRD}.wav\n" in streams.err
    assert len(read_tracks(out / "list", out)) == 5
    assert not list(out.glob("there-*"))
    tone(root / f"{PAIRS[1][1]}.wav", 500)
    assert run(command) == 0
    assert "1 made" in said()


# SHS100K

VIDEO = "-aB_cD3fG-h"
LINKS = (
    f"12\t3\tA Title, with spaces\tSomeone\thttps://www.youtube.com/watch?v={VIDEO}\t1\n"
    '12\t4\tIt "Ain\'t" So\tThe Others\thttps://youtu.be/ABCDEFGHIJK?t=5\t1\r\n'
    "5982\t0\tThird\tThem\thttps://www.youtube.com/watch?list=x&v=abcdefghijk&x=1\t0\n"
    "5982\t1\tFourth\tThem\tgone\t0\n"
)
ALL = [("12", "3"), ("12", "4"), ("5982", "0"), ("5982", "1")]


@pytest.fixture
def lists(tmp_path):
    """The full list, and one with the ids alone."""
    (tmp_path / "list").write_text(LINKS)
    (tmp_path / "SHS100K-TEST").write_text("".join(f"{s}\t{v}\n" for s, v in ALL))
    return tmp_path


@pytest.mark.parametrize(
    "names",
    [
        ["12_3.mp3", "12_4.m4a", "5982_0.webm"],
        ["12/3.mp3", "12/4.mp3", "5982/0.mp3"],
        ["audio/test/12_3.mp3", "deep/12/4.mp3", "5982_0.WAV"],
    ],
)
def test_recordings_of_shs100k_are_found_by_song_and_version(lists, names):
    touch(lists / "audio", *names, "12_5.mp3", "12_4.txt", ".12_4.mp3", "12_4.mp3.part")
    found = read_shs100k(lists / "audio", lists / "SHS100K-TEST")
    assert ids(found.sources) == ALL[:3]
    assert [source.path for source in found.sources] == [lists / "audio" / name for name in names]
    assert ids(found.missing) == ALL[3:]
    assert found.unlisted == (lists / "audio" / "12_5.mp3",)
    assert found.listed == ALL


@pytest.mark.parametrize(
    "names",
    [
        [f"{VIDEO}.m4a", "ABCDEFGHIJK.webm", "abcdefghijk.opus"],
        [f"A Title [{VIDEO}].m4a", "B [ABCDEFGHIJK].mkv", "Third [abcdefghijk].mp3"],
        [f"A Title-{VIDEO}.m4a", "B - b-ABCDEFGHIJK.mp4", "x-abcdefghijk.mp3"],
    ],
)
def test_recordings_of_shs100k_are_found_by_youtube_id_with_its_capitals(lists, names):
    touch(lists / "audio", *names)
    by_links = read_shs100k(lists / "audio", lists / "SHS100K-TEST", lists / "list")
    by_list = read_shs100k(lists / "audio", lists / "list")
    assert by_links == by_list
    assert [source.path.name for source in by_list.sources] == names
    assert ids(by_list.sources) == ALL[:3]
    with pytest.raises(DataError, match=r"none of the 4 tracks of .+SHS100K-TEST is among the 3"):
        read_shs100k(lists / "audio", lists / "SHS100K-TEST")


def test_one_video_can_be_two_tracks(lists):
    with (lists / "list").open("a") as file:
        file.write(f"8110\t2\tAgain\tSomeone\thttps://www.youtube.com/watch?v={VIDEO}\t1\n")
    touch(lists / "audio", f"{VIDEO}.m4a")
    assert ids(read_shs100k(lists / "audio", lists / "list").sources) == [ALL[0], ("8110", "2")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("12 3\n12\n", r"TEST:2: 1 fields in '12'; need lines '<song> <version>', or"),
        ("12\t3\tA Title\n", r"TEST:1: 3 fields in '12\\t3\\tA Title'; need lines '<song>"),
        ("12 3\n\n12\t3\n", r"TEST:3: song 12 version 3 is listed before; list each track once"),
        ("12/3 1\n", r"TEST:1: the id '12/3'; allowed: up to 100 bytes .+, as '12-3'"),
        ("\n \n", r"TEST: no lines; need lines '<song> <version>'"),
        (b"\xff\xfe1 2\n", r"TEST: not UTF-8 text; need lines '<song> <version>'"),
        (None, r"TEST: missing; need lines '<song> <version>'"),
    ],
)
def test_lists_of_shs100k_that_cannot_be_used_are_refused(lists, text, message):
    touch(lists / "audio", "12_3.mp3")
    path = lists / "SHS100K-TEST"
    path.unlink()
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        read_shs100k(lists / "audio", path)


def test_links_need_urls(lists):
    touch(lists / "audio", "12_3.mp3")
    with pytest.raises(DataError, match=r"TEST:1: 2 fields in '12\\t3'; need tab-separated lines"):
        read_shs100k(lists / "audio", lists / "list", lists / "SHS100K-TEST")


def test_a_recording_by_id_and_one_by_number_are_two(lists):
    touch(lists / "audio", f"{VIDEO}.m4a", "12_3.mp3")
    with pytest.raises(DataError, match="are both version 3 of song 12; keep one recording of a"):
        read_shs100k(lists / "audio", lists / "list")


def test_extract_of_shs100k_tells_the_coverage_and_goes_on(lists, said):
    audio, out = lists / "audio", lists / "out"
    tone(audio / "12_3.wav", 220)
    tone(audio / "5982" / "0.wav", 330)
    tone(audio / "99_1.wav", 440)
    command = ["extract", "--dataset", "shs100k", str(audio), "--out", str(out), "--workers", "1"]
    command += ["--list", str(lists / "SHS100K-TEST")]
    assert run(command) == 0
    told = said()
    assert "2 of 4 listed tracks are there, of 2 songs listed\n" in told
    assert f"1 audio files not in the list and left out, first {audio / '99_1.wav'}\n" in told
    assert "2 of 4 listed tracks have features: " in told
    assert (out / "there-SHS100K-TEST").read_text() == "12\t3\n5982\t0\n"
    assert (out / "missing-SHS100K-TEST").read_text() == "12\t4\n5982\t1\n"
    touch(audio, "12_4.wav")  # without sound
    tone(audio / "5982_1.wav", 550)
    assert run(command) == 1
    assert "3 of 4 listed tracks have features: " in said()
    assert (out / "missing-SHS100K-TEST").read_text() == "12\t4\n"
    tracks = read_tracks(out / "there-SHS100K-TEST", out)
    assert [(track.song_id, track.version_id) for track in tracks] == [ALL[0], *ALL[2:]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--list", "x"], "--list goes with --dataset shs100k."),
        (["--links", "x", "--dataset", "covers80"], "--links goes with --dataset shs100k."),
        (
            ["--accept-other-features", "--dataset", "covers80"],
            "--accept-other-features goes with --dataset da-tacos.",
        ),
        (["--dataset", "shs100k"], "--dataset shs100k needs --list."),
        (["--dataset", "covers80", "b"], "--dataset takes one folder, not 2 sources."),
    ],
)
def test_options_that_do_not_belong_together_are_refused(arguments, message, said, tmp_path):
    assert run(["extract", "a", "--out", str(tmp_path / "out"), *arguments]) == 2
    assert message in said()
    assert not (tmp_path / "out").exists()


def test_an_unknown_data_set_gets_a_guess(said, tmp_path):
    assert run(["extract", "a", "--out", str(tmp_path / "out"), "--dataset", "covers81"]) == 1
    assert said().startswith(
        "kinet: unknown data set 'covers81', did you mean 'covers80'? Known: covers80, da-tacos, "
        "shs100k."
    )
    assert not (tmp_path / "out").exists()


OWN = """
from pathlib import Path
from kinet.datasets import AudioDataset, Found
from kinet.extraction.naming import Source

def read(folder, list_file):
    sources = [Source(Path(folder, line), *line.split(".")[0].split("-"))
               for line in list_file.read_text().split()]
    there = [source for source in sources if source.path.is_file()]
    return Found(tuple(there), tuple(s for s in sources if s not in there), ())

dataset = AudioDataset("mine", "files that a list names", read, needs=("list_file",))
"""


@pytest.mark.parametrize("is_installed", [True, False])
def test_a_data_set_of_others_is_read_like_the_built_in_ones(
    tmp_path, said, install, monkeypatch, is_installed
):
    monkeypatch.setattr(registry, "_registered", {})
    command = ["extract", "--dataset", "mine", str(tmp_path), "--out", str(tmp_path / "out")]
    if is_installed:
        install("mine", "1.0", {"kinet.datasets": {"mine": "my_data:dataset"}}, {"my_data": OWN})
    else:
        source = f"{OWN}\nfrom kinet.datasets import register\nregister(dataset)\n"
        Path(tmp_path, "my_file.py").write_text(source)
        command += ["--plugin", str(tmp_path / "my_file.py")]
    tone(tmp_path / "a-1.wav", 220)
    Path(tmp_path, "TEST").write_text("a-1.wav a-2.wav")
    assert run(command) == 2
    assert "--dataset mine needs --list." in said()
    assert run([*command, "--list", str(tmp_path / "TEST"), "--workers", "1"]) == 0
    assert "1 of 2 listed tracks have features: " in said()
    assert (tmp_path / "out" / "missing-TEST").read_text() == "a\t2\n"
    assert run(["extract", "a", "--out", "b", "--list", "x"]) == 2
    assert "--list goes with --dataset mine or shs100k." in said()
    sys.modules.pop("my_file", None)


def test_a_data_set_of_neither_kind_is_refused():
    with pytest.raises(PluginError, match="'x' is a Dataset alone; it must be an AudioDataset or"):
        Dataset("x", "neither")


# What both share


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder; need the folder of the data set"):
        files_of(tmp_path / "absent")


def test_links_to_folders_are_followed_once(tmp_path):
    touch(tmp_path, "data/a.mp3", "elsewhere/b.mp3")
    (tmp_path / "data" / "there").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "back").symlink_to(tmp_path / "data")
    found = files_of(tmp_path / "data")
    assert [path.name for path in found] == ["a.mp3", "b.mp3"]


def test_coverage_that_cannot_be_written_is_told_in_one_line(tmp_path):
    with pytest.raises(DataError, match=r"^cannot write .+there-TEST: No such file or directory;"):
        write_coverage(tmp_path / "absent", "TEST", [("1", "2")])
