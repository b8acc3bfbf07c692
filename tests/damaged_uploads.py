"""Damaged recordings handed in to `kinet serve`: ``python tests/damaged_uploads.py COUNT SEED``.

Each is answered in one line, by a status that says what it is, and the page opens all the while.
At the end a whole recording is still found.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from damaged_audio import damaged, sample
from open_site import open_site

from kinet.library import Library

# Every fifth is long enough for a query, if it can be read.
SHORT, LONG, EVERY = 0.5, 12.0, 5
# Of HTTP: found, too short, too much sound, unreadable.
STATUSES = {303, 400, 413, 415}
PAGE_SECONDS = 10
BOUNDARY = "a-boundary-that-no-recording-has"


class Site:
    """A page that is open, as a browser speaks to it."""

    def __init__(self, address: str) -> None:
        self._host = address.removeprefix("http://").rstrip("/")
        self._token = re.search(r'name="token" value="([^"]+)"', self.get("/")[1])[1]

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        return self._ask("GET", path, PAGE_SECONDS)[:2]

    def hand_in(self, content: bytes, name: str) -> tuple[int, str, str]:
        """Status, text, and where an answer is."""
        parts = [
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="token"\r\n\r\n{self._token}',
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="recording"; filename="{name}"'
            "\r\nContent-Type: application/octet-stream\r\n\r\n",
        ]
        body = "\r\n".join(parts).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
        headers = {
            "Origin": f"http://{self._host}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        return self._ask("POST", "/", 300, body, headers)

    def _ask(
        self, method: str, path: str, seconds: float, body: bytes = b"", headers: dict | None = None
    ) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection(self._host, timeout=seconds)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.getheader("location", "")
        finally:
            connection.close()


class Visitor(threading.Thread):
    """Opens the page again and again, and keeps how long that took and what went wrong."""

    def __init__(self, site: Site) -> None:
        super().__init__(daemon=True)
        self.seconds: list[float] = []
        self.faults: list[str] = []
        self._site, self._is_over = site, threading.Event()

    def run(self) -> None:
        while not self._is_over.wait(0.2):
            started = time.monotonic()
            try:
                status, _ = self._site.get("/")
                if status != 200:
                    self.faults.append(f"the page answers {status}")
            except OSError as error:
                self.faults.append(f"the page does not answer: {error!r}")
            self.seconds.append(time.monotonic() - started)

    def leave(self) -> None:
        self._is_over.set()
        self.join()


@contextmanager
def served(folder: Path) -> Iterator[tuple[Site, Path]]:
    """`kinet serve` with a library of one song, and where its temporary files are."""
    song, temporary = folder / "song.flac", folder / "temporary"
    song.write_bytes(sample("flac", LONG))
    temporary.mkdir()
    with Library.create(folder / "library", "fourier") as library:
        assert not library.add([song], workers=1).failed
    with open_site(folder / "library", temporary) as address:
        yield Site(address), temporary


def hand_in_all(site: Site, count: int, seed: int, told: Callable[[str], object]) -> Counter[int]:
    """How often each status was the answer."""
    statuses: Counter[int] = Counter()
    for number in range(count):
        which = seed + number
        content, suffix = damaged(which, SHORT if number % EVERY else LONG)
        status, text, _ = site.hand_in(content, f"{which}.{suffix}")
        assert status in STATUSES, f"seed {which}: {status}: {text[-2000:]}"
        if status != 303:
            messages = re.findall(r'<p role="alert" class="message">(.*?)</p>', text)
            assert len(messages) == 1, f"seed {which}: {messages}"
            assert messages[0].isprintable(), f"seed {which}: {messages[0]!r}"
        statuses[status] += 1
        if number % 50 == 49:
            told(f"{number + 1}: {dict(statuses)}")
    return statuses


def main(count: int, seed: int, told: Callable[[str], object] = lambda line: None) -> dict:
    """Hand in so many; raises if one is not answered as it must be."""
    with tempfile.TemporaryDirectory() as made, served(Path(made)) as (site, temporary):
        visitor = Visitor(site)
        visitor.start()
        try:
            statuses = hand_in_all(site, count, seed, told)
            status, _, place = site.hand_in(sample("mp3", LONG), "whole.mp3")
        finally:
            visitor.leave()
        assert status == 303, status
        assert ">song</a>" in site.get(place)[1], "the song is not found any more"
        kept = [path for path in temporary.rglob("*") if path.is_file()]
        assert len(kept) <= 9, kept  # eight answers, and the lock
    assert not visitor.faults, visitor.faults[:3]
    return {
        "handed_in": count,
        "statuses": {str(status): statuses[status] for status in sorted(statuses)},
        "page_opened": len(visitor.seconds),
        "slowest_page_seconds": round(max(visitor.seconds), 3),
    }


if __name__ == "__main__":
    asked = [int(argument) for argument in sys.argv[1:]]
    sys.stdout.write(json.dumps(main(*asked, lambda line: sys.stderr.write(f"{line}\n"))))
