"""A kinet that heeds Ctrl-C, wherever the tests run."""

from __future__ import annotations

import sys

# A shell has its background jobs ignore Ctrl-C, and so would what the tests start there.
HEEDING_CTRL_C = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


def kinet_in_a_terminal(*arguments):
    """The command line of a kinet that Ctrl-C ends, wherever the tests run."""
    return [sys.executable, "-c", HEEDING_CTRL_C, "-m", "kinet.cli", *map(str, arguments)]
