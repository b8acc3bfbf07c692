"""A small local site: hand in a recording, see the songs of a library, see and hear the match."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

from kinet.address import place_of
from kinet.errors import DataError, SettingsError
from kinet.library import Library
from kinet.reading import PathLike
from kinet.serving.limits import Limits

__all__ = ["PORT", "Limits", "serve"]

PORT = 8484
# Seconds that what is being received or sent may still take at the end.
_GRACE = 1
# Connections at a time; a page and a person need few.
_CONNECTIONS = 64


def serve(
    library: PathLike,
    port: int = PORT,
    model: str | None = None,
    limits: Limits | None = None,
    told: Callable[[str], object] | None = None,
) -> None:
    """Serve the page of a library to this machine, and nobody else, until Ctrl-C.

    Parameters
    ----------
    library : path, or str
        Its file, or the address of its database.
    port : int
        Of 127.0.0.1, from 1 to 65535; 0 takes one that is free.
    model : str, optional
        As of `kinet.Library.open`.
    limits : Limits, optional
    told : callable, optional
        Called with the address once it can be opened.

    Raises
    ------
    SettingsError
        If the libraries of the extra ``serve`` are not installed, or the port is not to be had.
    DataError, CheckpointError, ExportError
        If the library or its model cannot be used.
    KeyboardInterrupt
        At Ctrl-C, once everything is put away.
    """
    try:
        import multipart  # noqa: F401 - of python-multipart, missed by forms only
        import uvicorn

        from kinet.serving.guard import ADDRESS
        from kinet.serving.server import Server
        from kinet.serving.site import site
    except ImportError as error:
        raise SettingsError(
            f"the page needs {error.name}, which is not installed; install it with: pip install "
            '"mulkinet[serve]"'
        ) from error
    place = place_of(library)
    Library.open(place, model).close()
    if isinstance(place, Path):
        place = Path(os.path.abspath(place))
    with contextlib.closing(_listening(ADDRESS, port)) as listener:
        port = listener.getsockname()[1]
        server = Server(
            uvicorn.Config(
                site(place, model, port, limits or Limits()),
                lifespan="on",
                ws="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=_CONNECTIONS,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        if told:
            told(f"http://{ADDRESS}:{port}/")
        server.run(sockets=[listener])
        if not server.started:
            raise DataError(f"the page of {os.fspath(library)} could not be opened")


def _listening(address: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise SettingsError(f"port {port}; allowed: from 1 to 65535, or 0, which takes a free one")
    try:
        return socket.create_server((address, port))
    except OSError as error:
        raise SettingsError(
            f"port {port} is not to be had ({error.strerror or error}); allowed: a free one from "
            "1024 to 65535, or 0, which takes any"
        ) from error
