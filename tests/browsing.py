"""A browser for tests of pages, where it and Playwright are installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    # A machine without a sound card plays all the same, and nobody has to click before.
    "--autoplay-policy=no-user-gesture-required",
]


@contextmanager
def a_browser() -> Iterator[Any]:
    """A browser of Playwright's; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", exc_type=ImportError)
    chromium = next(filter(None, map(shutil.which, _NAMES)), None)
    if chromium is None:
        pytest.skip("no chromium here")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        yield found
        found.close()


@contextmanager
def a_view(browser: Any, address: str, **options: Any) -> Iterator[Any]:
    """A page of the browser, which makes no error and asks for nothing of another address."""
    view = browser.new_page(**options)
    faults: list[str] = []
    view.on("pageerror", lambda error: faults.append(str(error)))
    view.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    view.on("console", lambda message: faults.append(message.text))
    view.on("request", lambda request: faults.append(request.url))
    yield view
    view.close()
    # A status such as 415 is told by the browser, and looked at by the test.
    known = ("blob:", address, "Failed to load resource: the server responded with a status")
    assert [fault for fault in faults if not fault.startswith(known)] == []


def wait(view: Any, condition: str) -> None:
    """Until something is true; the page itself allows no text to be run that would wait for it."""
    for _ in range(600):
        if view.evaluate(condition):
            return
        view.wait_for_timeout(50)
    pytest.fail(f"not within 30 s: {condition}")
