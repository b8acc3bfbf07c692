"""`beet covers` on a small library of beets, whose sound is made here."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import beets
import numpy as np
import pytest
import soundfile
from beets import plugins, ui
from beets.library import Item, Library

from kinet import Library as Sounds

RATE = 22050
TITLES = {
    "help.flac": ("Help!", "The Beatles", "Help!"),
    "help_live.flac": ("Help! (live)", "A Band", "Alive"),
    "copy.flac": ("Help!", "The Beatles", "Best of"),
    "other.flac": ("Something Else", "Others", "Else"),
}


def write_tune(path: Path, seed: int, key: int = 0, beat: float = 0.5) -> Path:
    """Twelve seconds and more of a melody."""
    notes = np.random.default_rng(seed).integers(-12, 12, 28)
    time = np.arange(round(beat * RATE)) / RATE
    sound = [np.sin(2 * np.pi * 440 * 2 ** ((note + key) / 12) * time) for note in notes]
    soundfile.write(path, 0.3 * np.hstack(sound), RATE)
    return path


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Music; in all libraries it lies there."""
    folder = tmp_path_factory.mktemp("prepared")
    write_tune(folder / "help.flac", 1)
    write_tune(folder / "help_live.flac", 1, key=3, beat=0.45)
    write_tune(folder / "other.flac", 2)
    shutil.copy(folder / "help.flac", folder / "copy.flac")
    return folder


class Beets:
    """A library of beets in a folder, and its command line in this process."""

    def __init__(self, folder: Path, music: Path, capsys, monkeypatch):
        self.folder, self._music, self._capsys = folder, music, capsys
        self.database = folder / "library.db"
        self.sounds = folder / "library.covers.sqlite"
        monkeypatch.setenv("BEETSDIR", str(folder))
        monkeypatch.setenv("HOME", str(folder))
        # Everything in this process, which is at work already.
        for room in ("processes", "library.queries"):
            monkeypatch.setattr(f"kinet.{room}.cores", lambda: 1)
        self.configure()
        self._begin()
        self.library = Library(str(self.database), str(music))

    def configure(self, *lines: str) -> None:
        """Write the configuration, with these lines in `covers`."""
        lines = ("model: fourier", "threshold: 0.8", *lines)
        (self.folder / "config.yaml").write_text(
            f"directory: {self._music}\nlibrary: {self.database}\nplugins: covers\n"
            "create_backup_before_migrations: no\nimport:\n  copy: no\n  autotag: no\n"
            "covers:\n" + "".join(f"  {line}\n" for line in lines)
        )

    def add(self, path: Path, title="", artist="", album="") -> Item:
        """Put a file into beets' library."""
        item = Item(path=os.fsencode(path), title=title, artist=artist, album=album)
        item.add(self.library)
        return item

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of a command."""
        self._begin()
        self._capsys.readouterr()
        code = 0
        try:
            ui.main(list(arguments))
        except SystemExit as end:
            code = end.code or 0
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def _begin(self) -> None:
        """Forget what beets keeps in a process, its stderr too, which is another in each test."""
        plugins._instances.clear()
        plugins.BeetsPlugin.listeners.clear()
        plugins.BeetsPlugin._raw_listeners.clear()
        logging.getLogger("beets").handlers.clear()
        beets.config.clear()
        beets.config.read()

    def paths(self) -> set[str]:
        """Names of the files in kinet's library."""
        with Sounds.open(self.sounds) as library:
            return {file.path.name for file in library.files()}


@pytest.fixture
def beet(prepared, tmp_path, capsys, monkeypatch):
    """The four recordings in beets, none of them read yet."""
    made = Beets(tmp_path, prepared, capsys, monkeypatch)
    for name, said in TITLES.items():
        made.add(prepared / name, *said)
    return made


@pytest.fixture
def read(beet, prepared):
    """The same after they were read, which is done once for all tests."""
    kept = prepared / "kept.sqlite"
    if kept.exists():
        shutil.copy(kept, beet.sounds)
    else:
        assert beet.run("covers")[0] == 0
        shutil.copy(beet.sounds, kept)
    return beet


@pytest.fixture
def no_reading(monkeypatch):
    """Whatever reads a recording fails."""

    def fail(*arguments):
        raise AssertionError("a recording was read")

    monkeypatch.setattr("kinet.library.adding.read_sound", fail)


def test_versions_are_listed_in_groups_with_the_titles_of_beets(read):
    code, out, err = read.run("covers")
    assert code == 0
    first, copy, live = out.splitlines()
    scores = {float(line.split("  ")[0]) for line in (first, live)}
    assert len(scores) == 1
    assert 0.8 <= scores.pop() <= 1
    assert first.split("  ")[1] == "The Beatles - Best of - Help!"
    assert copy == "copy  The Beatles - Help! - Help!"
    assert live.split("  ")[1] == "A Band - Alive - Help! (live)"
    assert err == "covers: scores are not calibrated: they rank, but are no probabilities\n"


def test_a_lower_threshold_finds_more(read):
    _, out, _ = read.run("covers", "--threshold", "0", "-f", "$title")
    assert "Something Else" in out.splitlines()
    assert len(out.splitlines()) == 4


def test_groups_are_apart_and_numbered(read, tmp_path):
    for name in ("one.flac", "two.flac"):
        shutil.copy(write_tune(tmp_path / "tune.flac", 5), tmp_path / name)
        read.add(tmp_path / name, "Twin")
    _, out, _ = read.run("covers")
    assert [not line for line in out.splitlines()] == [False, False, False, True, False, False]
    _, out, _ = read.run("covers", "-f", "$covers_group $title")
    assert out.splitlines()[3:] == ["2 Twin", "2 Twin"]


def test_lines_have_the_format_that_is_asked_for_and_nothing_else(read, prepared):
    layout = "$covers_group\t$covers_score\t$covers_key\t$covers_tempo\t$title\t$covers_nearest"
    _, out, _ = read.run("covers", "-f", layout)
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == ["1", "1", "1"]
    assert [row[4] for row in rows] == ["Help!", "Help!", "Help! (live)"]
    assert rows[1][1:4] == ["copy", "", ""]
    # Nearest to each other: one is three semitones above and 10 % faster.
    assert (rows[0][2], rows[2][2]) == ("+3", "-3")
    assert float(rows[0][3]) == pytest.approx(1 / 0.9, abs=0.05)
    assert float(rows[2][3]) == pytest.approx(0.9, abs=0.05)
    assert rows[0][5].endswith("help_live.flac")
    _, out, _ = read.run("covers", "-p")
    assert [Path(line) for line in out.splitlines()] == [
        prepared / name for name in ("copy.flac", "help.flac", "help_live.flac")
    ]


def test_with_a_query_only_its_items_are_compared(read):
    _, out, _ = read.run("covers", "artist:Beatles", "-f", "$album $covers_score")
    rows = out.splitlines()
    assert len(rows) == 2
    assert rows[1] == "Help! copy"
    assert read.run("covers", "artist:Band")[1:] == ("", "covers: nothing found\n")


def test_with_a_query_only_its_items_are_read(beet):
    assert beet.run("covers", "artist:Others")[0] == 0
    assert beet.paths() == {"other.flac"}


def test_of_lists_the_songs_that_an_item_is_a_version_of(read):
    code, out, _ = read.run("covers", "--of", "artist:Band")
    assert code == 0
    header, best, copy = out.splitlines()
    assert header == "A Band - Alive - Help! (live)"
    found = re.fullmatch(
        r"  (\S+)  -3  (\S+)  The Beatles - Best of - Help!  0:\d\d-0:1\d ~ 0:\d\d-0:1\d", best
    )
    assert found
    assert 0.8 <= float(found[1]) <= 1
    assert float(found[2]) == pytest.approx(0.9, abs=0.05)
    assert copy.split() == ["copy", "The", "Beatles", "-", "Help!", "-", "Help!"]


def test_nothing_here_is_an_answer(read):
    code, out, err = read.run("covers", "--of", "artist:Others")
    assert (code, err) == (0, "covers: nothing found\n")
    assert out.splitlines() == ["Others - Else - Something Else", "  nothing here"]


def test_of_in_a_format_names_the_item_too(read):
    _, out, _ = read.run("covers", "--of", "artist:Band", "-f", "$covers_of: $album")
    assert out.splitlines() == ["A Band - Help! (live): Best of", "A Band - Help! (live): Help!"]


def test_json_of_groups(read, prepared):
    code, out, _ = read.run("covers", "--json")
    document = json.loads(out)
    assert (code, document["calibrated"]) == (0, False)
    [[copy, original, live]] = document["groups"]
    assert (copy["kind"], original["kind"], live["kind"]) == ("version", "copy", "version")
    assert (live["title"], live["artist"], live["album"]) == ("Help! (live)", "A Band", "Alive")
    assert live["path"] == str(prepared / "help_live.flac")
    assert live["nearest"] == str(prepared / "copy.flac")
    assert live["id"] == 2
    assert live["transposition"] == -3
    assert live["probability"] is None
    assert (original["score"], original["passages"], original["nearest"]) == (None, [], None)
    [[begin, end], _] = live["passages"][0]
    assert 0 <= begin < end <= 12.7


def test_json_of_songs(read):
    _, out, _ = read.run("covers", "--of", "--json", "id:2", ",", "id:4")
    band, others = json.loads(out)["items"]
    assert [song["id"] for song in band["songs"]] == [3, 1]
    assert [song["kind"] for song in band["songs"]] == ["version", "copy"]
    assert (band["error"], others["title"], others["songs"]) == (None, "Something Else", [])


def test_what_is_known_is_not_read_again(read, no_reading):
    before = read.sounds.read_bytes()
    assert len(read.run("covers")[1].splitlines()) == 3
    assert read.sounds.read_bytes() == before


def test_only_new_and_changed_items_are_read(read, tmp_path, monkeypatch):
    from kinet.library import adding

    heard = []
    real = adding.read_sound
    monkeypatch.setattr(
        adding, "read_sound", lambda job, check: heard.append(job.path) or real(job, check)
    )
    mine = write_tune(tmp_path / "mine.flac", 3)
    read.add(mine, "Mine")
    read.run("covers")
    assert heard == [mine]
    write_tune(mine, 1, key=1)
    _, out, _ = read.run("covers", "-f", "$title")
    assert heard == [mine, mine]
    assert "Mine" in out.splitlines()


def test_moved_items_are_not_read_again(read, prepared, tmp_path, no_reading):
    item = next(iter(read.library.items("artist:Others")))
    shutil.copy(prepared / "other.flac", tmp_path / "moved.flac")
    item.path = os.fsencode(tmp_path / "moved.flac")
    item.store()
    assert read.run("covers")[0] == 0
    assert read.paths() == {"copy.flac", "help.flac", "help_live.flac", "moved.flac"}


def test_what_is_removed_from_beets_is_taken_out(read, prepared, no_reading):
    assert read.run("remove", "-f", "artist:Band")[0] == 0
    code, out, err = read.run("covers", "-f", "$covers_score")
    assert (code, out) == (0, "copy\ncopy\n")
    assert "covers: 1 files taken out that beets has no more\n" in err
    assert read.paths() == {"copy.flac", "help.flac", "other.flac"}
    assert (prepared / "help_live.flac").exists()
    read.run("remove", "-f")
    assert read.run("covers")[:2] == (0, "")
    assert read.paths() == set()


def test_the_library_lies_where_the_configuration_says(beet):
    beet.configure("library: elsewhere.sqlite")
    beet.run("covers", "artist:Others")
    assert not beet.sounds.exists()
    beet.sounds = beet.folder / "elsewhere.sqlite"
    assert beet.paths() == {"other.flac"}


@pytest.mark.parametrize(
    ("configured", "arguments", "said"),
    [
        ("", ["--threshold", "1.5"], "error: threshold is 1.5; allowed: from 0 to 1"),
        ("", ["--threshold", "nan"], "error: threshold is nan; allowed: from 0 to 1"),
        ("threshold: -1", [], "error: threshold is -1; allowed: from 0 to 1"),
        ("threshold: high", [], "configuration error: covers.threshold: must be numeric, not str"),
        ("", ["--of"], "error: covers --of: no QUERY; need the items whose songs to look for"),
        ("", ["artist:nobody"], "error: no matching items found"),
        ("model: nowhere.keras", [], "error: no model nowhere.keras; allowed: fourier"),
        ("library: no/such.sqlite", [], "such.sqlite"),
        ("library: config.yaml", [], "config.yaml"),
    ],
)
def test_mistakes_are_told_in_one_line(beet, configured, arguments, said):
    beet.configure(*[configured] if configured else [])
    before = (beet.folder / "config.yaml").read_bytes()
    code, out, err = beet.run("covers", *arguments)
    assert (code, out) == (1, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert not beet.sounds.exists()
    assert (beet.folder / "config.yaml").read_bytes() == before


def test_another_model_than_the_library_s_is_refused(read):
    from kinet.weights import names

    read.configure(f"model: {names()[0]}")
    before = read.sounds.read_bytes()
    code, out, err = read.run("covers")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "fourier" in err
    assert len(err.splitlines()) == 1
    assert read.sounds.read_bytes() == before


def test_an_item_that_cannot_be_read_is_named_and_the_others_are_found(read):
    (read.folder / "broken.flac").write_bytes(b"no sound" * 100)
    read.add(read.folder / "broken.flac", "Broken")
    read.add(read.folder / "gone.flac", "Gone")
    code, out, err = read.run("covers")
    assert (code, len(out.splitlines())) == (0, 3)
    assert re.search(r"covers: \S+broken.flac: .+\n", err)
    assert re.search(r"covers: \S+gone.flac: missing\n", err)


def test_an_item_that_cannot_be_looked_for_is_an_error_after_the_others(read):
    read.add(read.folder / "gone.flac", "Gone")
    code, out, err = read.run("covers", "--of", "title:Gone", ",", "artist:Band")
    assert code == 1
    assert len(out.splitlines()) == 3
    assert err.splitlines()[-1] == "error: 1 of 2 items could not be looked for"
    assert re.search(r"gone.flac: missing\n", err)


def test_titles_cannot_steer_a_terminal(read):
    item = next(iter(read.library.items("artist:Band")))
    item.title = "Red \x1b[31m"
    item.store()
    _, out, _ = read.run("covers")
    assert "\x1b" not in out
    assert r"Red \x1b[31m" in out


def test_an_interruption_is_one_line_too(read, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("kinet.Library.duplicates", interrupt)
    code, out, err = read.run("covers")
    assert (code, out) == (1, "")
    assert err == "error: interrupted; what was read is kept, and the command goes on\n"


@pytest.mark.parametrize("kind", [[], ["-s"]])
def test_auto_reads_what_is_imported_and_nothing_else(beet, kind):
    beet.configure("auto: yes")
    (beet.folder / "new").mkdir()
    write_tune(beet.folder / "new" / "mine.flac", 3)
    assert beet.run("import", "-q", *kind, str(beet.folder / "new"))[0] == 0
    assert len(list(beet.library.items())) == 5
    assert beet.paths() == {"mine.flac"}


def test_without_auto_an_import_reads_nothing(beet, no_reading):
    write_tune(beet.folder / "mine.flac", 3)
    assert beet.run("import", "-q", "-s", str(beet.folder / "mine.flac"))[0] == 0
    assert not beet.sounds.exists()


def test_an_import_succeeds_where_auto_fails(beet):
    beet.configure("auto: yes", "library: no/such.sqlite")
    write_tune(beet.folder / "mine.flac", 3)
    code, _, err = beet.run("import", "-q", "-s", str(beet.folder / "mine.flac"))
    assert code == 0
    assert re.search(r"covers: .*such.sqlite", err)
    assert len(list(beet.library.items())) == 5


def test_other_commands_of_beets_do_not_wait_for_kinet(beet):
    code = (
        "import sys; from beets import ui; ui.main(['ls']); "
        "sys.exit([name for name in sys.modules if name.split('.')[0] == 'kinet'] or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 4
