"""The index of a library in a file: what it finds, and when it is not looked into."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
from libraries import library_of, tune, version, write

from kinet.cli import run
from kinet.errors import DataError, SettingsError
from kinet.files import path_in_cache
from kinet.library import Library
from kinet.library.graph import Graph

pytest.importorskip("usearch")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def library(tmp_path):
    with library_of(tmp_path) as library:
        yield library


def the_file(library):
    with library._store.reading():
        return path_in_cache(f"{library._store.identity().identity.hex()}-graph")


def near(library, query):
    [answer] = library.find([query], workers=1, approximate=True)
    return answer


def test_what_an_index_finds_is_what_an_exact_search_finds(library, tmp_path):
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    queries = [query, tmp_path / "s1_0.npy"]
    told = []
    made = library.build_index(lambda done, total: told.append((done, total)))
    assert (made.rows, made.recall, told) == (8, 1.0, [(8, 8)])
    assert made.milliseconds > 0
    exact = library.find(queries, workers=1)
    assert library.find(queries, workers=1, approximate=True) == exact
    with Library.open(tmp_path / "library.sqlite") as again:  # from the file alone
        assert again.find(queries, workers=1, approximate=True) == exact


def test_recordings_of_several_windows_are_found_by_any(tmp_path):
    with library_of(tmp_path, songs=1) as library:
        long = np.concatenate([tune(seed, 400) for seed in (50, 51, 52)])
        library.add([write(tmp_path / "long.npy", long)], workers=1)
        made = library.build_index()
        assert made.rows > len(library.files())
        matches = near(library, write(tmp_path / "q.npy", long[800:1000])).matches
    assert matches[0].path.name == "long.npy"


def test_each_row_is_nearest_to_its_own_recording(library, tmp_path):
    long = np.concatenate([tune(seed, 400) for seed in (50, 51, 52)])
    library.add([write(tmp_path / "long.npy", long)], workers=1)
    library.build_index()
    index, store = library._index, library._store
    with store.reading():
        assert index.why_not() == ""
        for number in {file.recording for file in library.files()}:
            for [(found, distance)] in index.nearest(store.embeddings_of(number), 1):
                assert (found, distance) == (number, pytest.approx(-1, abs=1e-5))


def test_the_index_is_what_is_looked_into(library, tmp_path, monkeypatch):
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    library.build_index()
    [own] = {f.recording for f in library.files() if f.path.name == "s3_0.npy"}
    monkeypatch.setattr(Graph, "nearest", lambda *_: iter([[(own, -1.0)]]))
    assert {match.song for match in near(library, query).matches} == {"s3"}


def test_few_found_is_told_as_recall(library, monkeypatch):
    monkeypatch.setattr(Graph, "nearest", lambda *_: iter([[(1, -1.0), (2, 0.5), (3, 0.5)]]))
    # Of the eight nearest, which are all, the first alone is near enough: 1 / 8.
    assert library.build_index().recall == pytest.approx(1 / 8)


def test_an_index_of_another_state_is_not_looked_into(library, tmp_path):
    query = tmp_path / "s0_0.npy"
    with pytest.raises(DataError, match="the index is not there; make it with kinet index build"):
        near(library, query)
    library.build_index()
    before = near(library, query)
    library.remove([tmp_path / "s3_0.npy"])
    with pytest.raises(DataError, match="the index was made before the last change; make it"):
        near(library, query)
    library.build_index()
    assert len(near(library, query).matches) <= len(before.matches)


def test_the_index_of_a_copy_that_went_its_own_way_is_not_taken(tmp_path):
    with library_of(tmp_path, where=tmp_path / "closed"):
        pass
    shutil.copy(tmp_path / "closed", tmp_path / "copy")
    with Library.open(tmp_path / "closed") as library:
        library.remove([tmp_path / "s3_0.npy"])
        library.build_index()
    with Library.open(tmp_path / "copy") as copy:
        # As many changes, and others.
        copy.remove([tmp_path / "s2_0.npy"])
        with pytest.raises(DataError, match="was made before the last change"):
            near(copy, tmp_path / "s0_0.npy")


@pytest.mark.parametrize("where", [0, 5000, -1])
def test_a_damaged_index_is_not_looked_into(library, tmp_path, where):
    library.build_index()
    path = the_file(library)
    content = bytearray(path.read_bytes())
    content[where] ^= 8
    path.write_bytes(content)
    again = Library.open(tmp_path / "library.sqlite")
    with again, pytest.raises(DataError, match="the index is damaged; make it with kinet index"):
        near(again, tmp_path / "s0_0.npy")


@pytest.mark.parametrize("content", [b"", b"{}", b"x" * 9000])
def test_a_file_that_is_no_index_is_not_looked_into(library, tmp_path, content):
    library.build_index()
    the_file(library).write_bytes(content)
    again = Library.open(tmp_path / "library.sqlite")
    with again, pytest.raises(DataError, match="the index is damaged; make it with kinet index"):
        near(again, tmp_path / "s0_0.npy")


def test_a_graph_of_another_version_of_usearch_is_not_walked(library, tmp_path, monkeypatch):
    library.build_index()
    monkeypatch.setattr("kinet.library.graph._version", lambda: "0.1")
    again = Library.open(tmp_path / "library.sqlite")
    with again, pytest.raises(DataError, match=r"the index is of another version of usearch, \d"):
        near(again, tmp_path / "s0_0.npy")


def test_an_empty_library_has_an_index(tmp_path):
    with Library.create(tmp_path / "l", "fourier") as library:
        assert (library.build_index().rows, library.build_index().recall) == (0, 1.0)
        query = write(tmp_path / "q.npy", tune(1))
        assert near(library, query).matches == ()


def test_a_folder_that_cannot_be_written_is_told(library, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(DataError, match="cannot write"):
        library.build_index()


def test_without_usearch_it_is_said_what_is_needed(library, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    for do in (library.build_index, lambda: near(library, tmp_path / "s0_0.npy")):
        with pytest.raises(
            SettingsError, match=r"needs usearch; allowed: pip install 'mulkinet\[a"
        ):
            do()


def test_from_the_shell(library, tmp_path, capsys):
    path = str(tmp_path / "library.sqlite")
    query = str(write(tmp_path / "q.npy", version(2, 7, 20, 60)))
    assert run(["index", "build", path, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["rows"], made["recall"]) == (8, 1.0)
    assert run(["index", "build", path]) == 0
    assert "of their ten nearest 100.00 % are found" in "".join(capsys.readouterr())
    assert run(["find", query, "--in", path, "--json", "--approximate"]) == 0
    [answer] = json.loads(capsys.readouterr().out)
    assert answer["songs"][0]["song"] == "s2"
