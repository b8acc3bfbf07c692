"""A module as one of several processes that are watched: ``python -m kinet.peers.child MODULE``.

It ends when who watches it ends, or wants it to: then its stdin is closed. Where it fails it ends
at once: others wait for it, and what a backend does at the end of a process waits for the others.
"""

from __future__ import annotations

import _thread
import os
import runpy
import signal
import sys
import threading
import time

# Exit code where the reason is another process, of which somebody else knows.
LOST = 75
# Set for processes that are watched, and for no others.
WATCHED = "KINET_WATCHED"
# Seconds in which it may leave what it is at.
PATIENCE = 2.0


def main() -> None:
    """Run the module that the first argument names, with the others as its arguments."""
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_when_unwatched, daemon=True).start()
    if not {"--debug"} & set(sys.argv):
        _hide_native_words()
    module = sys.argv.pop(1)
    code: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - it is shown, and ends this process
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    if code:
        os._exit(code if isinstance(code, int) else 1)


def _leave(*_: object) -> None:
    raise SystemExit(LOST)


def _end_when_unwatched() -> None:
    while os.read(0, 1024):
        pass
    # Not a true signal: JAX has its own handler, for machines that are taken away.
    _thread.interrupt_main(signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(LOST)


def _hide_native_words() -> None:
    """Of what is written to stdout and stderr, only that of Python comes there.

    What connects processes tells of it there, and of all that it takes for a fault.
    """
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        shown = os.dup(descriptor)
        setattr(sys, name, os.fdopen(shown, "w", buffering=1, errors="backslashreplace"))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


if __name__ == "__main__":
    main()
