"""The same step for many files, over all cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any

from kinet.errors import DataError

AT_ONCE = 4


@contextmanager
def ordered_map(count: int | None) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` that keeps the order, over processes if there is more than one worker.

    Parameters
    ----------
    count : int or None
        Processes; None for one for every processor. With 1 no process is started.

    Yields
    ------
    callable
        As `map`. Steps that nobody asks for any more are not done.

    Raises
    ------
    DataError
        If a process ends early.
    """
    count = count or os.cpu_count() or 1
    if count == 1:
        yield map
        return
    # A forked process would inherit the threads' locks of whatever backend is loaded.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context)
    try:
        yield partial(pool.map, chunksize=AT_ONCE)
    except BrokenProcessPool as error:
        raise DataError(
            f"one of {count} worker processes ended early; allowed: workers=1, or a script with "
            'if __name__ == "__main__":, and enough memory'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
