"""`kinet serve`, opened by a test and closed as a user closes it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terminal import kinet_in_a_terminal


@contextmanager
def open_site(library: Path, temporary: Path) -> Iterator[str]:
    """The address of the page of a library; it ends quietly, and leaves nothing in `temporary`."""
    process = subprocess.Popen(
        kinet_in_a_terminal("serve", library, "--port", 0),
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    try:
        yield process.stderr.readline().split()[0]
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        assert (process.returncode, said.strip()) == (130, "kinet: interrupted"), said
        assert not list(temporary.iterdir())
    finally:
        process.kill()
        process.wait()
