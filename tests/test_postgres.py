"""Libraries on PostgreSQL: what is true of them and not of files; `test_library` has the rest."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import libraries
import numpy as np
import postgres_kills
import pytest
from libraries import library_of, tune, version, write

import kinet
from kinet.address import place_of
from kinet.cli import run
from kinet.errors import DataError, SettingsError
from kinet.extraction.sources import Source
from kinet.library import Library, calibration, connection
from kinet.library.pgvector import Pgvector
from kinet.library.postgres import PostgresDatabase
from kinet.library.rows import File, Sound
from kinet.library.schema import Conflict
from kinet.library.store import Store

ALONE = ("--workers", "1")


@pytest.fixture
def url(postgres):
    """The address of an empty database."""
    return postgres.new()


@pytest.fixture
def library(tmp_path, url):
    with library_of(tmp_path, where=url) as made:
        yield made


def database_of(url):
    return url.rpartition("/")[2]


def content(postgres, url):
    """All tables with all of their rows."""
    database = database_of(url)
    names = postgres.sql(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN "
        "('pg_catalog', 'information_schema')",
        database,
    )
    rows = "SELECT t::text FROM {} AS t ORDER BY 1"
    return {name: postgres.sql(rows.format(name), database) for [name] in names}


# Both databases


def test_a_file_and_a_server_give_the_same_answers(tmp_path, library):
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    with Library.create(tmp_path / "library.sqlite", libraries.MODEL) as of_file:
        of_file.add([Source(f.path, f.song, "") for f in library.files()], workers=1)
        for how in ({}, {"threshold": 0.5}, {"top": 2, "aligned": 3}):
            here, there = (one.find([query], workers=1, **how) for one in (library, of_file))
            assert here == there
        assert library.duplicates() == of_file.duplicates()
        assert library.files() == of_file.files()
        one, other = (replace(each.info(), path=Path(), bytes=0) for each in (library, of_file))
        assert one == other


def test_a_server_and_a_file_are_searched_as_one(tmp_path, postgres, url):
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    (tmp_path / "b").mkdir()
    with library_of(tmp_path / "a", songs=2, where=url), library_of(tmp_path / "b") as of_file:
        path = of_file.info().path
    with Library.create(tmp_path / "both", libraries.MODEL) as both:
        both.merge([url, path])
        expected = both.find([query], workers=1)
    assert found_in(query, url, path) == found_in(query, tmp_path / "both")
    assert [match.path for match in expected[0].matches] == found_in(query, url, path)
    postgres.stop("immediate")
    try:
        [answer] = kinet.find(query, [url, path], allow_missing=True)
    finally:
        postgres.start()
    assert "cannot be reached" in answer.missing[0].message
    assert [match.path for match in answer.matches] == found_in(query, path)


def found_in(query, *places):
    [answer] = kinet.find(query, places)
    return [match.path for match in answer.matches]


def test_a_library_goes_from_a_file_to_a_server_and_back(tmp_path, url):
    with library_of(tmp_path) as of_file, Library.create(url, libraries.MODEL) as library:
        assert library.merge([tmp_path / "library.sqlite"]) == 8
        assert library.check() == []
        with Library.create(tmp_path / "back", libraries.MODEL) as back:
            assert back.merge([url]) == 8
            assert back.check() == []
            assert back.files() == library.files() == of_file.files()
        query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
        assert library.find([query], workers=1) == of_file.find([query], workers=1)


def test_many_recordings_come_at_once_in_their_order(url):
    rng = np.random.default_rng(0)
    store = Store.create(place_of(url), libraries_model(), 1044, 135, 45)
    sounds = [
        Sound(secrets.token_bytes(32), 1.5 + n, tune(n, 2), unit_rows(rng, 1)) for n in range(450)
    ]
    numbers = store.write(lambda: store.add_sounds(iter(sounds)))
    assert numbers == list(range(1, 451))
    with store.reading():
        there = list(store.recordings())
        rows = np.concatenate([rows for _, _, rows in store.embeddings()])
    assert [(digest, seconds) for _, digest, seconds in there] == [
        (sound.sha256, sound.seconds) for sound in sounds
    ]
    assert np.array_equal(rows, np.concatenate([sound.embeddings for sound in sounds]))
    store.close()


def libraries_model():
    from kinet.library.models import find_model

    return find_model(libraries.MODEL)


def unit_rows(rng, count):
    rows = rng.normal(size=(count, 1044)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("length", [1, 3000])
def test_names_of_any_length_are_in_it_once(url, length):
    name = secrets.token_bytes(length).replace(b"\0", b"x").replace(b"/", b"x")
    rng = np.random.default_rng(0)
    store = Store.create(place_of(url), libraries_model(), 1044, 135, 45)
    path = Path("/", name.decode("utf-8", "surrogateescape"))

    def change():
        number = store.add_sound(Sound(b"1" * 32, 1.0, tune(1, 2), unit_rows(rng, 1)))
        store.put_file(File(path, number, "", "", "", 1, 1))
        store.put_file(File(path, number, "again", "", "", 1, 1))

    store.write(change)
    assert [(file.path, file.title) for file in store.files()] == [(path, "again")]
    with pytest.raises(DataError, match="is damaged"), store.writing():
        store.add_files(store.files())
    store.close()


# Damage


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM files WHERE title = 's0 0'",
        "UPDATE files SET title = 'x' WHERE title = 's0 0'",
        "UPDATE recordings SET seconds = seconds + 1 WHERE id = 3",
        "UPDATE hpcp SET content = set_byte(content, 700, 1) WHERE recording = 2",
        "UPDATE embeddings SET content = set_byte(content, 700, 1) WHERE recording = 2",
        "DELETE FROM embeddings WHERE recording = 2",
        "TRUNCATE hpcp",
        "UPDATE library SET size = 1044, hop = 46",
    ],
)
def test_rows_that_something_else_changed_are_noticed(library, postgres, url, damage, tmp_path):
    # As whatever is wrong below the tables would: without their triggers.
    postgres.sql(
        f"SET search_path = kinet; SET session_replication_role = replica; {damage}",
        database_of(url),
    )
    assert any("is damaged" in fault for fault in checked(library))


def checked(library):
    try:
        return library.check()
    except DataError as error:
        return [str(error)]


@pytest.mark.parametrize(
    "row",
    [
        ("recordings", (9, b"short", 1.0, 0)),
        ("recordings", (9, b"1" * 32, float("nan"), 0)),
        ("recordings", (9, b"1" * 32, -1.0, 0)),
        ("hpcp", (1, 3, b"1" * 40, 0)),
        ("files", (b"/x", 99, "", "", "", 1, 1, 0)),
    ],
)
def test_what_no_library_holds_is_not_taken(library, row):
    table, values = row
    database = library._store.database
    with pytest.raises(DataError, match="is damaged"), library._store.writing():
        database.insert(table, [values])
    assert library.check() == []


# What is refused


def test_a_database_of_something_else_is_refused_untouched(postgres, url):
    postgres.sql("CREATE TABLE songs (title TEXT)", database_of(url))
    before = content(postgres, url)
    with pytest.raises(DataError, match=r"holds tables of something else, .* public\.songs; need"):
        Library.create(url, libraries.MODEL)
    with pytest.raises(DataError, match=r"has no library of kinet's; need a library"):
        Library.open(url)
    assert content(postgres, url) == before


def test_a_schema_of_that_name_by_something_else_is_refused_untouched(postgres, url):
    database = database_of(url)
    postgres.sql("CREATE SCHEMA kinet; CREATE TABLE kinet.about (a INT, b INT)", database)
    before = content(postgres, url)
    for do in (Library.open, Library.create):
        with pytest.raises(DataError) as told:
            do(url)
        assert "\n" not in str(told.value)
    assert content(postgres, url) == before


def test_a_later_version_is_refused_untouched(library, postgres, url):
    postgres.sql("UPDATE kinet.about SET version_num = '2'", database_of(url))
    before = content(postgres, url)
    for do in (Library.open, Library.create):
        with pytest.raises(DataError, match="a library of version 2; allowed: 1, or a kinet that"):
            do(url)
    assert content(postgres, url) == before


def test_an_empty_database_is_no_library_until_one_is_made(postgres, url):
    with pytest.raises(DataError, match=r"has no library of kinet's; need a library, as kinet in"):
        Library.open(url)
    assert content(postgres, url) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"database": "missing"}, 'cannot be opened (database "missing" does not exist); need'),
        ({"password": "wrong"}, "cannot be opened (password authentication failed for user"),
        ({"port": 1}, "cannot be reached (Connection refused); need a PostgreSQL server"),
        ({"host": "/nowhere"}, "cannot be reached (No such file or directory); need a Postgr"),
        ({"sslmode": "require"}, "cannot be reached (Server refuses SSL); need"),
    ],
)
def test_what_cannot_be_opened_says_why_in_one_line(url, change, message):
    address = replace(place_of(url), **change)
    with pytest.raises(DataError) as told:
        Library.open(address)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(connection, "WAIT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for mode in ("disable", "prefer"):
            with pytest.raises(DataError, match=r"cannot be reached \(.*timed out\); need a"):
                Library.open(f"postgresql://ann@127.0.0.1:{port}/covers?sslmode={mode}")


def test_what_is_small_is_sent_at_once():
    # Else each COPY of some hundred short rows waits 40 ms for a confirmation.
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = place_of(f"postgresql://ann@127.0.0.1:{server.getsockname()[1]}/covers")
        with connection._socket(address) as made:
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_machine_that_is_gone_is_noticed_within_a_minute(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = place_of(f"postgresql://ann@127.0.0.1:{server.getsockname()[1]}/covers")
        with connection._socket(address) as made:
            assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            if sys.platform == "linux":
                first, then, times, sent = (
                    made.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
                    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
                )
                assert first + then * times == 60 == sent / 1000


def test_a_statement_may_take_longer_than_opening(url, monkeypatch):
    Library.create(url, "fourier").close()
    monkeypatch.setattr(connection, "WAIT", 0.2)
    spoken = connection.Connection(place_of(url))
    assert spoken.run("SELECT pg_sleep(0.5)") == [("",)]
    spoken.close()


def test_without_the_driver_the_command_that_installs_it_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pg8000", None)
    with pytest.raises(SettingsError, match=r'install it with: pip install "mulkinet\[postgres\]"'):
        Library.open("postgresql://ann@localhost/covers")


def test_passwords_are_not_shown(library, url, tmp_path, capsys, postgres):
    password = place_of(url).password
    assert password
    with pytest.raises(DataError) as told:
        library.remove([tmp_path / "else"])
    texts = [str(told.value), str(library.info()), repr(place_of(url))]
    wrong = [url.replace("/library_", "/missing_"), url.replace("postgres:", "nobody:"), f"{url}?a"]
    calls = [("info", url), ("check", url), ("list", url), *(("info", one) for one in wrong)]
    for name, where in calls:
        run(["index", name, where, "--json"])
        texts += capsys.readouterr()
    for text in texts:
        assert password not in text
        assert password.replace(" ", "%20") not in text


# Rights


@pytest.fixture
def reader(library, postgres, url):
    """The address as one who may only read."""
    database, name = database_of(url), postgres.name("reader")
    postgres.sql(
        f"CREATE ROLE {name} LOGIN PASSWORD 'r'; GRANT USAGE ON SCHEMA kinet TO {name};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA kinet TO {name}",
        database,
    )
    return postgres.address(database, name, "r")


def test_who_may_only_read_finds_and_does_not_write(library, reader, tmp_path):
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    with Library.open(reader) as opened:
        assert opened.find([query], workers=1) == library.find([query], workers=1)
        assert opened.check() == []
        with pytest.raises(DataError, match=r"cannot be read or written to by this user \(permis"):
            opened.remove([tmp_path / "s0_0.npy"])
        with pytest.raises(DataError, match="need the user who made the library"):
            opened.compact()
    assert library.info().files == 8


def test_who_has_no_rights_is_told_so(library, postgres, url):
    name = postgres.name("nobody")
    postgres.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'n'")
    for do in (Library.open, Library.create):
        with pytest.raises(DataError, match=r"cannot be read or written to by this user"):
            do(postgres.address(database_of(url), name, "n"))


# Others at the same time


def test_two_that_make_one_library_share_it(url):
    made, errors = [], []

    def make():
        try:
            with Library.create(url, libraries.MODEL) as library:
                made.append(library._store.identity().identity)
        except DataError as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(set(made)), errors) == (4, 1, [])


def test_a_change_that_the_server_gives_up_is_made_again(library, monkeypatch):
    calls = []

    def change():
        calls.append(1)
        library._store.set_calibration(f"{len(calls)}")
        if len(calls) < 3:
            library._store.database._connection.run(
                "DO $$ BEGIN RAISE EXCEPTION 'busy' USING ERRCODE = '"
                f"{(connection.SERIALIZATION, connection.DEADLOCK)[len(calls) - 1]}'; END $$"
            )
        return len(calls)

    before = library._store.identity().changes
    assert library._store.write(change) == 3
    now = library._store.identity()
    assert (now.calibration, now.changes) == ("3", before + 1)


def test_a_change_that_is_given_up_always_says_so(library):
    def change():
        library._store.set_calibration("x")
        library._store.database._connection.run(
            "DO $$ BEGIN RAISE EXCEPTION 'busy' USING ERRCODE = '40001'; END $$"
        )

    with pytest.raises(Conflict, match=r"others change the same all the time \(busy\); call again"):
        library._store.write(change)
    assert library._store.identity().calibration == ""


def test_a_reader_that_lost_its_connection_opens_another(library, postgres, url, tmp_path):
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    expected = library.find([query], workers=1)
    end_all(postgres, url)
    with pytest.raises(DataError, match=r"the connection is lost|cannot be read or written"):
        library.find([query], workers=1)
    assert library.find([query], workers=1) == expected
    end_all(postgres, url)
    with pytest.raises(DataError, match=r"the connection is lost|cannot be read or written"):
        library.features()
    assert library.add([tmp_path / "s0_0.npy"], workers=1).unchanged == 1
    library.close()
    with pytest.raises(DataError, match=r"the connection is lost \(it was closed\)"):
        library.files()


def end_all(postgres, url):
    postgres.sql(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = "
        f"'{database_of(url)}' AND pid <> pg_backend_pid()"
    )


def test_a_connection_that_ends_within_a_change_leaves_everything_as_it_was(
    library, postgres, url, tmp_path
):
    before = library.files()

    def change():
        library._store.remove_file(tmp_path / "s0_0.npy")
        end_all(postgres, url)

    with pytest.raises(DataError, match=r"the connection is lost|cannot be read or written"):
        library._store.write(change)
    assert library.files() == before
    assert library.check() == []


def test_ctrl_c_within_a_statement_leaves_a_library_that_can_be_used(library, monkeypatch):
    from pg8000 import native

    run_it = native.Connection.run

    def interrupted(self, statement, *values, **named):
        if statement.startswith("UPDATE library"):
            raise KeyboardInterrupt
        return run_it(self, statement, *values, **named)

    monkeypatch.setattr(native.Connection, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        library.remove([library.files()[0].path])
    monkeypatch.undo()
    assert (len(library.files()), library.check()) == (8, [])


def test_a_server_that_does_not_flush_is_told(library, monkeypatch):
    monkeypatch.setattr(connection.Connection, "run", lambda *_: [("off",)])
    assert "power cut" in library._store.faults()[0]


# The index


@pytest.fixture
def by_index(monkeypatch):
    """Small tables are looked through by the server, were it not told otherwise."""
    set_one = Pgvector._set

    def set_both(index, name, value):
        set_one(index, name, value)
        set_one(index, "enable_seqscan", "off")

    monkeypatch.setattr(Pgvector, "_set", set_both)


@pytest.mark.usefixtures("by_index")
def test_what_an_index_finds_is_what_an_exact_search_finds(library, reader, tmp_path):
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    exact = library.find([query, tmp_path / "s1_0.npy"], workers=1)
    made = library.build_index()
    assert (made.rows, made.recall) == (8, 1.0)
    assert made.milliseconds > 0
    for one in (library, Library.open(reader)):
        assert one.find([query, tmp_path / "s1_0.npy"], workers=1, approximate=True) == exact
        one.close()


@pytest.mark.usefixtures("by_index")
def test_probabilities_that_come_with_a_model_are_those_of_both_searches(
    library, tmp_path, monkeypatch
):
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    came = json.loads(calibration.Calibration(-9.0, 20.0, 0.0, 9, 9, 0.1, (), ()).to_json())
    values = {"sha256": library.info().digest, "calibration": came}
    monkeypatch.setattr(calibration, "names", lambda: ("like it",))
    monkeypatch.setattr(calibration, "card", lambda name: SimpleNamespace(values=values))
    library.build_index()
    exact, near = (library.find([query], workers=1, approximate=how) for how in (False, True))
    assert near == exact
    assert exact[0].matches[0].probability > 0.9


@pytest.mark.usefixtures("by_index")
def test_the_index_is_what_is_looked_into(library, postgres, url, tmp_path, monkeypatch):
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    library.build_index()
    postgres.sql("DELETE FROM kinet.vectors WHERE recording IN (5, 6)", database_of(url))
    [answer] = library.find([query], workers=1, approximate=True)
    assert "s2" not in {match.song for match in answer.matches}
    database, plans = library._store.database, []

    def explained(statement, values=()):
        if "ORDER BY" in statement:
            plans.extend(PostgresDatabase.select(database, f"EXPLAIN {statement}", values))
        return PostgresDatabase.select(database, statement, values)

    monkeypatch.setattr(database, "select", explained)
    with library._store.reading():
        [found] = Pgvector(library._store).nearest(np.ones((1, 1044), np.float32), 5)
    assert "Index Scan using vectors_content_idx" in str(plans)
    distances = [distance for _, distance in found]
    assert distances == sorted(distances)
    # By the embeddings themselves: those of 16 bits are off by more.
    with library._store.reading():
        own = {number: library._store.embeddings_of(number) for number, _ in found}
    for number, distance in found:
        assert np.abs(own[number].sum(axis=1) + distance).min() < 1e-5


def test_few_found_is_told_as_recall(library, monkeypatch):
    few = [(1, -1.0), (2, 0.5), (3, 0.5)]
    monkeypatch.setattr(Pgvector, "nearest", lambda *_: iter([few]))
    # Of the eight nearest, which are all, the first alone is near enough: 1 / 8.
    assert library.build_index().recall == pytest.approx(1 / 8)


def test_an_index_of_another_state_is_not_looked_into(library, tmp_path):
    query = [tmp_path / "s0_0.npy"]
    with pytest.raises(DataError, match="the index is not there; make it with kinet index build"):
        library.find(query, workers=1, approximate=True)
    library.build_index()
    library.remove([tmp_path / "s3_0.npy"])
    with pytest.raises(DataError, match="the index was made before the last change; make it"):
        library.find(query, workers=1, approximate=True)
    library.build_index()
    library.find(query, workers=1, approximate=True)
    assert library.check() == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("'vector'", "the server has no pgvector; need it there for an index"),
        ("'halfvec'", r"the server has pgvector \d.*; need 0\.7 or later for an index"),
    ],
)
def test_a_server_without_pgvector_says_so(library, monkeypatch, name, message):
    select = library._store.database.select

    def without(statement, values=()):
        return select(statement.replace(name, "'not there'"), values)

    monkeypatch.setattr(library._store.database, "select", without)
    with pytest.raises(DataError, match=message):
        library.build_index()
    assert library.check() == []


def test_an_index_in_another_schema_is_found(library, postgres, url, tmp_path):
    postgres.sql(
        'CREATE SCHEMA "Odd name"; CREATE EXTENSION vector SCHEMA "Odd name"', database_of(url)
    )
    library.build_index()
    [answer] = library.find([tmp_path / "s0_0.npy"], workers=1, approximate=True)
    assert answer.matches[0].song == "s0"
    postgres.sql('DROP SCHEMA "Odd name" CASCADE', database_of(url))


# Commands


def test_the_commands_take_an_address(tmp_path, url, capsys):
    def call(*arguments):
        capsys.readouterr()
        assert run([str(argument) for argument in arguments]) == 0
        return capsys.readouterr().out

    songs = [
        write(tmp_path / f"s{s}_{n}.npy", version(s, 2 * n, 5 * n))
        for s in range(2)
        for n in range(2)
    ]
    query = write(tmp_path / "q.npy", version(1, 7, 20, 60))
    added = json.loads(
        call("index", "add", url, *songs, "--model-file", "fourier", *ALONE, "--json")
    )
    assert (len(added["added"]), added["library"]) == (4, str(place_of(url)))
    found = json.loads(call("find", query, "--in", url, *ALONE, "--json"))
    assert [song["title"][:2] for song in found[0]["songs"][:2]] == ["s1", "s1"]
    assert "s1 0" in call("find", query, "--in", url, *ALONE)
    assert json.loads(call("index", "build", url, "--json"))["recall"] == 1.0
    near = json.loads(call("find", query, "--in", url, *ALONE, "--json", "--approximate"))
    assert near == found
    groups = json.loads(call("duplicates", url, "--json"))["groups"]
    assert [len(group) for group in groups] == [2, 2]
    assert len(json.loads(call("index", "list", url, "--json"))) == 4
    info = json.loads(call("index", "info", url, "--json"))
    assert (info["files"], info["path"]) == (4, str(place_of(url)))
    assert json.loads(call("index", "remove", url, songs[0], "--json"))["removed"] == [
        str(songs[0])
    ]
    assert json.loads(call("index", "check", url, "--json"))["faults"] == []
    assert json.loads(call("index", "compact", url, "--json"))["bytes_after"] > 0
    file = tmp_path / "copy"
    Library.create(file, "fourier").close()
    assert json.loads(call("index", "merge", file, url, "--json")) == {"files": 3}


def test_a_page_asks_a_library_on_a_server(library, url, tmp_path):
    pytest.importorskip("starlette")
    from kinet.serving.desk import Desk
    from kinet.serving.limits import Limits
    from kinet.serving.site import site

    with contextlib.closing(Desk(place_of(url), None, tmp_path, Limits())) as desk:
        assert desk._features == library.features()
    made = site(place_of(url), None, 8484, Limits())
    assert made._app.state.library == database_of(url)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("postgresql://localhost/covers", "no user, or no database"),
        ("postgresql://ann:secret@localhost", "no user, or no database"),
        ("postgresql://ann:secret@localhost:x/covers", "a port that is no number"),
        ("postgresql://ann:secret@localhost/covers?sslmode=no", "sslmode 'no'; allowed: disable,"),
        ("postgresql://ann:secret@localhost/covers?a=b", "unknown option; allowed: host, port,"),
        ("postgresql://ann:secret@localhost:0/covers", "port '0'; allowed: from 1 to 65535"),
        ("postgresql://ann:secret@/covers?port=65536", "port '65536'; allowed: from 1 to 65535"),
        ("postgresql://ann:secret@/covers?port=-1", "port '-1'; allowed: from 1 to 65535"),
        ("postgresql://an\udce9:secret@localhost/covers", "a name with what cannot be printed"),
        ("postgresql://ann:secret@localhost/%00", "a name with what cannot be printed"),
        ("postgresql:/ann:secret@localhost/covers", "not two slashes"),
        ("PostgreSQL://ann:secret@localhost", "no user, or no database"),
    ],
)
def test_addresses_that_are_none_are_refused_without_their_password(text, message, capsys):
    with pytest.raises(DataError, match="is no address of a database") as told:
        place_of(text)
    assert message in str(told.value)
    assert run(["index", "info", text]) == 2
    for said in (str(told.value), *capsys.readouterr()):
        assert "secret" not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://ann@host/covers", "postgresql://ann@host/covers"),
        ("postgresql://ann:x@host:5433/covers", "postgresql://ann@host:5433/covers"),
        ("postgresql://ann:x@[::1]/covers", "postgresql://ann@[::1]/covers"),
        ("postgresql://ann:x@/covers?host=/run/pg", "postgresql://ann@/covers?host=/run/pg"),
        ("postgresql://a%40b:x@host/my%20covers", "postgresql://a%40b@host/my%20covers"),
    ],
)
def test_addresses_are_shown_as_they_are_written_without_the_password(text, shown):
    assert str(place_of(text)) == shown
    assert replace(place_of(shown), password="x") == replace(place_of(text), password="x")


def test_certificates_that_are_none_are_told_as_such(tmp_path):
    given = f"postgresql://ann@host/covers?sslmode=verify-full&sslrootcert={tmp_path}/nope"
    with pytest.raises(
        DataError, match=r"nope' cannot be used \(No such file.*need a file of cert"
    ):
        connection._encryption(place_of(given))


def test_the_password_may_be_in_the_environment(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "of the environment")
    assert place_of("postgresql://ann@host/covers").password == "of the environment"
    assert place_of("postgresql://ann:own@host/covers").password == "own"


def test_a_writer_that_is_killed_anywhere_leaves_what_it_acknowledged(postgres, url):
    times = 300 if os.environ.get("KINET_SLOW") else postgres_kills.SESSIONS + 1
    assert postgres_kills.kill_often(postgres, url, times) > 0
