"""A server of Google Cloud Storage for the tests: gcp-storage-emulator, in its own process."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import socket
import threading

NEEDED = ("gcp_storage_emulator", "gcsfs")


def is_there():
    """Whether a server can be started here, and be spoken to."""
    return all(importlib.util.find_spec(name) for name in NEEDED)


class Server:
    """Google Cloud Storage on this machine, with an empty bucket ``music``."""

    def __init__(self):
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there,), daemon=True)
        self._process.start()
        self._port = here.recv()

    @property
    def environment(self):
        """What a process needs to speak to it."""
        return {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{self._port}"}

    def stop(self):
        """End it."""
        self._process.kill()
        self._process.join()


def _serve(parent):
    from gcp_storage_emulator.server import create_server

    # It writes a line for every request.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    create_server("127.0.0.1", port, in_memory=True, default_bucket="music").start()
    parent.send(port)
    threading.Event().wait()
