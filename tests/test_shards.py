"""Several libraries that are searched together answer as one that holds all their recordings."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import libraries
import numpy as np
import pytest
from libraries import library_of, source, version, write

import kinet
from kinet.cli import run
from kinet.errors import DataError
from kinet.library import Library, Missing, Shards, finding, shortlisting, snapshot
from kinet.library.calibration import Calibration
from kinet.library.models import find_model
from kinet.library.rows import File, Sound
from kinet.library.store import Store

ALONE = ("--workers", "1")
SIZE = 8
DOWN = "postgresql://nobody@127.0.0.1:1/covers"


def rows(rng, pieces):
    """Unit rows that lie on one side, so that some are near to many."""
    found = rng.normal(size=(pieces, SIZE)) + 0.7
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def drawn_library(path, rng, pool):
    """A library of some of a pool of recordings, under names that others have too."""
    store = Store.create(path, find_model(libraries.MODEL), SIZE, 135, 45)
    with store.writing():
        for number in rng.permutation(len(pool))[: rng.integers(2, len(pool))]:
            place = store.add_sound(pool[number])
            for name in rng.permutation(2 * len(pool))[: rng.integers(1, 3)]:
                song = f"s{number % 3}" if number % 2 else ""
                store.put_file(File(Path(f"/{name}.wav"), place, f"{name}", "", song, 1, 1))
    store.close()
    return path


@pytest.mark.parametrize("seed", range(12))
def test_the_answers_are_those_of_one_library_with_all_recordings(tmp_path, monkeypatch, seed):
    rng = np.random.default_rng(seed)
    # So that which recordings are drawn to know hubs matters, and that they come in parts.
    monkeypatch.setattr(snapshot, "_SAMPLE", 7)
    monkeypatch.setattr(snapshot, "_AT_ONCE", 3)
    pool = [
        Sound(rng.bytes(32), 1.0, version(n % 4, n, n % 20, 40), rows(rng, rng.integers(1, 4)))
        for n in range(14)
    ]
    paths = [drawn_library(tmp_path / f"{n}", rng, pool) for n in range(rng.integers(2, 5))]
    Store.create(tmp_path / "one", find_model(libraries.MODEL), SIZE, 135, 45).close()
    with Library.open(tmp_path / "one") as one, Shards(paths) as shards:
        one.merge(paths)
        with one._store.reading():
            for _ in range(4):
                sound = pool[rng.integers(len(pool))]
                query = shortlisting.Query(sound.hpcp, rows(rng, 2), sound.sha256)
                count = int(rng.integers(1, 12))
                expected = finding.search(one._shelf(), query, 3, 0.0, count)
                near = shards._near(query, max(3, count))
                found = finding.search(near, query, 3, 0.0, count)
                assert same(found) == same(expected)
                for here, there in zip(found, expected, strict=True):
                    assert here.similarity == pytest.approx(there.similarity, abs=1e-6)
            assert hubs(*((s, s.files) for s in shards._shelves)) == pytest.approx(
                hubs((one._shelf(), one._shelf().files)), abs=1e-6
            )


def same(matches):
    """Without what is rounded in another way in a product of another number of rows."""
    return tuple(replace(match, similarity=0.0) for match in matches)


def answers(found):
    return [replace(answer, missing=(), matches=same(answer.matches)) for answer in found]


def hubs(*shelves):
    """By the first bytes of the content, of what counts."""
    return {
        int(prefix): float(hub)
        for shelf, files in shelves
        for number, prefix, hub in zip(
            shelf.snapshot.numbers, shelf.snapshot.hashes, shelf.snapshot.hubs, strict=True
        )
        if int(number) in files
    }


def test_a_shortlist_is_the_beginning_of_all_in_their_order():
    rng = np.random.default_rng(0)
    for count in (1, 3, 10, 30, 40):
        shelf = snapshot.Snapshot(
            *((b"", 0), rng.integers(-1, 2, (30, 2)).astype(np.float32), np.arange(31)),
            *(np.arange(30), rng.integers(0, 5, 30).astype(np.uint64)),
            *(rng.integers(0, 3, 30).astype(np.float32), np.ones(30, np.int64)),
        )
        embedding = np.array([[1, 0]], np.float32)
        digest = (3).to_bytes(8, "little") + bytes(24)
        query = shortlisting.Query(np.zeros((135, 12)), embedding, digest)
        order = np.argsort(shelf.hubs - 2 * shelf.vectors[:, 0], kind="stable")
        expected = [(i, shelf.vectors[i, 0]) for i in order if shelf.hashes[i] != 3][:count]
        assert shortlisting.shortlist(shelf, query, count) == expected


@pytest.fixture
def three(tmp_path):
    """The paths of two libraries, and of a third with the recordings of both."""
    for name, songs in (("a", (0, 1)), ("b", (2, 3))):
        with Library.create(tmp_path / name, libraries.MODEL) as library:
            library.add(
                [
                    source(tmp_path / f"music {name}", song, number, version(song, 2 * number))
                    for song in songs
                    for number in (0, 1)
                ],
                workers=1,
            )
    with Library.create(tmp_path / "both", libraries.MODEL) as library:
        library.merge([tmp_path / "a", tmp_path / "b"])
    return tmp_path / "a", tmp_path / "b", tmp_path / "both"


@pytest.fixture
def query(tmp_path):
    return write(tmp_path / "q.npy", version(2, 7, 20, 60))


@pytest.fixture
def out(capsys, monkeypatch):
    """Runs a command; gives stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "300")

    def call(*arguments, code=0):
        capsys.readouterr()
        outcome = run([str(argument) for argument in arguments])
        streams = capsys.readouterr()
        assert outcome == code, streams.err
        return streams

    return call


def test_find_in_two_libraries_says_what_one_with_both_says(three, query, out):
    a, b, both = three
    known = a.parent / "music a" / "s1_0.npy"
    for asked in (query, known):
        command = ("find", asked, "--csv", *ALONE)
        assert out(*command, "--in", a, "--in", b).out == out(*command, "--in", both).out
        found = json.loads(out("find", asked, "--json", *ALONE, "--in", a, "--in", b).out)
        expected = json.loads(out("find", asked, "--json", *ALONE, "--in", both).out)
        for here, there in zip(found[0]["songs"], expected[0]["songs"], strict=True):
            # A product of another number of rows is rounded in another way.
            assert here.pop("similarity") == pytest.approx(there.pop("similarity"), abs=1e-6)
        assert found == expected
    assert "s2_0" in out("find", query, "--in", a, "--in", b).out


def test_a_list_of_libraries_is_read_from_a_file(three, query, out):
    a, b, both = three
    listed = a.parent / "all.shards"
    listed.write_text(f"# both halves\n\na\n{b}\n")
    command = ("find", query, "--csv", *ALONE)
    assert out(*command, "--in", listed).out == out(*command, "--in", both).out
    listed.write_text("# nothing\n")
    assert (
        "all.shards lists no libraries; need one a line"
        in out(*command, "--in", listed, code=1).err
    )
    listed.write_bytes(b"\xff")
    assert "no text in UTF-8" in out(*command, "--in", listed, code=1).err
    assert "missing; need a list" in out(*command, "--in", a.parent / "no.shards", code=1).err


def test_a_folder_of_music_is_one_of_several(three, query, out, monkeypatch):
    a, b, _ = three
    folder = a.parent / "folder"
    (folder / ".kinet").mkdir(parents=True)
    shutil.move(b, folder / ".kinet" / "library.sqlite")
    monkeypatch.setattr("kinet.library.audio_files", lambda folder: iter([folder]))
    monkeypatch.setattr(Library, "add", lambda *_: None)
    monkeypatch.setattr(Library, "keep_only", lambda *_: [])
    monkeypatch.setattr("kinet.commands.libraries.say_added", lambda *_: None)
    shown = json.loads(out("find", query, "--in", a, "--in", folder, "--json", *ALONE).out)
    assert shown[0]["songs"][0]["song"] == "s2"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "b: missing; need a library"),
        ("foreign", "b is no library of kinet's"),
        ("damaged", "b is damaged"),
        ("down", "postgresql://nobody@127.0.0.1:1/covers cannot be reached"),
    ],
)
def test_a_library_that_cannot_be_asked_is_named(three, query, out, kind, message):
    a, b, _ = three
    if kind == "missing":
        b.unlink()
    elif kind == "foreign":
        b.write_text("notes")
    elif kind == "damaged":
        with contextlib.closing(sqlite3.connect(b)) as database, database:
            database.execute("UPDATE files SET title = 'not what was written'")
    where = ("--in", DOWN if kind == "down" else b, "--in", a)
    alone = json.loads(out("find", query, "--in", a, "--json", *ALONE).out)
    for allowed, code in (((), 1), (("--allow-missing",), 0)):
        text = out("find", query, *where, *allowed, *ALONE, code=code)
        assert message in text.err
        assert "its recordings were not searched" in text.err
        assert "s1_0" in text.out
        [answer] = json.loads(out("find", query, *where, *allowed, "--json", *ALONE, code=code).out)
        [missing] = answer["missing"]
        assert message in missing["error"]
        assert missing["library"] == str(where[1])
        assert [s["path"] for s in answer["songs"]] == [s["path"] for s in alone[0]["songs"]]
        shown = out("find", query, *where, *allowed, "--csv", *ALONE, code=code).out
        lines = list(csv.DictReader(io.StringIO(shown)))
        assert {line["message"] for line in lines} == {f"without {where[1]}"}


def test_python_refuses_to_go_without_one_unless_it_is_allowed(three, query):
    a, b, both = three
    expected = kinet.find(query, both)
    assert answers(kinet.find(query, [a, b])) == answers(expected)
    b.unlink()
    with pytest.raises(DataError, match=r"b: missing; .*1 of 2 libraries cannot be searched"):
        kinet.find(query, [a, b])
    [answer] = kinet.find(query, [a, b], allow_missing=True)
    assert [each.path for each in answer.missing] == [b]
    assert answers([answer]) == answers(kinet.find(query, a))
    a.unlink()
    with pytest.raises(DataError, match=r"a: missing; .*no library is left to search"):
        kinet.find(query, [a, b], allow_missing=True)


def test_a_library_that_is_lost_in_the_middle_is_told_from_then_on(three, query, monkeypatch):
    a, b, both = three
    later = write(a.parent / "later.npy", version(1, 3, 10, 60))
    expected = kinet.find(query, both) + kinet.find(later, a)
    read, asked = Store.hpcp, []

    def hpcp(store, number):
        asked.append(number)
        if store.path == b and len(asked) > 8:
            raise DataError("b: the connection is lost")
        return read(store, number)

    monkeypatch.setattr(Store, "hpcp", hpcp)
    with Shards([a, b]) as shards:
        found = shards.find([query], workers=1) + shards.find([later], workers=1)
        assert shards.missing == (Missing(b, "b: the connection is lost"),)
    assert [answer.missing for answer in found] == [(), shards.missing]
    assert answers(found) == answers(expected)


def test_libraries_that_do_not_go_together_are_refused(three, query, out):
    a, b, _ = three
    other = replace(find_model(libraries.MODEL), name="other", digest="of another model")
    Store.create(a.parent / "other", other, 1044, 135, 45).close()
    Store.create(a.parent / "windows", find_model(libraries.MODEL), 1044, 135, 90).close()
    for name, message in (
        ("other", "other is of other (of another m), features"),
        ("windows", "windows of 135 vectors every 90; need fourier"),
    ):
        told = out("find", query, "--in", a, "--in", a.parent / name, code=1).err
        assert message in told
        assert told.count("\n") == 1
    shutil.copy(a, a.parent / "copy")
    told = out("find", query, "--in", b, "--in", a, "--in", a.parent / "copy", code=1).err
    assert f"{a.parent / 'copy'} is the library {a}, or a copy of it" in told


def test_several_libraries_are_not_searched_approximately(three, query, out):
    a, b, _ = three
    told = out("find", query, "--in", a, "--in", b, "--approximate", code=2).err
    assert "--approximate is of one library" in told


def test_probabilities_are_of_the_first_library_that_has_its_own(three, query):
    a, b, _ = three
    own = Calibration(0.5, 0.0, 0.0, 20, 20, 0.0, (0.0,), (1.0,))
    with Library.open(b) as library:
        library._store.write(lambda: library._store.set_calibration(own.to_json()))
    with Shards([a, b]) as shards:
        assert shards.calibration == own
        [answer] = shards.find([query], workers=1)
    assert answer.matches[0].probability == pytest.approx(1 / (1 + np.exp(-0.5)))


def test_a_model_that_is_not_theirs_is_refused(three, query, monkeypatch):
    a, b, _ = three
    changed = replace(find_model(libraries.MODEL), digest="changed")
    monkeypatch.setattr("kinet.library.identity.find_model", lambda name: changed)
    with pytest.raises(DataError, match="holds embeddings of fourier"):
        Shards([a, b], "fourier")
    with Shards([a, b]) as shards, pytest.raises(DataError, match="holds embeddings of fourier"):
        shards.find([query], workers=1)


def test_libraries_without_recordings_have_nothing(tmp_path, query):
    paths = [tmp_path / name for name in ("c", "d")]
    for path in paths:
        Library.create(path, libraries.MODEL).close()
    assert kinet.find(query, paths)[0].matches == ()
    with library_of(tmp_path, songs=1, versions=1, where=tmp_path / "e"):
        pass
    assert len(kinet.find(query, [*paths, tmp_path / "e"])[0].matches) == 1
