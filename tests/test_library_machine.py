"""Whatever is added, moved, changed, removed or lost by a crash, a library is what was intended."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from libraries import MODEL, version, write

from kinet.extraction.sources import Source
from kinet.library import Library
from kinet.matching import align

NAMES = [f"{letter}.npy" for letter in "abcdef"]
SONGS = [0, 1, 2]
KEYS = [0, 4]


class LibraryMachine(RuleBasedStateMachine):
    """A library, beside it a dictionary of what is meant to be in it."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="kinet-machine-"))
        self.music = self.root / "music"
        self.music.mkdir()
        self.path = self.root / "0" / "library.sqlite"
        self.path.parent.mkdir()
        self.library = Library.create(self.path, MODEL)
        self.meant: dict[Path, tuple[bytes, str]] = {}  # content and song

    def teardown(self):
        self.library.close()
        shutil.rmtree(self.root)

    def content(self, path):
        return path.read_bytes()

    @rule(name=st.sampled_from(NAMES), song=st.sampled_from(SONGS), key=st.sampled_from(KEYS))
    def add(self, name, song, key):
        """A new file, another content of one that was there, or the copy of another."""
        path = write(self.music / name, version(song, key, vectors=40))
        report = self.library.add([Source(path, f"s{song}", "1")], workers=1)
        assert not report.failed
        self.meant[path] = (self.content(path), f"s{song}")

    @precondition(lambda self: self.meant)
    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def move(self, data, name):
        """The file goes to another name, be it that of another file, and is added there."""
        old = data.draw(st.sampled_from(sorted(self.meant)))
        new = self.music / name
        old.rename(new)
        self.library.add([new], workers=1)
        self.meant[new] = self.meant.pop(old)

    @precondition(lambda self: self.meant)
    @rule(data=st.data())
    def remove(self, data):
        path = data.draw(st.sampled_from(sorted(self.meant)))
        self.library.remove([path])
        del self.meant[path]

    @rule()
    def reopen(self):
        self.library.close()
        self.library = Library.open(self.path)

    @rule()
    def crash(self):
        """The power fails within a change: what is on the disk then is what is gone on with."""
        folder = self.root / str(int(self.path.parent.name) + 1)
        store = self.library._store

        def change():
            with store.writing():
                for path in self.meant:
                    store.remove_file(path)
                shutil.copytree(self.path.parent, folder)
                raise RuntimeError

        try:
            change()
        except RuntimeError:
            self.library.close()
        self.path = folder / self.path.name
        self.library = Library.open(self.path)

    @rule(song=st.sampled_from(SONGS), key=st.sampled_from(KEYS), is_own=st.booleans())
    def find(self, song, key, is_own):
        """As if every recording were compared, and the best of each song taken."""
        hpcp = version(song, key, vectors=40) if is_own else version(song, 7, 3, 35)
        query = write(self.root / "query.npy", hpcp)
        best: dict[str, float] = {}
        for path, (content, of_song) in self.meant.items():
            if content != query.read_bytes():
                score = align(hpcp, np.load(path)).score
                best[of_song] = max(best.get(of_song, 0.0), score)
        [answer] = self.library.find([query], aligned=50, workers=1)
        found = {match.song: match.score for match in answer.matches}
        assert found == best
        scores = [match.score for match in answer.matches]
        assert scores == sorted(scores, reverse=True)

    @invariant()
    def holds_what_was_meant(self):
        here = {file.path: file.song for file in self.library.files()}
        assert here == {path: song for path, (_, song) in self.meant.items()}
        assert self.library.info().recordings == len({c for c, _ in self.meant.values()})
        assert self.library.check() == []


TestLibraryMachine = LibraryMachine.TestCase
TestLibraryMachine.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None, derandomize=True
)
