"""Paths in object stores: what is read there and put there is what files here would be."""

from __future__ import annotations

import copy
import datetime
import filecmp
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import s3_server
from audio_files import sound, write
from dask_servers import cluster_here
from s3_server import copy_to

from kinet import remote
from kinet.cli import run
from kinet.cluster import Cluster
from kinet.config import FeatureConfig
from kinet.data.fetching import local_features
from kinet.data.manifest import read_manifest
from kinet.data.settings_file import require_own
from kinet.data.tracks import read_tracks
from kinet.errors import DataError, SettingsError
from kinet.extraction import extract_all, recording
from kinet.extraction.inputs import read_inputs
from kinet.extraction.sources import read_sources
from kinet.library import Library
from kinet.page.sound import compact_sound
from kinet.reading import status_of
from kinet.remote import Url, path_or_url, stores

fsspec = pytest.importorskip("fsspec")
# What speaks to S3 leaves sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*<socket:pytest.PytestUnraisableExceptionWarning"),
]
SONGS = {"a/x.wav": 2.0, "a/y.wav": 2.5, "b/x.wav": 3.0}


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Two songs, and files that are none."""
    folder = tmp_path_factory.mktemp("remote") / "music"
    for name, seconds in SONGS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, sound(seconds))
    (folder / "b" / "bad.wav").write_bytes(b"no sound")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "z.wav").write_bytes(b"no sound")
    (folder / "a" / "cover.jpg").write_bytes(b"no sound")
    return folder


@pytest.fixture
def memory(music):
    """The same in a store that is in the memory of this process."""
    store = fsspec.filesystem("memory")
    copy_to("memory://music", music)
    yield "memory://"
    store.store.clear()
    store.pseudo_dirs[:] = [""]


def names_in(url):
    return sorted(each.name for each in remote.urls_below(path_or_url(url)))


def fetched(url, folder):
    """What is in a folder of a store, in one of this machine."""
    folder.mkdir()
    for each in remote.urls_below(path_or_url(url)):
        (folder / each.name).write_bytes(remote.get(each))
    return folder


def same_files(one, other, but=("manifest.csv",)):
    names = sorted(set(os.listdir(one)) - set(but))
    assert sorted(set(os.listdir(other)) - set(but)) == names
    return filecmp.cmpfiles(one, other, names, shallow=False)[0] == names


@pytest.fixture(scope="module")
def expected(music, tmp_path_factory):
    """Features that are made without a store."""
    out = tmp_path_factory.mktemp("expected") / "out"
    extract_all(read_sources([music], "folder"), out, workers=1)
    return out


@pytest.mark.parametrize(
    "text",
    [
        *("s3://", "s3:///x", "s3://key:secret@music/x", "s3://key:se/cret@music/x", "gs://a:b/x"),
        *("ftp://key:secret@music/x", "https://music/x?signature=secret", "file://music/x"),
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(text, tmp_path, capsys):
    with pytest.raises(DataError, match=r"^\w+://\.\.\. .*; need a path of this machine") as caught:
        path_or_url(text)
    assert "cret" not in str(caught.value)
    assert run(["extract", text, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "cret" not in said
    assert len(said.strip().splitlines()) == 1


def test_who_mistypes_a_database_is_told_how_it_is_written(capsys):
    assert run(["index", "info", "postgresq://ann:secret@host/covers"]) == 2
    said = capsys.readouterr().err
    assert "postgresq://... is no address that kinet reads" in said
    assert "a library may be in postgresql://host/database too" in said
    assert "secret" not in said


def test_paths_stay_paths(tmp_path):
    assert path_or_url(tmp_path) == tmp_path
    assert path_or_url("music/a.wav") == Path("music/a.wav")
    assert path_or_url(f"file://{tmp_path}") == tmp_path
    url = path_or_url("S3://music/a b?c#d.wav")
    assert (str(url), path_or_url(url)) == ("s3://music/a b?c#d.wav", url)


def test_addresses_are_compared_by_their_text():
    url = Url("s3", "music/a.wav", stores.Status(1, 2))
    assert url == Url("s3", "music/a.wav") == copy.deepcopy(url)
    assert hash(url) == hash(Url("s3", "music/a.wav"))
    mixed = [url, Path("/z"), Url("gs", "x/b"), Path("/a")]
    assert list(map(str, sorted(mixed))) == ["/a", "/z", "gs://x/b", "s3://music/a.wav"]
    assert url.is_relative_to(Url("s3", "music"))
    assert not url.is_relative_to(Url("s3", "mus"))
    assert not url.is_relative_to(Path("/music"))
    with pytest.raises(ValueError, match="is not below"):
        url.relative_to(Url("s3", "mus"))
    assert Url("s3", "music/x") / "../a.wav" == url


@pytest.mark.parametrize(
    "told",
    [
        {"LastModified": datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)},
        {"mtime": datetime.datetime(2026, 1, 2, 3, 4, 5, 6)},
        {
            "created": datetime.datetime(
                2026, 1, 2, 4, 4, 5, 6, datetime.timezone(datetime.timedelta(hours=1))
            )
        },
    ],
)
def test_times_are_those_of_files(told):
    # date -u -d "2026-01-02 03:04:05" +%s
    assert stores.status_in({"size": 7, **told}) == stores.Status(7, 1767323045_000006000)


def test_features_of_a_store_in_a_store_are_those_of_files(memory, music, expected, tmp_path):
    steps = []
    sources = read_sources(["memory://music"], "folder")
    report = extract_all(sources, "memory://out/f", workers=1, progress=lambda *s: steps.append(s))
    assert [step[:2] for step in steps] == [(i, 4) for i in range(5)]
    assert same_files(fetched("memory://out/f", tmp_path / "out"), expected)
    there = {(e.song_id, e.version_id): e for e in read_manifest(expected)}
    for entry in read_manifest("memory://out/f"):
        other = there[entry.song_id, entry.version_id]
        assert (entry.bytes, entry.vectors, entry.title) == (
            other.bytes,
            other.vectors,
            other.title,
        )
        assert entry.source == other.source.replace(str(music), "memory://music")
        assert entry.modified_ns == status_of(path_or_url(entry.source)).modified_ns
    [failure] = report.failed
    assert failure.source.path == Url("memory", "music/b/bad.wav")
    assert failure.message.startswith("no audio in a known format")


@pytest.mark.parametrize(("whence", "whither"), [("memory://music", ""), ("", "memory://out")])
def test_one_end_can_be_here(memory, music, expected, tmp_path, whence, whither):
    out = whither or tmp_path / "out"
    extract_all(read_sources([whence or music], "folder"), out, workers=1)
    assert same_files(fetched(out, tmp_path / "got") if whither else out, expected)


def test_a_run_goes_on_and_makes_what_is_not_whole(memory, expected, tmp_path):
    sources = read_sources(["memory://music"], "folder")
    extract_all(sources, "memory://out", workers=1)
    again = extract_all(sources, "memory://out", workers=1)
    assert (len(again.done), len(again.skipped), len(again.failed)) == (0, 3, 1)
    store = fsspec.filesystem("memory")
    store.rm("/out/a_x.npy")
    remote.put(path_or_url("memory://out/b_x.npy"), b"half")
    remote.put(
        path_or_url("memory://music/a/y.wav"), (Path(expected).parent / "out" / "list").read_bytes()
    )
    third = extract_all(sources, "memory://out", workers=1)
    made = [(entry.song_id, entry.version_id) for entry in third.done]
    # y was found as it was before: a listing is as old as the sources.
    assert (made, len(third.skipped)) == ([("a", "x"), ("b", "x")], 1)
    fourth = extract_all(read_sources(["memory://music"], "folder"), "memory://out", workers=1)
    assert [f.source.version_id for f in fourth.failed] == ["y", "bad"]


def test_a_job_that_is_done_twice_puts_the_same(memory, music, expected):
    target = Url("memory", "out/a_x.npy")
    job = recording.Job(Url("memory", "music/a/x.wav"), target, FeatureConfig())
    first = recording.make(job, lambda: None)
    content = remote.get(target)
    assert recording.make(job, lambda: None) == first
    assert remote.get(target) == content == (expected / "a_x.npy").read_bytes()
    assert names_in("memory://out") == ["a_x.npy"]


def test_what_is_fetched_does_not_stay(memory, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    job = recording.Job(Url("memory", "music/b/bad.wav"), Url("memory", "o/b.npy"), FeatureConfig())
    assert isinstance(recording.make(job, lambda: None), recording.Refused)
    assert os.listdir(tmp_path) == []


def test_features_of_others_are_not_mixed_with(memory):
    remote.put(path_or_url("memory://out/x_1.npy"), b"")
    with pytest.raises(DataError, match=r"memory://out holds x_1\.npy without a features\.json"):
        require_own(path_or_url("memory://out"), FeatureConfig(), "this run")


def test_a_csv_file_names_files_here_and_there(memory, music, tmp_path):
    lines = f"path,song_id,version_id\na/x.wav,s,1\n../music/a/y.wav,s,2\n{music}/b/x.wav,t,1\n"
    remote.put(path_or_url("memory://music/list.csv"), lines.encode())
    (tmp_path / "list.csv").write_text("path,song_id,version_id\nmemory://music/b/x.wav,u,1\n")
    found = read_sources(
        ["memory://music/list.csv", tmp_path / "list.csv", "memory://music/a/x.wav"]
    )
    assert [(source.song_id, str(source.path)) for source in found] == [
        ("s", "memory://music/a/x.wav"),
        ("s", "memory://music/a/y.wav"),
        ("t", f"{music}/b/x.wav"),
        ("u", "memory://music/b/x.wav"),
        ("x", "memory://music/a/x.wav"),
    ]


def test_sources_that_are_not_there_are_told(memory):
    remote.put(path_or_url("memory://texts/readme"), b"")
    with pytest.raises(DataError, match=r"^memory://nothing: missing; need an audio file"):
        read_sources(["memory://nothing"])
    with pytest.raises(DataError, match=r"^memory://texts: a folder without audio; need"):
        read_sources(["memory://texts"])


def test_a_library_keeps_where_its_recordings_are(memory, music, tmp_path):
    with Library.create(tmp_path / "here", "fourier") as library:
        library.add([music], workers=1)
        [known] = library.find([music / "a" / "x.wav"], top=3)
    with Library.create(tmp_path / "there", "fourier") as library:
        added = library.add(["memory://music"], workers=1)
        assert [str(path) for path in added.added] == [f"memory://music/{name}" for name in SONGS]
        assert [str(each.path) for each in added.failed] == ["memory://music/b/bad.wav"]
        [answer] = library.find([music / "a" / "x.wav"], top=3)
        [same] = library.find(["memory://music/a/x.wav"], top=3)
        assert answer.matches == same.matches
        assert [m.score for m in answer.matches] == [m.score for m in known.matches]
        assert library.add(["memory://music"], workers=1).unchanged == 3
    with Library.open(tmp_path / "there") as library:
        assert {str(file.path) for file in library.files()} == {
            f"memory://music/{n}" for n in SONGS
        }
        store = fsspec.filesystem("memory")
        store.mv("/music/b/x.wav", "/music/b/moved.wav")
        assert [path.name for path in library.add(["memory://music"], workers=1).known] == [
            "moved.wav"
        ]
        gone = library.remove(["memory://music/a"])
        assert [str(path) for path in gone] == ["memory://music/a/x.wav", "memory://music/a/y.wav"]
        assert [str(file.path) for file in library.files()] == ["memory://music/b/moved.wav"]
        assert library.check() == []


def test_sound_for_a_page_is_fetched(memory, music):
    assert compact_sound("memory://music/a/x.wav") == compact_sound(music / "a" / "x.wav")
    with pytest.raises(DataError, match=r"^memory://music/no: missing; need a recording"):
        compact_sound("memory://music/no")


def test_features_are_fetched_for_as_long_as_they_are_read(memory, expected):
    copy_to("memory://features", expected)
    list_file, folder = (path_or_url(f"memory://features{name}") for name in ("/list", ""))
    with local_features(list_file, folder) as here:
        tracks = read_tracks(list_file, here)
        assert len(tracks) == 3
        for track in tracks:
            assert np.array_equal(track.read(), np.load(expected / track.path.name))
    assert not here.exists()
    remote.put(list_file, b"a x\nb none\n")
    said = (
        r"^1 of 2 feature files of memory://features/list are missing, first memory://features/b_n"
    )
    with pytest.raises(DataError, match=said), local_features(list_file, folder):
        pass


def test_commands_that_take_files_alone_say_so(memory, tmp_path, capsys):
    for arguments in (
        ["check", "memory://x/list", "--data-dir", "memory://x"],
        ["train", "--train-list", "memory://x/list"],
        ["find", str(tmp_path), "--in", "s3://music/library"],
        ["extract", "memory://music", "--out", str(tmp_path), "--dataset", "covers80"],
    ):
        assert run(arguments) == 2
        [line] = capsys.readouterr().err.strip().splitlines()
        assert "of this machine" in line


def test_what_is_embedded_at_once_is_here(memory):
    with pytest.raises(DataError, match=r"^memory://music/a is in an object store; need a path"):
        read_inputs("memory://music/a")


@pytest.mark.parametrize("package", ["fsspec", "s3fs"])
def test_without_a_package_what_to_install_is_told(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    known = sys.modules["fsspec.registry"]._registry
    monkeypatch.delitem(known, "s3", raising=False)
    with pytest.raises(SettingsError, match=r's3fs, which is .* pip install "mulkinet\[remote\]"'):
        path_or_url("s3://music/a.wav").exists()


def test_fsspec_is_loaded_for_addresses_alone(music, tmp_path):
    code = (
        "import sys; from kinet.cli import run;"
        f"run(['extract', {str(music / 'a')!r}, '--out', {str(tmp_path)!r}, '--workers', '1']);"
        "sys.exit(any(name in sys.modules for name in ('fsspec', 's3fs', 'gcsfs')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_cluster_reads_and_writes_a_store(s3, music, expected, tmp_path, capfd):
    copy_to("s3://music/songs", music)
    command = ["extract", "s3://music/songs", "--songs-by", "folder", "--out", "s3://music/out"]
    with cluster_here(threads=2) as cluster:
        assert run([*command, "--cluster", cluster.scheduler_address]) == 1
        assert run([*command, "--cluster", cluster.scheduler_address]) == 1
        with pytest.raises(DataError, match=r"does not see s3://music/none; need files or"):
            cluster_work(cluster.scheduler_address, [path_or_url("s3://music/none")])
    said = capfd.readouterr()
    assert "s3://music/songs/b/bad.wav: no audio in a known format" in said.err
    assert "0 made (0.00 h of sound in" in said.err
    assert "next: kinet embed s3://music/out/list --data-dir s3://music/out --out FILE" in said.err
    got = fetched("s3://music/out", tmp_path / "got")
    assert same_files(got, expected)
    written = b"".join(path.read_bytes() for path in got.iterdir()).decode("latin-1")
    assert "s3://music/songs/a/x.wav" in written
    for secret in (s3_server.KEY, s3_server.SECRET):
        assert secret not in said.out + said.err + written


def cluster_work(address, shared):
    Cluster(address).work_off(print, [recording.Job(*[Path("x")] * 2, None)], print, "do", shared)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_processes_of_this_machine_reach_a_store(scheme, request, music, expected, tmp_path):
    request.getfixturevalue(scheme)
    copy_to(f"{scheme}://music/songs", music)
    sources = read_sources([f"{scheme}://music/songs"], "folder")
    report = extract_all(sources, f"{scheme}://music/out", workers=2)
    assert len(report.done) == 3, report.failed
    assert same_files(fetched(f"{scheme}://music/out", tmp_path / "got"), expected)
    again = extract_all(sources, f"{scheme}://music/out", workers=2)
    assert (len(again.done), len(again.skipped)) == (0, 3)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_bucket_that_is_not_there_is_one_line(scheme, request, music, capfd):
    request.getfixturevalue(scheme)
    song, out = str(music / "a" / "x.wav"), f"{scheme}://no-such-bucket/out"
    assert run(["extract", song, "--out", out]) == 1
    assert f"kinet: cannot write {out}/features.json: missing" in last_line(capfd)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_library_takes_recordings_of_a_store(scheme, request, music, tmp_path):
    request.getfixturevalue(scheme)
    copy_to(f"{scheme}://music/songs", music)
    with Library.create(tmp_path / "library.sqlite", "fourier") as library:
        added = library.add([f"{scheme}://music/songs"], workers=1)
        assert (len(added.added), len(added.failed)) == (3, 1)
        assert library.add([f"{scheme}://music/songs"], workers=1).unchanged == 3


def test_a_store_that_does_not_answer_is_one_line(s3, monkeypatch, capfd):
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert run(["extract", "s3://music/songs", "--out", "s3://music/o"]) == 1
    assert last_line(capfd).startswith("kinet: s3://music/songs: unreadable (EndpointConnection")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.environment["AWS_ENDPOINT_URL"])
    S3FileSystem.clear_instance_cache()


def last_line(capfd):
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert s3_server.KEY not in said
    assert s3_server.SECRET not in said
    return said.strip().splitlines()[-1]
