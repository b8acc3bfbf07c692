"""The nearest recordings of a library on PostgreSQL: pgvector's HNSW.

What stands in its tables is made from those of the library, at one moment, and can be made again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kinet.errors import DataError, SettingsError
from kinet.library.cache import take_snapshot
from kinet.library.snapshot import Snapshot
from kinet.library.store import Store
from kinet.reading import show_path

# Links of a row, and rows that are looked at to find them.
_LINKS, _LOOKED_AT = 24, 200
# pgvector's index takes no longer rows of halves.
_LONGEST = 4000
_AT_ONCE = 1000
# kB that the server may take to make the index: what is more is made on its disk, slowly.
_MEMORY = 2**22

_TABLES = """
DROP TABLE IF EXISTS vectors, hubs, built;
CREATE TABLE built (changes BIGINT NOT NULL);
CREATE TABLE hubs (
    recording BIGINT PRIMARY KEY REFERENCES recordings (id) ON DELETE CASCADE,
    hub DOUBLE PRECISION NOT NULL
);
CREATE TABLE vectors (
    recording BIGINT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    content {schema}.vector({size}) NOT NULL
);
"""
# Who may read the library may read these: what is made again has lost what was granted.
_RIGHTS = """
DO $$ DECLARE who TEXT; BEGIN
    FOR who IN SELECT DISTINCT grantee FROM information_schema.role_table_grants
        WHERE table_schema = 'kinet' AND table_name = 'recordings' AND privilege_type = 'SELECT'
    LOOP
        IF who <> 'PUBLIC' THEN who := quote_ident(who); END IF;
        EXECUTE 'GRANT SELECT ON vectors, hubs, built TO ' || who;
    END LOOP;
END $$
"""


class Pgvector:
    """The index of a library on a server, in tables beside those of the library.

    Parameters
    ----------
    store : Store
        Of an address.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._database = store.database

    def make(self, progress: Callable[[int, int], object] | None = None) -> Snapshot:
        """Make it of the library as it is now, in place of an older one; of what it is made."""
        with self._store.writing():
            self._require_extension()
            schema = self._schema()
            here, snapshot = self._store.identity(), take_snapshot(self._store)
            if here.size > _LONGEST:
                raise SettingsError(
                    f"embeddings of {here.size} numbers; allowed for an index: {_LONGEST} at most"
                )
            for statement in _TABLES.format(schema=schema, size=here.size).split(";\n"):
                self._database.change(statement)
            self._fill(snapshot, progress)
            needed = len(snapshot.vectors) * (2 * here.size + 64 * _LINKS) // 1024
            self._set("maintenance_work_mem", f"{min(max(needed, 2**16), _MEMORY)}kB")
            self._database.change(
                f"CREATE INDEX ON vectors USING hnsw (({_halves('content', schema, here.size)}) "
                f"{schema}.halfvec_ip_ops) WITH (m = {_LINKS}, ef_construction = {_LOOKED_AT})"
            )
            self._database.change(_RIGHTS)
            # This is a change too.
            self._database.insert("built", [(here.changes + 1,)])
        return snapshot

    def why_not(self) -> str:
        """Why it cannot be looked into now, as of `kinet.library.nearest.Index`."""
        tables = "SELECT 1 FROM pg_tables WHERE (schemaname, tablename) = ('kinet', 'built')"
        if not list(self._database.select(tables)):
            return "is not there"
        changes = list(self._database.select("SELECT changes FROM built"))
        is_of_now = changes == [(self._store.identity().changes,)]
        return "" if is_of_now else "was made before the last change"

    def nearest(
        self, rows: NDArray[np.float32], count: int
    ) -> Iterator[Sequence[tuple[int, float]]]:
        """For each row ``(D,)`` of some, recordings of the nearest, with minus the product."""
        self._set("hnsw.ef_search", str(count))
        schema, size = self._schema(), rows.shape[1]
        content, wanted = (_halves(what, schema, size) for what in ("content", "?"))
        near = (
            f"SELECT recording, content OPERATOR({schema}.<#>) ?::{schema}.vector AS distance FROM "
            "(SELECT recording, content FROM vectors "
            f"ORDER BY {content} OPERATOR({schema}.<#>) {wanted} LIMIT ?) AS near ORDER BY distance"
        )
        for row in rows:
            text = "[" + ",".join(map(repr, row.tolist())) + "]"
            yield list(self._database.select(near, (text, text, count)))

    def hub(self, number: int) -> float:
        """`Snapshot.hubs` of a recording."""
        [(hub,)] = self._database.select("SELECT hub FROM hubs WHERE recording = ?", (number,))
        return float(hub)

    def _require_extension(self) -> None:
        """Have pgvector in the database, if the server has it."""
        select = self._database.select
        if not list(select("SELECT 1 FROM pg_extension WHERE extname = 'vector'")):
            if not list(select("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")):
                raise DataError(
                    f"{show_path(self._store.path)}: the server has no pgvector; need it there for "
                    "an index"
                )
            self._database.change("CREATE EXTENSION vector")
        if not list(select("SELECT 1 FROM pg_type WHERE typname = 'halfvec'")):
            [(version,)] = select("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
            raise DataError(
                f"{show_path(self._store.path)}: the server has pgvector {version}; need 0.7 or "
                "later for an index"
            )

    def _schema(self) -> str:
        """Where in the database pgvector is."""
        [(schema,)] = self._database.select(
            "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
        )
        return str(schema)

    def _fill(self, snapshot: Snapshot, progress: Callable[[int, int], object] | None) -> None:
        numbers = np.repeat(snapshot.numbers, np.diff(snapshot.starts))
        for begin in range(0, len(numbers), _AT_ONCE):
            part = slice(begin, begin + _AT_ONCE)
            rows = zip(numbers[part], snapshot.vectors[part], strict=True)
            self._database.insert("vectors", [(int(number), _binary(row)) for number, row in rows])
            if progress:
                progress(min(begin + _AT_ONCE, len(numbers)), len(numbers))
        hubs = zip(snapshot.numbers, snapshot.hubs, strict=True)
        self._database.insert("hubs", [(int(number), float(hub)) for number, hub in hubs])

    def _set(self, name: str, value: str) -> None:
        """Until the end of the transaction."""
        self._database.change("SELECT set_config(?, ?, true)", (name, value))


def _halves(what: str, schema: str, size: int) -> str:
    """What the index knows of a row, 16 bits of each number: half the memory, and less to read.

    Of those that it finds the distances are those of the rows themselves.
    """
    return f"{what}::{schema}.halfvec({size})"


def _binary(row: NDArray[np.float32]) -> bytes:
    """As pgvector takes it in a binary COPY: how many numbers, nothing, the numbers."""
    return struct.pack("!hh", len(row), 0) + row.astype(">f4").tobytes()
