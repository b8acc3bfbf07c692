"""A file that was damaged or cut gives an error or the right answer, whatever was hit."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
from pathlib import Path

import libraries
import numpy as np
import pytest
from libraries import library_of, tune, version, write

from kinet.errors import KinetError
from kinet.library import Library, cache, finding, sqlite
from kinet.library import library as library_module
from kinet.matching import Alignment

PAGE = 4096
TIMES = 3000 if os.environ.get("KINET_SLOW") else 280


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A library's file and its cache, a query, what the library answers and what it lists."""
    folder = tmp_path_factory.mktemp("whole")
    query = write(folder / "q.npy", version(2, 7, 20, 60))
    with library_of(folder, songs=8) as library, pytest.MonkeyPatch.context() as patch:
        library.add([Path(shutil.copy(folder / "s2_0.npy", folder / "copy.npy"))], workers=1)
        patch.setattr(cache, "_CACHED_FROM", 0)
        cache.take_snapshot(library._store)
        kept = library._store.cache()
    path = folder / "library.sqlite"
    return path.read_bytes(), kept.read_bytes(), query, said_by(path, query)


def quick_align(a, b, config=None):
    """In place of the alignment, which is not what is tested: it tells recordings apart."""
    return Alignment(float(b[0, 0]) / 2, 0, 1.0, ())


@pytest.fixture(scope="module", autouse=True)
def _without_alignment():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "align", quick_align)
        embedder = libraries_embedder()
        patch.setattr(library_module.Library, "_embed", lambda self: embedder)
        yield


def libraries_embedder():
    from kinet.library.models import find_model

    return find_model(libraries.MODEL).load()


def answered(library, query):
    [answer] = library.find([query], workers=1)
    return answer.fault or answer


def listed(library, query):
    return library.files(), library.durations()


def said_by(path, query):
    """What a library answers to a query, and what it lists; in place of either the error."""
    said = []
    for ask in (answered, listed):
        try:
            with Library.open(path) as library:
                said.append(ask(library, query))
        except KinetError as error:
            said.append(str(error))
    return said


def damages(content, rng):
    """A bit, a byte, bytes, a page of zeros, two pages exchanged, a row, a cut."""
    pages = len(content) // PAGE
    # Leaves of tables with rows on them: type 13, and how many.
    leaves = [n for n in range(1, pages) if content[n * PAGE] == 13 and content[n * PAGE + 4]]
    while True:
        broken = bytearray(content)
        place = int(rng.integers(len(content)))
        broken[place] ^= 1 << int(rng.integers(8))
        yield "bit", place, bytes(broken)
        # The first page says what all the others are.
        broken = bytearray(content)
        place = int(rng.integers(PAGE))
        broken[place] = int(rng.integers(256))
        yield "byte of the first page", place, bytes(broken)
        broken = bytearray(content)
        place = int(rng.integers(len(content) - 16))
        broken[place : place + 16] = rng.bytes(16)
        yield "bytes", place, bytes(broken)
        broken = bytearray(content)
        place = int(rng.integers(1, pages)) * PAGE
        broken[place : place + PAGE] = bytes(PAGE)
        yield "page", place, bytes(broken)
        broken = bytearray(content)
        one, other = (int(n) * PAGE for n in rng.integers(1, pages, 2))
        broken[one : one + PAGE] = content[other : other + PAGE]
        broken[other : other + PAGE] = content[one : one + PAGE]
        yield "pages", (one, other), bytes(broken)
        broken = bytearray(content)
        place = int(rng.choice(leaves)) * PAGE + 4
        broken[place] -= 1
        yield "last row of a page", place, bytes(broken)
        place = int(rng.integers(len(content)))
        yield "cut", place, content[:place]


def test_damage_gives_an_error_or_the_right_answer(whole, tmp_path):
    content, kept, query, right = whole
    rng = np.random.default_rng(int(os.environ.get("KINET_SEED", 0)))
    path = tmp_path / "library.sqlite"
    refused = 0
    for turn, (kind, place, broken) in zip(range(TIMES), damages(content, rng), strict=False):
        for left in tmp_path.glob("library.sqlite*"):
            left.unlink()
        path.write_bytes(broken)
        if turn % 2:  # with it only a part of the library is read
            path.with_name(f"{path.name}{sqlite.CACHE_SUFFIX}").write_bytes(kept)
        said = said_by(path, query)
        refused += any(isinstance(each, str) for each in said)
        for each, expected in zip(said, right, strict=True):
            if isinstance(each, str):
                assert "\n" not in each
            else:
                assert each == expected, f"{kind} at {place}: something else"
    # Some hit what nothing depends on: the rest of a page, an index that no answer needs.
    assert 0.3 * TIMES < refused < TIMES


@pytest.mark.parametrize("table", ["recordings", "files", "hpcp", "embeddings"])
def test_a_row_that_is_lost_is_noticed(whole, tmp_path, table):
    content, *_ = whole
    path = tmp_path / "library.sqlite"
    path.write_bytes(content)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"DROP TRIGGER {table}_went")
        database.execute(f"DELETE FROM {table} WHERE rowid = 2")
        database.commit()
    with Library.open(path) as library:
        faults = library.check()
    assert any(
        re.search(rf"is damaged \(\d+ rows of {table}, which are not all", f) for f in faults
    )


@pytest.mark.parametrize("change", ["DELETE FROM files", "UPDATE files SET recording = 1"])
def test_a_copy_that_is_lost_is_noticed_where_only_a_part_is_read(whole, tmp_path, change):
    content, kept, query, right = whole
    path = tmp_path / "library.sqlite"
    path.write_bytes(content)
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute(f"{change} WHERE title = 'copy'").rowcount == 1
        database.commit()
    path.with_name(f"{path.name}{sqlite.CACHE_SUFFIX}").write_bytes(kept)
    [said, _] = said_by(path, query)
    assert "is damaged (not all files of recording 5)" in said
    assert right[0].matches[0].others


def test_check_tells_what_is_damaged(whole, tmp_path):
    content, *_ = whole
    path = tmp_path / "library.sqlite"
    row = np.load(whole[2].with_name("s3_0.npy"))[:20].tobytes()[:64]
    assert row in content
    # Wherever it is: a page that is not used any more may have it too.
    path.write_bytes(content.replace(row, bytes([row[0] ^ 255]) + row[1:]))
    with Library.open(path) as library:
        [fault] = library.check()
    assert "is damaged (a row of hpcp)" in fault


def test_a_log_that_ends_anywhere_gives_a_state_that_was_acknowledged(tmp_path):
    """What a power cut leaves: the log of all changes, up to any byte of it."""
    states = []
    with Library.create(tmp_path / "l", libraries.MODEL) as library:
        paths = [write(tmp_path / f"{n}.npy", tune(n, 30)) for n in range(4)]
        for path in paths:
            library.add([path], workers=1)
            states.append([file.path for file in library.files()])
        library.remove(paths[:1])
        states.append([file.path for file in library.files()])
        (tmp_path / "copy").mkdir()
        log = (tmp_path / "l-wal").read_bytes()
        main = (tmp_path / "l").read_bytes()
    assert states[-2:] == [paths, paths[1:]]
    seen = []
    for end in [*range(0, len(log), 4000), len(log)]:
        shutil.rmtree(tmp_path / "copy")
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy" / "l").write_bytes(main)
        (tmp_path / "copy" / "l-wal").write_bytes(log[:end])
        with Library.open(tmp_path / "copy" / "l") as library:
            found = [file.path for file in library.files()]
            assert library.check() == []
        assert found in [[], *states]
        if found not in seen:
            seen.append(found)
    assert seen == [[], *states]
