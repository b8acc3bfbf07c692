"""The tables of a library, their checks, and what counts their rows."""

from __future__ import annotations

from alembic import op

revision = "1"
down_revision = None

# What tells a library from the databases of other programs: "kine". Alembic has made the table.
_ABOUT = "ALTER TABLE about ADD application BIGINT NOT NULL DEFAULT 1802071653"

_TABLES = """
CREATE TABLE library (
    "only" BIGINT PRIMARY KEY CHECK ("only" = 1),
    identity BYTEA NOT NULL CHECK (length(identity) = 16),
    model TEXT NOT NULL CHECK (model <> ''),
    digest TEXT NOT NULL CHECK (digest <> ''),
    features TEXT NOT NULL,
    size BIGINT NOT NULL CHECK (size = {size}),
    piece BIGINT NOT NULL CHECK (piece > 0),
    hop BIGINT NOT NULL CHECK (hop > 0),
    calibration TEXT NOT NULL,
    changes BIGINT NOT NULL CHECK (changes >= 0),
    checksum BIGINT NOT NULL
);
CREATE TABLE recordings (
    id BIGINT PRIMARY KEY CHECK (id > 0),
    sha256 BYTEA NOT NULL UNIQUE CHECK (length(sha256) = 32),
    seconds DOUBLE PRECISION NOT NULL CHECK (seconds > 0 AND seconds < 1e12),
    checksum BIGINT NOT NULL
);
CREATE TABLE files (
    path BYTEA NOT NULL CHECK (length(path) > 0),
    recording BIGINT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    title TEXT NOT NULL,
    artist TEXT NOT NULL,
    song TEXT NOT NULL,
    bytes BIGINT NOT NULL CHECK (bytes >= 0),
    modified_ns BIGINT NOT NULL,
    checksum BIGINT NOT NULL,
    -- Names of any length are different from each other: other indexes end at 2,700 bytes.
    EXCLUDE USING hash (path WITH =)
);
CREATE INDEX files_by_recording ON files (recording);
CREATE TABLE hpcp (
    recording BIGINT PRIMARY KEY REFERENCES recordings (id) ON DELETE CASCADE,
    vectors BIGINT NOT NULL CHECK (vectors > 0),
    content BYTEA NOT NULL CHECK (length(content) = vectors * 48),
    checksum BIGINT NOT NULL
);
CREATE TABLE embeddings (
    recording BIGINT PRIMARY KEY REFERENCES recordings (id) ON DELETE CASCADE,
    pieces BIGINT NOT NULL CHECK (pieces > 0),
    content BYTEA NOT NULL CHECK (length(content) = pieces * {size} * 4),
    checksum BIGINT NOT NULL
);
CREATE TABLE totals (
    name TEXT PRIMARY KEY,
    rows BIGINT NOT NULL,
    checksums BIGINT NOT NULL
)
"""

_COUNTED = """
CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql SET search_path = kinet AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        UPDATE totals SET rows = rows + (SELECT count(*) FROM came),
            checksums = checksums + (SELECT coalesce(sum(checksum), 0) FROM came)
        WHERE name = TG_TABLE_NAME;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        UPDATE totals SET rows = rows - (SELECT count(*) FROM went),
            checksums = checksums - (SELECT coalesce(sum(checksum), 0) FROM went)
        WHERE name = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$
"""

# A row that is lost, or there twice, by damage is noticed by these.
_TOTALS = """
INSERT INTO totals VALUES ('{table}', 0, 0);
CREATE TRIGGER {table}_came AFTER INSERT ON {table} REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION counted();
CREATE TRIGGER {table}_went AFTER DELETE ON {table} REFERENCING OLD TABLE AS went
    FOR EACH STATEMENT EXECUTE FUNCTION counted();
CREATE TRIGGER {table}_changed AFTER UPDATE ON {table}
    REFERENCING NEW TABLE AS came OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION counted()
"""


def upgrade(size: int) -> None:
    """Make all of it, for embeddings of `size` numbers."""
    op.execute(_ABOUT)
    op.execute(_TABLES.format(size=size))
    op.execute(_COUNTED)
    for table in ("recordings", "files", "hpcp", "embeddings"):
        op.execute(_TOTALS.format(table=table))
