"""`kinet serve` in a browser: a recording is handed in, its songs are shown, a match is heard.

With ``KINET_SCREENSHOTS=FOLDER`` what is seen is kept there.
"""

from __future__ import annotations

import base64
import os
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("multipart")

from browsing import a_browser, a_view, wait
from open_site import open_site

from kinet.library import Library

RATE = 22050
HOSTILE, SINGER = "<script>document.title='taken'</script>", "<b>Nobody</b>"
SONGS = {HOSTILE: SINGER, "Summertime": "A Singer With a Name of Some Length", "Blue": ""}
PHONE = {"width": 360, "height": 740}
KEY = 3  # semitones by which the recording that is handed in is lower


def sound(seed, key=0, before=0):
    """A tune of 36 seconds with chords below it, after some seconds of something else."""
    rng, other = np.random.default_rng(seed), np.random.default_rng(99)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12])
    notes = [*other.choice([1, 3, 6, 8, 10], 2 * before), *rng.choice(scale, 72)]
    time = np.arange(RATE // 2) / RATE
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    tones = []
    for place, note in enumerate(notes):
        chord = [note, notes[place - place % 4] - 12, notes[place - place % 4] - 5]
        pitches = [220 * 2 ** ((n + key) / 12) for n in chord]
        partials = [np.sin(2 * np.pi * p * h * time) / h for p in pitches for h in (1, 2, 3)]
        tones.append(fade * sum(partials))
    return 0.1 * np.concatenate(tones)


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """A library, and a recording of its first song, lower and with something before it."""
    root = tmp_path_factory.mktemp("music")
    for number, (title, artist) in enumerate(SONGS.items()):
        with soundfile.SoundFile(root / f"{number}.flac", "w", RATE, 1, format="FLAC") as file:
            file.title = title
            if artist:
                file.artist = artist
            file.write(sound(number))
    soundfile.write(root / "Old tape.flac", sound(0, -KEY, 6), RATE)
    with Library.create(root / "songs.library", "fourier") as made:
        assert not made.add([root / f"{i}.flac" for i in range(len(SONGS))], workers=1).failed
    return root


@pytest.fixture(scope="module")
def browser():
    with a_browser() as found:
        yield found


@pytest.fixture(scope="module")
def address(music, browser):
    temporary = music / "temporary"
    temporary.mkdir()
    with open_site(music / "songs.library", temporary) as found:
        yield found


@pytest.fixture
def opened(browser, address):
    """Views of the page: ``opened(color_scheme="dark")``."""

    @contextmanager
    def view_of(**options):
        with a_view(browser, address, **options) as view:
            view.goto(address)
            yield view

    return view_of


def keep(view, name):
    """A picture of the whole page, for those who want to look at it."""
    folder = os.environ.get("KINET_SCREENSHOTS")
    if folder:
        view.screenshot(path=Path(folder, f"{name}.png"), full_page=True)


def hand_in(view, music):
    view.set_input_files("#recording", music / "Old tape.flac")
    view.click("text=Find")
    view.wait_for_selector("tbody tr")
    view.wait_for_load_state()  # rows are there before the style is


def test_from_a_recording_to_both_being_heard(opened, music):
    with opened() as view:
        keep(view, "site-front")
        hand_in(view, music)
        assert view.inner_text("h1") == "Old tape.flac"
        rows = [row.inner_text() for row in view.query_selector_all("tbody tr")]
        assert len(rows) == len(SONGS)
        assert [view.inner_text(f"tbody th {what} >> nth=0") for what in "ap"] == [HOSTILE, SINGER]
        assert rows[0].split("\t")[-2:] == [f"+{KEY}", "1.00"]
        keep(view, "site-songs")

        view.click("tbody a >> nth=0")
        wait(view, "decks.every((deck) => deck.audio.readyState >= 2)")
        assert view.title() == "Old tape.flac - kinet"
        assert view.inner_text("#other") == f"{HOSTILE} - {SINGER}"
        box = view.locator("#matrix").bounding_box()
        seconds = view.evaluate("decks.map((deck) => deck.recording.seconds)")
        place = {"x": 16 / seconds[0] * box["width"], "y": (1 - 10 / seconds[1]) * box["height"]}
        view.locator("#matrix").click(position=place)
        wait(view, "decks.every((deck) => deck.isPlaying)")
        times = view.evaluate("decks.map((deck) => deck.time)")
        assert times == [pytest.approx(16, abs=1), pytest.approx(10, abs=1)]
        wait(view, f"decks[1].time > {times[1]} + 1")
        keep(view, "site-match")
        view.go_back()
        assert view.inner_text("h1") == "Old tape.flac"


def test_a_recording_is_dropped_on_the_page(opened, music):
    content = base64.b64encode((music / "Old tape.flac").read_bytes()).decode()
    with opened() as view:
        dropped = view.evaluate_handle(
            """(content) => {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                const transfer = new DataTransfer();
                transfer.items.add(new File([bytes], "dropped.flac"));
                return transfer;
            }""",
            content,
        )
        view.dispatch_event("h1", "dragenter", {"dataTransfer": dropped})
        assert view.evaluate("document.body.className") == "dropping"
        keep(view, "site-dropping")
        view.dispatch_event("h1", "drop", {"dataTransfer": dropped})
        view.wait_for_selector("tbody tr")
        assert view.inner_text("h1") == "dropped.flac"


def reach(view, selector):
    """Press Tab until something has the focus."""
    for _ in range(30):
        view.keyboard.press("Tab")
        if view.evaluate(f"document.activeElement.matches({selector!r})"):
            return
    pytest.fail(f"Tab does not reach {selector}")


def test_all_of_it_with_the_keyboard_alone(opened, music):
    with opened() as view:
        # From the beginning: what waits for the first one can come too late.
        view.on("filechooser", lambda chooser: chooser.set_files(music / "Old tape.flac"))
        reach(view, "#recording")
        view.keyboard.press("Enter")
        wait(view, "document.getElementById('recording').files.length === 1")
        reach(view, "form button")
        view.keyboard.press("Enter")
        view.wait_for_selector("tbody tr")
        reach(view, "tbody a")
        view.keyboard.press("Enter")
        view.wait_for_selector("#matrix")
        wait(view, "decks.every((deck) => deck.audio.readyState >= 2)")
        reach(view, "#matrix")
        view.keyboard.press("ArrowRight")
        view.keyboard.press("Enter")
        wait(view, "decks.every((deck) => deck.isPlaying)")


def test_without_javascript_a_recording_is_found_all_the_same(opened, music):
    with opened(java_script_enabled=False) as view:
        hand_in(view, music)
        assert view.inner_text("tbody a") == HOSTILE


def test_what_cannot_be_read_is_told_on_the_page(opened, tmp_path):
    broken = tmp_path / "<i>notes.mp3"
    broken.write_text("no sound")
    with opened() as view:
        view.set_input_files("#recording", broken)
        view.click("text=Find")
        view.wait_for_selector("[role=alert]")
        said = view.inner_text("[role=alert]")
        keep(view, "site-refused")
    assert said.startswith("<i>notes.mp3: no audio in a known format")


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_it_is_light_or_dark_and_fits_a_phone(opened, music, scheme, is_dark):
    with opened(color_scheme=scheme, viewport=PHONE) as view:
        hand_in(view, music)
        for name in ("songs", "match"):
            background = view.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", background))) < 150) == is_dark
            assert view.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
            keep(view, f"site-phone-{scheme}-{name}")
            if name == "songs":
                box = view.locator("tbody td:last-child >> nth=0").bounding_box()
                assert box["x"] + box["width"] <= PHONE["width"], "the table is cut off"
                view.click("tbody a >> nth=0")
                wait(view, "decks.every((deck) => deck.audio.readyState >= 2)")
