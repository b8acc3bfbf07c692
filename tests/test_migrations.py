"""From the tables of one version to those of the next, on PostgreSQL."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import libraries
import pytest
from alembic.script import ScriptDirectory
from libraries import library_of, version, write
from test_postgres import database_of

from kinet.address import place_of
from kinet.cli import run
from kinet.errors import DataError, SettingsError
from kinet.library import Library, databases, migrations, postgres_tables, schema

# Of a kinet that is to come: what it adds, in two steps, and what nobody does twice.
REVISION = """
from alembic import op

revision, down_revision = "2", "1"

def upgrade(size):
    op.execute("CREATE TABLE labels (name TEXT CHECK (name <> ':a %?'), size BIGINT)")
    op.execute({between!r})
    op.execute(f"INSERT INTO labels VALUES ('100 %', {{size}})")
"""
NOW = "a library of version 2; allowed: 1, or a kinet that"


@pytest.fixture
def url(postgres):
    """The address of a database with an empty library of this kinet."""
    address = postgres.new()
    Library.create(address, "fourier").close()
    return address


@pytest.fixture
def later(tmp_path, monkeypatch):
    """Becomes the next kinet, whose revision does something between its two steps."""

    def become(between="SELECT 1"):
        folder = tmp_path / "100 % other revisions"
        shutil.copytree(migrations.FOLDER, folder)
        (folder / "versions" / "version_2.py").write_text(REVISION.format(between=between))
        monkeypatch.setattr(migrations, "FOLDER", folder)
        for module in (schema, migrations, postgres_tables, databases):
            monkeypatch.setattr(module, "VERSION", 2)
        return folder

    return become


def tables(postgres, url, schema="kinet"):
    """Columns, constraints and indexes of a schema, as PostgreSQL says them."""
    found = postgres.sql(
        "SELECT table_name || '.' || column_name, data_type || is_nullable || ordinal_position"
        f" FROM information_schema.columns WHERE table_schema = '{schema}' UNION ALL "
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
        f" WHERE connamespace = '{schema}'::regnamespace AND contype <> 'n' UNION ALL "
        f"SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = '{schema}'",
        database_of(url),
    )
    return {f"{name} {what}".replace(f"{schema}.", "") for name, what in found}


def state(postgres, url):
    """The tables of a library, and what it says of itself and counts."""
    rows = postgres.sql(
        "SELECT a::text FROM kinet.about a UNION ALL SELECT l::text FROM kinet.library l "
        "UNION ALL SELECT t::text FROM kinet.totals t",
        database_of(url),
    )
    return tables(postgres, url), sorted(rows)


def labels(postgres, url):
    """What the next kinet puts into its new table; None without it."""
    with contextlib.suppress(Exception):
        return postgres.sql("SELECT name, size FROM kinet.labels", database_of(url))
    return None


def test_a_server_has_the_tables_of_a_file_and_counts_each(postgres, url):
    text = schema.STATEMENTS.format(size=1044)
    for here, there in (("INTEGER", "BIGINT"), ("REAL", "DOUBLE PRECISION"), ("BLOB", "BYTEA")):
        text = text.replace(f" {here} ", f" {there} ")
    text = text.replace("path BYTEA PRIMARY KEY", "path BYTEA NOT NULL")
    text += "ALTER TABLE files ADD EXCLUDE USING hash (path WITH =);"
    postgres.sql(f"CREATE SCHEMA other; SET search_path = other; {text}", database_of(url))
    expected = tables(postgres, url, "other")
    postgres.sql("DROP SCHEMA other CASCADE", database_of(url))
    # Without ``about``, whose number a file has in its header.
    assert {text for text in tables(postgres, url) if not text.startswith("about")} == expected
    triggers = postgres.sql("SELECT tgname FROM pg_trigger WHERE tgname ~ '_'", database_of(url))
    assert {name for (name,) in triggers if not name.startswith("RI_")} == {
        f"{table}_{what}" for table in schema.TABLES for what in ("came", "went", "changed")
    }


def test_the_last_revision_is_the_version_of_this_kinet():
    scripts = ScriptDirectory(str(migrations.FOLDER))
    found = [script.revision for script in scripts.walk_revisions()]
    assert found == [str(number) for number in range(schema.VERSION, 0, -1)]


def test_a_library_of_now_is_left_as_it_is(postgres, url, capsys):
    before = state(postgres, url)
    for arguments in ((), ("--sql",)):
        assert run(["index", "upgrade", url, *arguments]) == 0
        out, err = capsys.readouterr()
        assert out == ""
        assert "is of version 1, that of this kinet: nothing to do" in err
    assert state(postgres, url) == before


def test_an_earlier_one_is_refused_with_the_command_that_brings_it_up(
    tmp_path, postgres, later, capsys
):
    address = postgres.new()
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    with library_of(tmp_path, where=address) as library:
        expected = library.find([query], workers=1)
    later()
    for do in (Library.open, Library.create):
        with pytest.raises(DataError) as told:
            do(address)
        assert f"with: kinet index upgrade {place_of(address)}" in str(told.value)
        assert "\n" not in str(told.value)
    assert run(["index", "upgrade", address]) == 0
    assert "was of version 1, and is of version 2 now" in capsys.readouterr().err
    assert labels(postgres, address) == [["100 %", 1044]]
    with Library.open(address) as library:
        assert library.find([query], workers=1) == expected
        assert library.check() == []
    assert run(["index", "upgrade", address, "--json"]) == 0
    assert capsys.readouterr().out == '{\n  "version_before": 2,\n  "version": 2\n}\n'


def test_a_new_library_is_made_by_all_revisions(postgres, later):
    later()
    address = postgres.new()
    Library.create(address, "fourier").close()
    assert labels(postgres, address) == [["100 %", 1044]]
    assert any("':a %?'" in text for text in tables(postgres, address))  # as it was written
    assert databases.upgrade_database(place_of(address)) == 2


@pytest.mark.parametrize(
    ("between", "message"),
    [
        ("SELECT pg_terminate_backend(pg_backend_pid())", "lost|cannot be read or written"),
        ("SELECT 1 / 0", "division by zero"),
    ],
)
def test_what_ends_in_the_middle_leaves_the_old_one(postgres, url, later, between, message):
    before = state(postgres, url)
    later(between)
    with pytest.raises(DataError, match=message):
        databases.upgrade_database(place_of(url))
    assert state(postgres, url) == before


def test_a_process_that_is_killed_leaves_the_old_one(postgres, url, later):
    folder = later("SELECT pg_sleep(60)")
    before = state(postgres, url)
    code = (
        "import sys, pathlib; from kinet.library import migrations, postgres_tables\n"
        "from kinet.address import place_of\n"
        "migrations.FOLDER = pathlib.Path(sys.argv[1])\n"
        "migrations.VERSION = postgres_tables.VERSION = 2\n"
        "postgres_tables.upgrade_database(place_of(sys.argv[2]))"
    )
    started = subprocess.Popen([sys.executable, "-c", code, folder, url])
    wait_for(postgres, url, "wait_event = 'PgSleep'")
    started.send_signal(signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL
    postgres.sql(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    )
    assert state(postgres, url) == before
    assert labels(postgres, url) is None


def wait_for(postgres, url, what):
    until = time.monotonic() + 300
    query = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{database_of(url)}' AND {what}"
    while not postgres.sql(query):
        assert time.monotonic() < until, f"{what} did not happen"
        time.sleep(0.02)


def test_two_at_once_do_it_once(postgres, url, later, monkeypatch):
    later()
    found, look = [], postgres_tables._known_version
    together, own = threading.Barrier(3), threading.local()

    def look_together(*of):
        there = look(*of)
        if not hasattr(own, "there"):
            own.there = there
            together.wait()
        return there

    monkeypatch.setattr(postgres_tables, "_known_version", look_together)

    def upgrade():
        found.append(databases.upgrade_database(place_of(url)))

    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [1, 2, 2]
    assert labels(postgres, url) == [["100 %", 1044]]


def test_who_reads_or_writes_holds_it_up(url, later, monkeypatch):
    monkeypatch.setattr(postgres_tables, "WAIT", 0.1)
    with Library.open(url) as library:
        later()
        for doing in (library._store.reading, library._store.writing):
            monkeypatch.setattr(postgres_tables, "VERSION", 1)
            with doing():
                monkeypatch.setattr(postgres_tables, "VERSION", 2)
                with pytest.raises(DataError, match=r"writes to .*, or reads it, for"):
                    databases.upgrade_database(place_of(url))
    with contextlib.closing(postgres_tables.opened(place_of(url))) as beginning:
        postgres_tables.lock(beginning)
        with pytest.raises(DataError, match=r"writes to .*, or reads it, for"):
            databases.upgrade_database(place_of(url))
    assert databases.upgrade_database(place_of(url)) == 1


def test_who_had_it_open_is_refused_afterwards(postgres, url, later, monkeypatch):
    with Library.open(url) as library:
        later()
        databases.upgrade_database(place_of(url))
        for module in (schema, postgres_tables):
            monkeypatch.setattr(module, "VERSION", 1)
        before = state(postgres, url)
        for doing in (library.files, library.duplicates, lambda: library._store.write(list)):
            with pytest.raises(DataError, match=NOW):
                doing()
        assert state(postgres, url) == before


def test_who_did_not_make_it_is_told_so(postgres, url, later):
    name = postgres.name("reader")
    postgres.sql(
        f"CREATE ROLE {name} LOGIN PASSWORD 'r'; GRANT USAGE ON SCHEMA kinet TO {name};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA kinet TO {name}",
        database_of(url),
    )
    address = place_of(postgres.address(database_of(url), name, "r"))
    assert databases.upgrade_database(address) == 1  # it is of now
    later()
    with pytest.raises(DataError, match=r"cannot be read or written to by this user \(permission"):
        databases.upgrade_database(address)
    assert labels(postgres, url) is None


@pytest.mark.parametrize("number", ["2", "0", "-1", "head", "1:2", ""])
def test_one_of_another_kinet_is_refused_untouched(postgres, url, number):
    postgres.sql(f"UPDATE kinet.about SET version_num = '{number}'", database_of(url))
    before = state(postgres, url)
    for do in (databases.upgrade_database, databases.upgrade_script):
        with pytest.raises(DataError, match=f"of version {number}; allowed: 1, or a kinet that"):
            do(place_of(url))
    assert state(postgres, url) == before


def test_what_has_no_library_is_not_upgraded(postgres):
    address = postgres.new()
    for do in (databases.upgrade_database, databases.upgrade_script):
        with pytest.raises(DataError, match="has no library of kinet's; need a library"):
            do(place_of(address))
    named = "SELECT 1 FROM pg_namespace WHERE nspname = 'kinet'"
    assert postgres.sql(named, database_of(address)) == []


def test_the_sql_is_printed_and_does_the_same(postgres, url, later, capsys):
    later()
    assert run(["index", "upgrade", url, "--sql"]) == 0
    script = capsys.readouterr().out
    assert labels(postgres, url) is None
    assert script.startswith("BEGIN")
    assert script.endswith("COMMIT;\n")
    for secret in (place_of(url).password, place_of(url).password.replace(" ", "%20")):
        assert secret not in script
    postgres.sql(script, database_of(url))
    assert labels(postgres, url) == [["100 %", 1044]]
    assert databases.upgrade_database(place_of(url)) == 2


def test_without_alembic_the_command_that_installs_it_is_named(postgres, url, later, monkeypatch):
    monkeypatch.setitem(sys.modules, "alembic", None)
    Library.open(url).close()
    later()
    wanted = r'alembic, which is not installed; install it with: pip install "mulkinet\[postgres\]"'
    for do in (databases.upgrade_database, databases.upgrade_script):
        with pytest.raises(SettingsError, match=wanted):
            do(place_of(url))
    with pytest.raises(SettingsError, match=wanted):
        Library.create(postgres.new(), "fourier")


def test_opening_imports_neither_alembic_nor_sqlalchemy(url):
    code = (
        "import sys, kinet; kinet.Library.open(sys.argv[1]).files()\n"
        "sys.exit([name for name in ('alembic', 'sqlalchemy') if name in sys.modules] or None)"
    )
    subprocess.run([sys.executable, "-c", code, url], check=True)


def test_a_file_of_now_is_left_as_it_is_and_a_later_one_refused(tmp_path, capsys):
    path = tmp_path / "library"
    Library.create(path, libraries.MODEL).close()
    before = path.read_bytes()
    for arguments in ((), ("--sql",)):
        assert run(["index", "upgrade", str(path), *arguments]) == 0
        assert "is of version 1, that of this kinet: nothing to do" in capsys.readouterr().err
    assert path.read_bytes() == before
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 2")
    assert run(["index", "upgrade", str(path)]) == 1
    assert NOW in capsys.readouterr().err
