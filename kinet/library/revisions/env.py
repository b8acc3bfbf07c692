"""Alembic runs this file: how the revisions beside it are written as SQL."""

from __future__ import annotations

from alembic import context

context.configure(
    dialect_name="postgresql",
    # As Alembic's own templates have it for text: nothing in it is doubled for a driver.
    dialect_opts={"paramstyle": "named"},
    version_table="about",
    version_table_schema="kinet",
)
# Without a transaction of Alembic's: who runs the text looks at what is there within the same one.
context.run_migrations(size=context.config.attributes["size"])
