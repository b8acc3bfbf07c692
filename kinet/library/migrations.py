"""The tables of a library on PostgreSQL, as revisions of Alembic's: from version to version.

What makes a new library, what brings an earlier one up, and what can be read before, is one text:
Alembic (MIT) puts the revisions in their order and writes them as SQL, without a connection. It is
run over kinet's own, so that encryption, waiting, and what goes wrong are as everywhere else. For
that a revision is SQL alone.
"""

from __future__ import annotations

import io
from pathlib import Path

from kinet.errors import SettingsError
from kinet.library.schema import VERSION

#: With the revisions, in Alembic's order of folders.
FOLDER = Path(__file__).parent / "revisions"


def migration(found: int | None, size: int) -> str:
    """The SQL that makes of the tables of one version those of now.

    Parameters
    ----------
    found : int or None
        The version that is there, 1 or more; None if there are no tables.
    size : int
        D, the numbers of an embedding.

    Returns
    -------
    str
        Statements for within a transaction, with the ``search_path`` at the schema.

    Raises
    ------
    SettingsError
        If Alembic is not installed.

    Examples
    --------
    >>> from kinet.library.migrations import migration
    >>> "CREATE TABLE recordings" in migration(None, size=128)
    True
    """
    try:
        from alembic import command
        from alembic.config import Config
    except ImportError as error:
        raise SettingsError(
            f"the tables of a library on PostgreSQL are made with {error.name}, which is not "
            'installed; install it with: pip install "mulkinet[postgres]"'
        ) from error
    written = io.StringIO()
    config = Config(output_buffer=written, attributes={"size": size})
    # A percent sign would name another option.
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    command.upgrade(config, f"{VERSION}" if found is None else f"{found}:{VERSION}", sql=True)
    return written.getvalue()
