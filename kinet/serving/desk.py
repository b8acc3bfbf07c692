"""Recordings to answers and pages: one thread asks the library, children touch the recordings."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from kinet.address import Address
from kinet.config import FeatureConfig
from kinet.errors import KinetError
from kinet.extraction.recording import Refused, TooLong
from kinet.library import Answer, Library
from kinet.library.pages import write_answer
from kinet.library.sounds import SoundJob, read_sound
from kinet.serving.children import in_child
from kinet.serving.limits import Limits, Refusal
from kinet.workers import Check

T = TypeVar("T")


class Desk:
    """Where recordings are handed in, and their answers are kept for a while.

    Parameters
    ----------
    library : pathlib.Path or Address
        The file, or the database.
    model : str or None
        As of `Library.open`.
    folder : pathlib.Path
        For recordings and pages; only this desk writes there.
    limits : Limits

    Raises
    ------
    DataError, CheckpointError, ExportError
        As `Library.open`.
    """

    def __init__(
        self, library: Path | Address, model: str | None, folder: Path, limits: Limits
    ) -> None:
        self.limits = limits
        self._folder = folder
        self._busy = 0
        self._answers: dict[str, Answer] = {}
        self._is_closing = False
        # What SQLite opens in a thread is that thread's.
        self._thread = ThreadPoolExecutor(1)
        self._library = self._thread.submit(Library.open, library, model).result()
        self._features = self._thread.submit(self._library.features).result()

    def close(self) -> None:
        """Leave what is being done, and close the library."""
        self._is_closing = True
        closed = self._thread.submit(self._library.close)
        while not wait([closed], 0.1).done:
            for child in multiprocessing.active_children():
                with contextlib.suppress(ValueError):  # it has been closed meanwhile
                    child.kill()
        self._thread.shutdown()

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue.

        Raises
        ------
        Refusal
            If all are taken (503).
        """
        if self._busy >= self.limits.waiting:
            raise Refusal(
                503, f"{self._busy} recordings are waiting already, which is all; come again later"
            )
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def find(self, recording: BinaryIO, name: str) -> str:
        """Look for the song of a recording; the key by which `answer` knows what was found.

        Parameters
        ----------
        recording : binary file
        name : str
            What to call it; nothing is opened by that name.

        Raises
        ------
        Refusal
            If it cannot be read or used.
        DataError, CheckpointError, ExportError
            If the library or its model is damaged.
        """
        key = secrets.token_urlsafe(16)
        path = self._folder / key
        try:
            await asyncio.to_thread(_write, recording, path)
            self._answers[key] = await self._in_thread(partial(self._find, path, name))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        for old in list(self._answers)[: -self.limits.kept]:
            del self._answers[old]
            (self._folder / old).unlink(missing_ok=True)
        return key

    def answer(self, key: str) -> Answer:
        """What was found.

        Raises
        ------
        Refusal
            If nothing is kept under that key (404).
        """
        if key not in self._answers:
            raise Refusal(404, "this answer is not kept any more; hand the recording in again")
        return self._answers[key]

    async def page(self, key: str, rank: int) -> str:
        """The page to see and hear one song of an answer, as HTML.

        Raises
        ------
        Refusal
            If there is no such song, or a recording cannot be read any more (404).
        """
        answer = self.answer(key)
        if not 1 <= rank <= len(answer.matches):
            raise Refusal(404, f"no song {rank} here; allowed: 1 to {len(answer.matches)}")
        one = replace(answer, matches=(answer.matches[rank - 1],))
        path = self._folder / f"{key}-{secrets.token_hex(4)}.html"
        return await self._in_thread(partial(self._page, _PageJob(path, one, self._features)))

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._thread.submit(self._unless_closing, function))

    def _unless_closing(self, function: Callable[[], T]) -> T:
        if self._is_closing:
            raise Refusal(503, "this page is being closed; open it again")
        return function()

    def _find(self, path: Path, name: str) -> Answer:
        job = SoundJob(path, self._features, self.limits.seconds)
        read: Any = in_child(read_sound, job, self.limits)
        if isinstance(read, Refused):
            status = 413 if isinstance(read, TooLong) else 415
            raise Refusal(status, f"{name}: {read.message}")
        answer = self._library.find_read(path, read)
        if answer.fault:
            raise Refusal(400, f"{name}: {answer.fault}")
        return replace(answer, title=name)

    def _page(self, job: _PageJob) -> str:
        try:
            fault = in_child(_write_page, job, self.limits)
            if fault:
                raise Refusal(404, fault)
            return job.path.read_text(encoding="utf-8")
        finally:
            job.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _PageJob:
    path: Path
    answer: Answer
    features: FeatureConfig


def _write_page(job: _PageJob, check: Check) -> str:
    """Why there is no page, or nothing."""
    try:
        write_answer(job.path, job.answer, job.features)
    except (KinetError, OSError) as error:
        return str(error)
    except MemoryError:
        return "not enough memory to show this; need shorter recordings"
    return ""


def _write(content: BinaryIO, path: Path) -> None:
    with open(path, "xb") as file:
        shutil.copyfileobj(content, file)
