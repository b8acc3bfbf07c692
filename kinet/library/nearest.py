"""The nearest recordings without looking at all: pgvector's HNSW, for libraries on PostgreSQL.

What stands in its tables is made from those of the library, at one moment, and can be made again.
After Yu. A. Malkov and D. A. Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search
Using Hierarchical Navigable Small World Graphs", IEEE TPAMI 42(4), 2020.
"""

from __future__ import annotations

import statistics
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinet.address import Address
from kinet.errors import DataError, SettingsError
from kinet.library.cache import take_snapshot
from kinet.library.calibration import calibration_of
from kinet.library.finding import Shelf
from kinet.library.shortlisting import Query
from kinet.library.snapshot import Snapshot, prefix_of
from kinet.library.store import Store
from kinet.reading import show_path

#: Rows that are looked for with each piece of a query.
ROWS = 400
# Recordings that are looked at for each that is aligned: hubs are among the nearest.
_MORE = 3
# Links of a row, and rows that are looked at to find them.
_LINKS, _LOOKED_AT = 16, 128
# pgvector's index takes no longer rows.
_LONGEST = 2000
# Recordings whose nearest are looked for in both ways, and how many of their nearest.
_SAMPLE, _NEAREST = 200, 10
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


@dataclass(frozen=True)
class Built:
    """What an index is, measured when it was made.

    Attributes
    ----------
    rows : int
        Embeddings in it.
    seconds : float
        That it took.
    recall : float
        Of the ten nearest of an embedding, how many are found, in the mean.
    milliseconds : float
        Of one search, in the median.
    """

    rows: int
    seconds: float
    recall: float
    milliseconds: float


def build(store: Store) -> Built:
    """Make the index of a library as it is now, in place of an older one.

    Raises
    ------
    SettingsError
        If the library is a file, or its embeddings are too long.
    DataError
        If the server has no pgvector, or the rights do not reach.
    """
    started = time.perf_counter()
    _require_server(store)
    with store.writing():
        _require_extension(store)
        schema = _schema(store)
        here, snapshot = store.identity(), take_snapshot(store)
        if here.size > _LONGEST:
            raise SettingsError(
                f"embeddings of {here.size} numbers; allowed for an index: {_LONGEST} at most"
            )
        for statement in _TABLES.format(schema=schema, size=here.size).split(";\n"):
            store.database.change(statement)
        _fill(store, snapshot)
        needed = len(snapshot.vectors) * (4 * here.size + 400) // 1024
        _set(store, "maintenance_work_mem", f"{min(max(needed, 2**16), _MEMORY)}kB")
        store.database.change(
            f"CREATE INDEX ON vectors USING hnsw (content {schema}.vector_ip_ops) "
            f"WITH (m = {_LINKS}, ef_construction = {_LOOKED_AT})"
        )
        store.database.change(_RIGHTS)
        # This is a change too.
        store.database.insert("built", [(here.changes + 1,)])
    seconds = time.perf_counter() - started
    with store.reading():
        recall, spent = _measured(store, schema, snapshot)
    return Built(len(snapshot.vectors), seconds, recall, 1e3 * spent)


def require_index(store: Store) -> None:
    """Refuse a library without an index of its present content; within `Store.reading`.

    Raises
    ------
    SettingsError
        If the library is a file.
    DataError
        If there is no index, or the library changed since.
    """
    _require_server(store)
    _require_built(store)


def near_to(store: Store, query: Query, count: int) -> Shelf:
    """What a search takes of the recordings that are nearest to a query, and of no others.

    Parameters
    ----------
    store : Store
        Within `Store.reading`.
    query : Query
    count : int
        Recordings that are aligned; a few times as many are looked at.
    """
    schema = _schema(store)
    best: dict[int, float] = {}
    for piece in query.embeddings:
        for number, distance in _nearest(store, schema, piece, ROWS):
            best[number] = min(distance, best.get(number, np.inf))
    return _shelf(store, sorted(sorted(best, key=best.__getitem__)[: _MORE * count]))


def _shelf(store: Store, numbers: list[int]) -> Shelf:
    here = store.identity()
    rows = [store.embeddings_of(number) for number in numbers]
    hashes = [prefix_of(store.recording(number)[0]) for number in numbers]
    hubs = [_hub(store, number) for number in numbers]
    none = np.empty((0, here.size), np.float32)
    files = {number: store.files_of(number) for number in numbers}
    snapshot = Snapshot(
        *((here.identity, here.changes), np.concatenate([none, *rows])),
        *(np.cumsum([0, *map(len, rows)]), np.array(numbers, np.int64)),
        *(np.array(hashes, np.uint64), np.array(hubs, np.float32)),
        np.array([len(own) for own in files.values()], np.int64),
    )
    calibration = calibration_of(here.calibration, here.digest)
    return Shelf(snapshot, files, store.hpcp, here.features, calibration)


def _require_server(store: Store) -> None:
    if not isinstance(store.path, Address):
        raise SettingsError(
            f"{show_path(store.path)} is a file, which is searched exactly; an index is for a "
            "library on PostgreSQL"
        )


def _require_extension(store: Store) -> None:
    """Have pgvector in the database, if the server has it."""
    database = store.database
    if list(database.select("SELECT 1 FROM pg_extension WHERE extname = 'vector'")):
        return
    if not list(database.select("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")):
        raise DataError(
            f"{show_path(store.path)}: the server has no pgvector; need it there for an index"
        )
    database.change("CREATE EXTENSION vector")


def _schema(store: Store) -> str:
    """Where in the database pgvector is."""
    [(schema,)] = store.database.select(
        "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
    )
    return str(schema)


def _fill(store: Store, snapshot: Snapshot) -> None:
    numbers = np.repeat(snapshot.numbers, np.diff(snapshot.starts))
    for begin in range(0, len(numbers), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        rows = zip(numbers[part], snapshot.vectors[part], strict=True)
        store.database.insert("vectors", [(int(number), _binary(row)) for number, row in rows])
    hubs = zip(snapshot.numbers, snapshot.hubs, strict=True)
    store.database.insert("hubs", [(int(number), float(hub)) for number, hub in hubs])


def _binary(row: NDArray[np.float32]) -> bytes:
    """As pgvector takes it in a binary COPY: how many numbers, nothing, the numbers."""
    return struct.pack("!hh", len(row), 0) + row.astype(">f4").tobytes()


def _require_built(store: Store) -> None:
    tables = "SELECT 1 FROM pg_tables WHERE (schemaname, tablename) = ('kinet', 'built')"
    is_there = bool(list(store.database.select(tables)))
    if not is_there or list(store.database.select("SELECT changes FROM built")) != [
        (store.identity().changes,)
    ]:
        what = "was made before the last change" if is_there else "is not there"
        raise DataError(
            f"{show_path(store.path)}: the index {what}; make it with kinet index build, or "
            "search without it"
        )


def _hub(store: Store, number: int) -> float:
    [(hub,)] = store.database.select("SELECT hub FROM hubs WHERE recording = ?", (number,))
    return float(hub)


def _set(store: Store, name: str, value: str) -> None:
    """Until the end of the transaction."""
    store.database.change("SELECT set_config(?, ?, true)", (name, value))


def _nearest(
    store: Store, schema: str, row: NDArray[np.float32], count: int
) -> Iterator[tuple[int, float]]:
    """Recordings of the rows that are nearest, with minus the product; the nearest first."""
    _set(store, "hnsw.ef_search", str(count))
    distance = f"content OPERATOR({schema}.<#>) ?::{schema}.vector"
    text = "[" + ",".join(map(repr, row.tolist())) + "]"
    yield from store.database.select(
        f"SELECT recording, {distance} FROM vectors ORDER BY {distance} LIMIT ?",
        (text, text, count),
    )


def _measured(store: Store, schema: str, snapshot: Snapshot) -> tuple[float, float]:
    """Recall, and seconds of a search; of nothing all is found."""
    count = len(snapshot.vectors)
    drawn = np.random.default_rng(0).permutation(count)[:_SAMPLE]
    kept = min(_NEAREST, count)
    recalls: list[float] = []
    spent: list[float] = []
    for place in drawn:
        row = snapshot.vectors[place]
        products = snapshot.vectors @ row
        least = np.partition(products, -kept)[-kept]
        started = time.perf_counter()
        found = list(_nearest(store, schema, row, ROWS))[:kept]
        spent.append(time.perf_counter() - started)
        recalls.append(sum(-distance >= least - 1e-5 for _, distance in found) / kept)
    return float(np.mean(recalls or 1.0)), statistics.median(spent or [0.0])
