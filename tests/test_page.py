"""The page of a match: one file that loads nothing, shows any name as text, and plays both."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import av
import numpy as np
import pytest
import soundfile
from browsing import a_browser, a_view, wait

from kinet.audio import AudioError
from kinet.config import FeatureConfig
from kinet.extraction import extract_file
from kinet.matching import align
from kinet.page import Match, Recording, write_page
from kinet.page.sound import RATE, compact_sound

SECONDS = FeatureConfig().seconds_per_vector
HOSTILE = "</script><script>document.title='taken'</script>\u202e &amp; <b>"


def write_song(path, notes, seconds=0.7, key=0):
    time = np.arange(int(seconds * 22050)) / 22050
    tones = [
        sum(np.sin(2 * np.pi * 220 * h * 2 ** ((note + key) / 12) * time) / h for h in (1, 2, 3))
        for note in notes
    ]
    soundfile.write(path, 0.2 * np.hstack(tones), 22050)
    return path


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """A tune of 28 s, and after 7 s of something else the same, 3 semitones higher."""
    folder = tmp_path_factory.mktemp("songs")
    rng = np.random.default_rng(4)
    tune = rng.choice([0, 2, 4, 5, 7, 9, 11, 12], 40)
    first = write_song(folder / "a.wav", tune)
    second = write_song(folder / "b.wav", [*rng.choice([1, 3, 6, 8, 10], 10), *tune], key=3)
    return [Recording(name, extract_file(p), p) for name, p in (("Tune", first), (HOSTILE, second))]


@pytest.fixture(scope="module")
def page(songs, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    first, second = songs
    write_page(path, first, [Match(second, align(first.hpcp, second.hpcp))])
    return path


class Parsed(HTMLParser):
    """Elements with their attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.found.append([tag, dict(attrs), ""])
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == self.found[-1][0]:
            self.found[-1][2] += data

    def all(self, tag):
        return [(attributes, text) for name, attributes, text in self.found if name == tag]


def data_of(path):
    (found,) = [t for a, t in Parsed(path.read_text()).all("script") if a.get("id") == "data"]
    return json.loads(found)


def test_names_are_text_whatever_is_in_them(page):
    parsed = Parsed(page.read_text())
    assert len(parsed.all("script")) == 2
    assert not parsed.all("b")
    assert data_of(page)["recordings"][1]["title"] == HOSTILE.replace("\u202e", "\\u202e")


def test_the_title_is_escaped(songs, tmp_path):
    first = Recording(HOSTILE, songs[0].hpcp)
    write_page(tmp_path / "p.html", first, [Match(first, align(first.hpcp, first.hpcp))])
    parsed = Parsed((tmp_path / "p.html").read_text())
    assert parsed.all("title")[0][1].startswith("</script><script>document")
    assert len(parsed.all("script")) == 2


def test_the_page_loads_and_runs_nothing_but_what_is_in_it(page):
    parsed = Parsed(page.read_text())
    (policy,) = [a["content"] for a, _ in parsed.all("meta") if "http-equiv" in a]
    assert policy.startswith("default-src 'none'; ")
    for kind, tag in (("script", "script"), ("style", "style")):
        text = parsed.all(tag)[-1][1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not [a for _, a, _ in parsed.found if {"src", "href", "style", "onclick"} & a.keys()]
    code = [text for tag in ("script", "style") for a, text in parsed.all(tag) if not a]
    assert len(code) == 2
    assert not re.search("https?:|fetch|import|url\\(", "".join(code))


def test_what_a_page_says_of_a_match(page, songs):
    data, (first, second) = data_of(page), songs
    alignment = align(first.hpcp, second.hpcp)
    (match,) = data["matches"]
    assert (match["recording"], match["transposition"]) == (1, 3)
    assert match["score"] == alignment.score
    assert [passage["where"] for passage in match["passages"]] == list(map(str, alignment.passages))
    points = np.array(match["passages"][0]["points"])
    assert np.all(np.diff(points, axis=0) > 0)
    assert points[:, 1] - points[:, 0] == pytest.approx(7, abs=0.5)
    matrix = match["matrix"]
    values = np.frombuffer(base64.b64decode(matrix["values"]), np.uint8)
    values = values.reshape(matrix["columns"], matrix["rows"])
    assert values.shape == (len(first.hpcp) - 5, len(second.hpcp) - 5)
    shifted = np.diagonal(values, round(7 / SECONDS))
    assert shifted.mean() > 3 * values.mean()  # what matches stands out
    hpcp = np.frombuffer(base64.b64decode(data["recordings"][0]["hpcp"]), np.uint8)
    assert hpcp.reshape(-1, 12) / 255 == pytest.approx(first.hpcp, abs=0.002)
    assert data["pitches"][0] == "A"


def decoded(sound):
    with av.open(io.BytesIO(sound)) as container:
        stream = container.streams.audio[0]
        frames = [frame.to_ndarray()[0] for frame in container.decode(stream)]
        return stream.rate, stream.codec_context.name, np.concatenate(frames)


def pitch(samples, rate):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * rate / len(samples)


def test_the_sound_of_the_second_is_in_the_key_of_the_first(page):
    first, second = data_of(page)["recordings"]
    assert (first["speed"], second["speed"]) == (1, pytest.approx(2 ** (-3 / 12)))
    rate, codec, samples = decoded(base64.b64decode(first["sound"]))
    assert (rate, codec) == (RATE, "mp3float")
    assert len(samples) / rate == pytest.approx(28, abs=0.1)
    _, _, slower = decoded(base64.b64decode(second["sound"]))
    assert len(slower) / rate == pytest.approx(35 / second["speed"], abs=0.1)


@pytest.mark.parametrize("speed", [0.75, 1, 1.5])
def test_faster_is_higher(tmp_path, speed):
    time = np.arange(4 * 44100) / 44100
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * time), 44100)
    rate, _, samples = decoded(compact_sound(tmp_path / "a.wav", speed))
    assert pitch(samples, rate) == pytest.approx(440 * speed, abs=1)
    assert len(samples) / rate == pytest.approx(4 / speed, abs=0.1)


def test_sound_beyond_full_scale_is_clipped(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(44100, 8.0), 44100, subtype="FLOAT")
    assert np.abs(decoded(compact_sound(tmp_path / "a.wav"))[2]).max() < 2


def test_features_alone_have_no_sound(songs, tmp_path):
    first, second = (Recording(each.title, each.hpcp) for each in songs)
    write_page(tmp_path / "p.html", first, [Match(second, align(first.hpcp, second.hpcp))])
    assert [each["sound"] for each in data_of(tmp_path / "p.html")["recordings"]] == [None, None]


def test_a_matrix_is_not_larger_than_a_screen(tmp_path):
    hpcp = np.random.default_rng(0).random((1300, 12)).astype(np.float32)
    long, short = Recording("long", hpcp), Recording("short", hpcp[600:700])
    write_page(tmp_path / "p.html", long, [Match(short, align(long.hpcp, short.hpcp))])
    matrix = data_of(tmp_path / "p.html")["matches"][0]["matrix"]
    assert (matrix["columns"], matrix["rows"]) == (600, 95)
    values = np.frombuffer(base64.b64decode(matrix["values"]), np.uint8).reshape(600, 95)
    # The passage from 600 to 700 is there, whatever falls between two columns.
    columns = np.searchsorted(np.arange(600) * 1295 // 600, np.arange(600, 695), "right") - 1
    assert values[columns, np.arange(95)].mean() > 2 * values.mean()
    assert values[columns, np.arange(95)].min() > 200


def test_several_matches_share_a_page(songs, tmp_path):
    first, second = songs
    matches = [Match(each, align(first.hpcp, each.hpcp)) for each in (second, first)]
    write_page(tmp_path / "p.html", first, matches)
    data = data_of(tmp_path / "p.html")
    assert [match["recording"] for match in data["matches"]] == [1, 2]
    assert [each["title"] for each in data["recordings"]][::2] == ["Tune", "Tune"]


def test_a_recording_that_cannot_be_read_leaves_no_page(songs, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    broken = Recording("broken", songs[1].hpcp, tmp_path / "text.wav")
    with pytest.raises(AudioError):
        write_page(tmp_path / "p.html", broken, [Match(songs[0], align(broken.hpcp, broken.hpcp))])
    assert not list(tmp_path.glob("*.html"))


@pytest.fixture(scope="module")
def browser():
    with a_browser() as found:
        yield found


@pytest.fixture
def shown(browser, page):
    """The page in a browser."""
    with a_view(browser, page.as_uri()) as view:
        view.goto(page.as_uri())
        wait(view, "decks.every((deck) => deck.audio.readyState >= 2)")
        yield view


def times(view):
    return view.evaluate("decks.map((deck) => deck.time)")


def playing(view):
    return view.evaluate("decks.map((deck) => deck.isPlaying)")


def test_names_are_shown_as_they_are(shown):
    assert shown.title() == "Tune - kinet"
    assert shown.inner_text("#other") == HOSTILE.replace("\u202e", "\\u202e")


def test_a_click_in_the_matrix_plays_that_place_in_both(shown):
    matrix = shown.locator("#matrix")
    box = matrix.bounding_box()
    duration = shown.evaluate("decks.map((deck) => deck.recording.seconds)")
    x, y = 10 / duration[0] * box["width"], (1 - 17 / duration[1]) * box["height"]
    matrix.click(position={"x": x, "y": y})
    wait(shown, "decks.every((deck) => deck.isPlaying)")
    first, second = times(shown)
    assert first == pytest.approx(10, abs=1)
    assert second == pytest.approx(17, abs=1)
    wait(shown, f"decks[0].time > {first + 1}")
    first, second = times(shown)
    assert second - first == pytest.approx(7, abs=0.6)  # they stay together
    shown.click("#play")
    assert playing(shown) == [False, False]


def test_a_jump_goes_on_at_the_same_moment_of_the_other(shown):
    shown.check("input[value='0']")
    shown.click("#passages button")
    start = times(shown)[0]
    wait(shown, f"decks[0].time > {start + 1.5}")
    # At once: the second goes on while the first has stopped.
    first, second = shown.evaluate("(element('jump').click(), decks.map((deck) => deck.time))")
    assert second - first == pytest.approx(7, abs=0.6)
    wait(shown, "decks[1].isPlaying")
    assert playing(shown) == [False, True]
    assert shown.is_checked("input[value='1']")


def test_the_second_sounds_in_key_and_tempo_of_the_first_or_as_it_is(shown):
    shown.evaluate("match.tempoRatio = 1.25")
    shown.click("#play")
    wait(shown, "decks[1].isPlaying")
    rate, keeps = "decks[1].audio.playbackRate", "decks[1].audio.preservesPitch"
    speed, ratio = shown.evaluate("[decks[1].speed, match.tempoRatio]")
    assert shown.evaluate(f"[{rate}, {keeps}]") == [pytest.approx(1 / speed / ratio), True]
    shown.uncheck("#matched")
    wait(shown, f"!{keeps}")
    assert shown.evaluate(rate) == pytest.approx(1 / speed)


def test_the_page_is_used_by_keyboard_alone(shown):
    reached = []
    for _ in range(12):
        shown.keyboard.press("Tab")
        reached.append(shown.evaluate("document.activeElement.id || document.activeElement.type"))
    wanted = ["button", "play", "radio", "jump", "matched", "time-0", "time-1", "matrix"]
    assert [name for name in wanted if name not in reached] == []
    shown.focus("#matrix")
    before = times(shown)
    for key in ("ArrowRight", "ArrowUp", "Shift+ArrowLeft"):
        shown.keyboard.press(key)
    first, second = times(shown)
    assert (first - before[0], second - before[1]) == (pytest.approx(4), pytest.approx(5))
    shown.keyboard.press("Enter")
    wait(shown, "decks.every((deck) => deck.isPlaying)")


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_the_page_is_light_or_dark_and_fits_a_phone(browser, page, scheme, is_dark):
    view = browser.new_page(color_scheme=scheme, viewport={"width": 360, "height": 740})
    view.goto(page.as_uri())
    background = view.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 150) == is_dark
    pixel = "Array.from(element('matrix').getContext('2d').getImageData(1, 1, 1, 1).data)"
    assert (sum(view.evaluate(pixel)[:3]) < 150) == is_dark
    assert view.evaluate("document.documentElement.scrollWidth") == 360
    view.close()


def test_features_alone_are_shown_without_sound(browser, songs, tmp_path):
    first, second = (Recording(each.title, each.hpcp) for each in songs)
    write_page(tmp_path / "p.html", first, [Match(second, align(first.hpcp, second.hpcp))])
    view = browser.new_page()
    view.goto((tmp_path / "p.html").as_uri())
    assert view.inner_text("#status").startswith("No sound of: Tune, ")
    assert view.is_disabled("#play")
    view.click("#passages button")
    assert times(view)[1] - times(view)[0] == pytest.approx(7, abs=0.5)
    view.close()
