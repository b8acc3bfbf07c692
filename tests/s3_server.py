"""A server of S3 for the tests: moto's, in a thread of this process."""

from __future__ import annotations

import importlib.util
import logging
import threading

from kinet.remote import path_or_url, put

NEEDED = ("moto", "flask", "flask_cors", "s3fs")
#: What the server lets in; the secret has what secrets have.
KEY, SECRET = "AKIAKINETTEST", "s3cr3t/with+all=of@it"

_SAID_TWICE = ("server", "date")


def is_there():
    """Whether a server can be started here, and be spoken to."""
    return all(importlib.util.find_spec(name) for name in NEEDED)


class Server:
    """S3 on this machine."""

    def __init__(self):
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        served = _without_its_name(DomainDispatcherApplication(create_backend_app))
        self._server = make_server("127.0.0.1", 0, served, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def environment(self):
        """What a process needs to speak to it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.port}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def new(self, bucket):
        """Make a bucket."""
        _client().mkdir(bucket)

    def remove(self, bucket):
        """Remove it with all that is in it."""
        _client().rm(bucket, recursive=True)

    def stop(self):
        """End it."""
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


def copy_to(url, folder):
    """All files of a folder, below an address."""
    for path in folder.rglob("*"):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            put(path_or_url(f"{url}/{name}"), path.read_bytes())


def _client():
    import fsspec

    return fsspec.filesystem("s3", use_listings_cache=False)


def _without_its_name(served):
    """What moto says of itself the server below it says too; aiohttp takes it once."""

    def answer(environment, start):
        def started(status, headers, *rest):
            kept = [(name, value) for name, value in headers if name.lower() not in _SAID_TWICE]
            return start(status, kept, *rest)

        return served(environment, started)

    return answer
