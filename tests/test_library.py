"""Libraries: what was added is there, wholly, once, and found again; all else is refused."""

from __future__ import annotations

import errno
import functools
import io
import os
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc
from pathlib import Path

import audio_files
import libraries
import numpy as np
import pytest
from libraries import library_of, tune, version, write

import kinet
from kinet.address import place_of
from kinet.embeddings import Embedder
from kinet.errors import DataError, KinetError, SettingsError
from kinet.extraction.recording import Refused
from kinet.extraction.sources import Source, read_sources
from kinet.library import (
    Library,
    Shards,
    adding,
    cache,
    finding,
    groups,
    models,
    postgres_tables,
    queries,
    schema,
    shelves,
    shortlisting,
    snapshot,
    sqlite,
    store,
)
from kinet.library.calibration import Calibration
from kinet.library.databases import is_taken
from kinet.library.models import find_model
from kinet.library.pieces import embed_pieces, pieces_of
from kinet.library.rows import File, Sound
from kinet.library.sounds import said_by_name
from kinet.library.store import Store


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path, monkeypatch):
    """Gives where a library of a name is: what holds of one database holds of the other."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    if request.param == "sqlite":
        return tmp_path.joinpath
    server = request.getfixturevalue("postgres")
    return functools.cache(lambda name: server.new())


@pytest.fixture
def library(tmp_path, place):
    with library_of(tmp_path, where=place("library.sqlite")) as made:
        yield made


@pytest.fixture
def file_library(tmp_path):
    with library_of(tmp_path) as made:
        yield made


def reading_is_forbidden(monkeypatch):
    def refuse(job, check):
        raise AssertionError(f"{job.path} is read again")

    monkeypatch.setattr(adding, "read_sound", refuse)


def names(files):
    return [file.path.name for file in files]


def found(library, path, **how):
    [answer] = library.find([path], workers=1, **how)
    assert not answer.fault, answer.fault
    return answer.matches


# What is in it


def test_what_was_added_is_there_after_opening_again(library, tmp_path, place):
    library.close()
    with Library.open(place("library.sqlite")) as again:
        assert names(again.files()) == [f"s{s}_{n}.npy" for s in range(4) for n in range(2)]
        assert {file.song for file in again.files()} == {"s0", "s1", "s2", "s3"}
        assert again.check() == []
        info = again.info()
    assert (info.model, info.size, info.recordings, info.files) == ("fourier", 1044, 8, 8)
    assert info.seconds == pytest.approx(8 * 90 * 0.46440, abs=0.01)
    assert not list(tmp_path.glob("library.sqlite-*"))


def test_hpcp_and_embeddings_are_kept_as_they_were(library, tmp_path):
    [(number, _, _), *_] = library._store.recordings()
    hpcp = np.load(tmp_path / "s0_0.npy")
    assert np.array_equal(library._store.hpcp(number), hpcp)
    rows = embed_pieces(find_model("fourier").load(), hpcp, 135, 45)
    assert np.array_equal(library._store.embeddings_of(number), rows)


def test_where_no_library_can_be_written_the_error_names_it(tmp_path, monkeypatch):
    real = os.open

    def refuse(path, flags, *others, **more):
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, flags, *others, **more)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError) as told:
        Library.create(tmp_path / "my.library", "fourier")
    assert str(told.value) == (
        f"cannot write {tmp_path / 'my.library'}: Read-only file system; need a folder that can be "
        "made and written to"
    )
    assert not list(tmp_path.iterdir())


def test_unchanged_files_are_not_read_again(library, tmp_path, monkeypatch):
    reading_is_forbidden(monkeypatch)
    report = library.add([Source(tmp_path / "s0_0.npy", "s0", "0")], workers=1)
    assert (report.unchanged, report.added, report.known, report.failed) == (1, [], [], [])


def test_a_touched_file_is_looked_at_but_not_read_again(library, tmp_path, monkeypatch):
    reading_is_forbidden(monkeypatch)
    os.utime(tmp_path / "s0_0.npy", (1, 1))
    report = library.add([tmp_path / "s0_0.npy"], workers=1)
    assert names_of(report.known) == ["s0_0.npy"]
    assert library.add([tmp_path / "s0_0.npy"], workers=1).unchanged == 1


def names_of(paths):
    return [path.name for path in paths]


def test_a_moved_file_is_known_by_its_content_and_keeps_its_song(library, tmp_path, monkeypatch):
    reading_is_forbidden(monkeypatch)
    (tmp_path / "s0_0.npy").rename(tmp_path / "07 New Name.npy")
    report = library.add([tmp_path / "07 New Name.npy"], workers=1)
    assert names_of(report.known) == ["07 New Name.npy"]
    [moved] = [file for file in library.files() if file.path.name == "07 New Name.npy"]
    assert (moved.song, moved.title, len(library.files())) == ("s0", "New Name", 8)


def test_an_exact_copy_is_a_second_file_of_one_recording(library, tmp_path, monkeypatch):
    reading_is_forbidden(monkeypatch)
    shutil.copy(tmp_path / "s0_0.npy", tmp_path / "copy.npy")
    library.add([tmp_path / "copy.npy"], workers=1)
    info = library.info()
    assert (info.recordings, info.files) == (8, 9)
    library.remove([tmp_path / "s0_0.npy"])
    assert (library.info().recordings, library.info().files) == (8, 8)
    library.remove([tmp_path / "copy.npy"])
    assert (library.info().recordings, library.info().files) == (7, 7)
    assert library.check() == []


def test_copies_that_come_together_are_one_recording(tmp_path, place):
    hpcp = tune(1)
    paths = [write(tmp_path / name, hpcp) for name in ("a.npy", "b.npy")]
    with Library.create(place("l"), "fourier") as library:
        assert len(library.add(paths, workers=1).added) == 2
        assert (library.info().recordings, library.info().files) == (1, 2)


def test_a_file_of_new_content_takes_the_place_of_the_old(library, tmp_path):
    write(tmp_path / "s0_0.npy", tune(77, 60))
    assert len(library.add([tmp_path / "s0_0.npy"], workers=1).added) == 1
    info = library.info()
    assert (info.recordings, info.files) == (8, 8)
    lengths = sorted(len(hpcp) for _, hpcp in library._store.all_hpcp())
    assert lengths == [60, *[90] * 7]


def test_a_song_can_be_stated_later(tmp_path, place):
    path = write(tmp_path / "a.npy", tune(1))
    with Library.create(place("l"), "fourier") as library:
        library.add([path], workers=1)
        library.add([Source(path, "Yesterday", "1")], workers=1)
        assert [file.song for file in library.files()] == ["Yesterday"]
        library.add([path], workers=1)
        assert [file.song for file in library.files()] == ["Yesterday"]


def test_a_csv_file_states_songs(tmp_path, place):
    write(tmp_path / "a.npy", tune(1))
    table = tmp_path / "songs.csv"
    table.write_text("path,song_id,version_id\na.npy,Yesterday,1\n")
    with Library.create(place("l"), "fourier") as library:
        library.add([table], workers=1)
        assert [file.song for file in library.files()] == ["Yesterday"]


def test_a_folder_of_recordings_over_two_processes(tmp_path, place):
    music = tmp_path / "music"
    for name in ("Album/01 One.flac", "Album/02 Two.mp3"):
        (music / name).parent.mkdir(parents=True, exist_ok=True)
        audio_files.make(music / name, seconds=2.0 if "One" in name else 3.0)
    (music / "broken.mp3").write_bytes(b"no sound")
    with Library.create(place("l"), "fourier") as library:
        seen = []
        report = library.add([music], workers=2, progress=lambda *now: seen.append(now))
        assert sorted(names_of(report.added)) == ["01 One.flac", "02 Two.mp3"]
        assert [unread.path.name for unread in report.failed] == ["broken.mp3"]
        assert "no audio in a known format" in report.failed[0].message
        assert [file.title for file in library.files()] == ["One", "Two"]
        assert report.seconds == pytest.approx(5, abs=0.1)
        assert (seen[0], seen[-1][:2]) == ((0, 3, 0.0), (3, 3))


def test_title_and_artist_come_from_tags(tmp_path, place):
    import av

    path = tmp_path / "07 x.mp3"
    audio_files.make(path, seconds=2.0)
    tagged = tmp_path / "tagged.mp3"
    with av.open(str(path)) as there, av.open(str(tagged), "w") as here:
        here.metadata.update({"title": "Für  Elise", "artist": "Lang\nLang"})
        stream = here.add_stream_from_template(there.streams.audio[0])
        for packet in there.demux(there.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                here.mux(packet)
    with Library.create(place("l"), "fourier") as library:
        library.add([path, tagged], workers=1)
        said = {file.path.name: (file.title, file.artist) for file in library.files()}
    assert said == {"07 x.mp3": ("x", ""), "tagged.mp3": ("Für Elise", "Lang Lang")}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("01 Let It Be.mp3", ("Let It Be", "")),
        ("1-02_let_it_be.flac", ("let it be", "")),
        ("The Beatles - Help (Live).mp3", ("Help (Live)", "The Beatles")),
        ("1979.mp3", ("1979", "")),
        ("99.mp3", ("99", "")),
        ("Yesterday/live.mp3", ("Yesterday - live", "")),
        ("Feeling_Good/01 Live (1965).mp3", ("Feeling Good - Live (1965)", "")),
        ("Yesterday/track01.mp3", ("Yesterday - track01", "")),
        ("Prince/1999.mp3", ("Prince - 1999", "")),
        ("Yesterday/COVER.mp3", ("Yesterday - COVER", "")),
        ("/live.mp3", ("live", "")),
        ("Help!/13 Yesterday.mp3", ("Yesterday", "")),
        ("Wings/Live and Let Die.mp3", ("Live and Let Die", "")),
        ("music/Muse - Live.mp3", ("Muse (Live)", "")),
        ("music/!!!.mp3", ("!!!", "")),
    ],
)
def test_names_say_title_and_artist_where_no_tags_do(name, said):
    assert said_by_name(Path(name)) == said


def test_versions_in_a_folder_for_each_song_are_told_apart(tmp_path, place, monkeypatch):
    music = tmp_path / "music"
    for song, name in enumerate(("Help", "Yesterday")):
        for number, take in enumerate(("live", "studio")):
            write(music / name / f"{take}.npy", version(song, number))
    write(tmp_path / "heard" / "live.npy", version(1, 2))
    with Library.create(place("l"), "fourier") as library:
        library.add(sorted(music.rglob("*.npy")), workers=1)
        monkeypatch.chdir(tmp_path / "heard")
        [answer] = library.find(["live.npy"], workers=1)
    titles = [match.title for match in answer.matches]
    assert sorted(titles[:2]) == ["Yesterday - live", "Yesterday - studio"]
    assert sorted(titles[2:]) == ["Help - live", "Help - studio"]
    assert answer.title == "heard - live"


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text")
def test_names_that_are_no_text_and_names_that_look_like_markup(tmp_path, place):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 [bold].npy"))
    write(odd, tune(1))
    with Library.create(place("l"), "fourier") as library:
        library.add([odd], workers=1)
        assert [file.path for file in library.files()] == [odd]
        assert library.check() == []
        assert library.add([odd], workers=1).unchanged == 1


# Pieces


def test_groups_let_hubs_count_by_what_a_recording_fills_of_a_window(tmp_path, place, monkeypatch):
    seen = []
    monkeypatch.setattr(groups, "candidates", lambda snapshot, shares, _: seen.append(shares) or {})
    lengths = (27, 135, 54, 300)
    with Library.create(place("l"), "fourier") as library:
        for length in lengths:
            library.add([write(tmp_path / f"{length}.npy", tune(length, length))], workers=1)
        library.duplicates()
        order = [len(library._store.hpcp(number)) for number, _, _ in library._store.recordings()]
    assert sorted(order) == sorted(lengths)
    [shares] = seen
    np.testing.assert_allclose(shares, [min(1, length / 135) for length in order], rtol=1e-6)


def test_a_short_track_is_one_piece_and_a_long_one_has_windows_to_its_end():
    assert pieces_of(100, 135, 45) == [(0, 100)]
    assert pieces_of(136, 135, 45) == [(0, 136), (0, 135), (1, 136)]
    assert pieces_of(225, 135, 45) == [(0, 225), (0, 135), (45, 180), (90, 225)]


def test_windows_are_embedded_as_tracks_of_their_own():
    hpcp = tune(1, 300)
    lengths = []

    def embed(batch):
        lengths.append(batch.shape[1])
        return np.eye(4, dtype=np.float32)[batch[:, 0].argmax(axis=1) % 4]

    rows = embed_pieces(Embedder(embed, 4, 400, 20, None), hpcp, 135, 45)
    expected = [hpcp[start].argmax() % 4 for start, _ in pieces_of(300, 135, 45)]
    assert rows.argmax(axis=1).tolist() == expected
    assert set(lengths) == {400, 135}


def test_a_model_of_one_length_gets_pieces_of_it():
    lengths = []

    def embed(batch):
        lengths.append(batch.shape[1])
        return np.eye(4, dtype=np.float32)[:1].repeat(len(batch), axis=0)

    embed_pieces(Embedder(embed, 4, 150, 150, 150), tune(1, 300), 150, 45)
    embed_pieces(Embedder(embed, 4, 150, 150, 150), tune(1, 30), 150, 45)
    assert set(lengths) == {150}


# Finding


def test_a_part_in_another_key_and_elsewhere_is_found_with_passage_and_key(library, tmp_path):
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    best = found(library, query)[0]
    assert (best.song, best.title[:2], best.tempo_ratio) == ("s2", "s2", pytest.approx(1, abs=0.05))
    # The query is seven semitones above the tune, the versions 0 and 2.
    assert best.transposition in (-7 + 12, -5)
    passage = best.passages[0]
    number = int(best.path.stem[-1])
    assert passage.start_b - passage.start_a == pytest.approx((20 - 5 * number) * 0.4644, abs=1.5)
    assert best.score > 0.9
    assert best.probability is None
    assert best.confidence == best.score


def test_songs_are_found_not_files(library, tmp_path):
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    matches = found(library, query)
    assert sorted(match.song for match in matches) == ["s0", "s1", "s2", "s3"]
    assert [len(match.others) for match in matches] == [1, 1, 1, 1]


def test_the_score_ranks_whatever_the_probabilities(library, tmp_path, monkeypatch):
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    expected = [match.path for match in found(library, query)]
    against = Calibration(9.0, -20.0, 0.0, 9, 9, 0.1, (), ())
    monkeypatch.setattr(shelves, "calibration_of", lambda own, digest: against)
    matches = found(library, query)
    assert matches[0].probability < matches[-1].probability
    assert [match.path for match in matches] == expected


def test_a_recording_that_is_too_short_to_be_aligned_is_in_nobodys_way(library, tmp_path):
    library.add([write(tmp_path / "jingle.npy", tune(9, 4))], workers=1)
    matches = found(library, write(tmp_path / "q.npy", version(2, 7, 20, 60)))
    assert matches[0].song == "s2"
    assert [match.score for match in matches if match.path.name == "jingle.npy"] == [0.0]
    assert len(library.duplicates()) == 4


def test_the_query_itself_and_exact_copies_are_no_covers(library, tmp_path):
    shutil.copy(tmp_path / "s2_0.npy", tmp_path / "copy.npy")
    library.add([tmp_path / "copy.npy"], workers=1)
    best = found(library, tmp_path / "s2_0.npy")[0]
    assert (best.path.name, best.others) == ("s2_1.npy", ())


def test_a_query_that_is_in_the_library_is_not_read_again_nor_embedded(
    library, tmp_path, monkeypatch
):
    [expected] = library.find([tmp_path / "s2_0.npy"], workers=1)
    shutil.copy(tmp_path / "s2_0.npy", tmp_path / "copy.npy")
    monkeypatch.setattr(queries, "read_sound", lambda job, check: pytest.fail("reads"))
    monkeypatch.setattr(library, "_embed", lambda: pytest.fail("embeds"))
    [answer] = library.find([tmp_path / "copy.npy"], workers=1)
    assert (answer.matches, answer.title, answer.seconds) == (
        *(expected.matches, "s2 0"),
        pytest.approx(90 * 0.4644, abs=0.01),
    )
    monkeypatch.undo()
    # The same HPCP in a file of other content is read, and finds the original.
    np.save(tmp_path / "other.npy", np.load(tmp_path / "s2_0.npy").astype(np.float64))
    assert found(library, tmp_path / "other.npy")[0].score == 1.0


def test_top_and_threshold(library, tmp_path):
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    every = found(library, query)
    assert found(library, query, top=2) == every[:2]
    assert found(library, query, threshold=every[0].score) == every[:1]
    assert found(library, query, threshold=1.0) in ((), every[:1])


def test_nothing_is_an_answer_and_so_is_what_cannot_be_read(library, tmp_path):
    query = write(tmp_path / "q.npy", tune(99))
    short = write(tmp_path / "short.npy", tune(99, 21))
    asked = [query, short, tmp_path / "missing.wav", tmp_path, query]
    nothing, brief, missing, folder, again = library.find(asked, threshold=0.95, workers=1)
    assert (nothing.matches, nothing.fault) == ((), "")
    assert brief.fault == "9.8 s long; need at least 10 s to find a song"
    assert missing.fault == "missing"
    assert folder.fault == "not a regular file; need an audio file"
    assert again == nothing


def test_an_empty_library_has_nothing(tmp_path, place):
    query = write(tmp_path / "q.npy", tune(1))
    with Library.create(place("l"), "fourier") as library:
        assert found(library, query) == ()
        assert library.duplicates() == []


def test_only_the_shortlist_is_aligned(library, tmp_path, monkeypatch):
    aligned = []
    align = finding.align
    monkeypatch.setattr(finding, "align", lambda *a: aligned.append(1) or align(*a))
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    assert found(library, query, top=1, aligned=3)[0].song == "s2"
    assert len(aligned) == 3


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"top": 0}, "top is 0; allowed: an integer from 1"),
        ({"threshold": 1.5}, "threshold is 1.5; allowed: from 0 to 1"),
        ({"threshold": float("nan")}, "threshold is nan; allowed: from 0 to 1"),
    ],
)
def test_numbers_out_of_range_are_refused(library, tmp_path, how, message):
    with pytest.raises(SettingsError, match=message):
        library.find([tmp_path / "s0_0.npy"], **how)


# Similarities


def snapshot_of(pieces, rng):
    rows = rng.normal(size=(sum(pieces), 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    starts = np.cumsum([0, *pieces])
    count = len(pieces)
    return snapshot.Snapshot(
        *((b"", 0), rows, starts, np.arange(count), np.arange(count, dtype=np.uint64)),
        *(np.zeros(count, np.float32), np.ones(count, np.int64)),
    )


@pytest.mark.parametrize("block", [1, 3, 100])
def test_similarities_are_those_of_brute_force_in_blocks_of_any_size(rng, monkeypatch, block):
    monkeypatch.setattr(snapshot, "_BLOCK", block)
    shelf = snapshot_of([3, 1, 1, 4, 2], rng)
    asked = [rng.normal(size=(n, 8)).astype(np.float32) for n in (2, 1, 3)]
    expected = [
        [
            np.mean([max(row @ piece for piece in shelf.vectors[a:b]) for row in query])
            for a, b in zip(shelf.starts[:-1], shelf.starts[1:], strict=True)
        ]
        for query in asked
    ]
    assert np.allclose(shelf.similarities(asked), expected, atol=1e-6)
    assert np.allclose(shelf.similarities(asked[1:2]), expected[1:2], atol=1e-6)


def test_hubs_are_the_mean_similarity_of_the_nearest_others():
    # Three unit rows with the cosines 0.8, 0 and 0.6; of three, two others are all there are.
    rows = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
    shelf = snapshot.Snapshot(
        *((b"", 0), rows, np.arange(4), np.arange(3), np.arange(3, dtype=np.uint64)),
        *(np.zeros(3), np.ones(3, np.int64)),
    )
    assert np.allclose(snapshot.hubs_of(shelf, rows, np.arange(3)), [0.4, 0.7, 0.3])


def test_what_is_near_to_everything_comes_later():
    rows = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
    shelf = snapshot.Snapshot(
        *((b"", 0), rows, np.arange(4), np.arange(3), np.arange(3, dtype=np.uint64)),
        *(np.array([0.0, 0.9, 0.0], np.float32), np.ones(3, np.int64)),
    )

    def order(vectors):
        embedding = np.array([[0.6, 0.8]], np.float32)
        query = shortlisting.Query(np.zeros((vectors, 12)), embedding, b"\xff" * 32)
        listed = shortlisting.shortlist(shelf, query, 3)
        assert dict(listed) == pytest.approx({0: 0.6, 1: 0.96, 2: 0.8})
        return [place for place, _ in listed]

    # Twice the cosines are 1.2, 1.92 and 1.6; the second is less by 0.9, half of that, or a sixth.
    assert order(135) == order(400) == [2, 0, 1]
    assert order(68) == [2, 1, 0]
    assert order(22) == [1, 2, 0]


def test_queries_are_held_against_the_windows_of_the_library(tmp_path, monkeypatch):
    asked = []
    search = queries.search
    monkeypatch.setattr(queries, "search", lambda *how: asked.append(how[1]) or search(*how))
    model = find_model("fourier")
    with Library(Store.create(tmp_path / "l", model, 1044, 200, 45), model) as library:
        library.add([write(tmp_path / "a.npy", tune(1))], workers=1)
        found(library, tmp_path / "a.npy")
        found(library, write(tmp_path / "q.npy", tune(2)))
    assert [query.piece for query in asked] == [200, 200]


ARRAYS = ("vectors", "starts", "numbers", "hashes", "hubs", "copies")


def test_a_cache_is_used_as_long_as_nothing_changes(library, tmp_path, monkeypatch):
    in_memory = cache.take_snapshot(library._store)
    monkeypatch.setattr(cache, "_CACHED_FROM", 0)
    fresh = cache.take_snapshot(library._store)
    assert library._store.cache().exists()
    monkeypatch.setattr(cache, "_write", lambda *_: pytest.fail("the cache is not used"))
    cached = cache.take_snapshot(library._store)
    for name in ARRAYS:
        assert np.array_equal(getattr(fresh, name), getattr(in_memory, name))
        assert np.array_equal(getattr(cached, name), getattr(in_memory, name))
    monkeypatch.undo()
    library.remove([tmp_path / "s0_0.npy"])
    assert len(cache.take_snapshot(library._store).numbers) == 7


def test_a_damaged_or_cut_cache_is_thrown_away(library, monkeypatch):
    monkeypatch.setattr(cache, "_CACHED_FROM", 0)
    file = library._store.cache()
    fresh = cache.take_snapshot(library._store)
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    for place in [*rng.integers(0, len(whole), 20), 1, 5000, len(whole) - 1]:
        for broken in (whole[:place], whole[:place] + b"~~~" + whole[place + 3 :]):
            file.unlink()  # who has mapped the old one keeps it
            file.write_bytes(broken)
            assert np.array_equal(cache.take_snapshot(library._store).vectors, fresh.vectors)


def test_a_library_whose_cache_cannot_be_written_is_read_all_the_same(library, monkeypatch):
    expected = cache.take_snapshot(library._store)

    def full(path, write):
        write(io.BytesIO())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_CACHED_FROM", 0)
    monkeypatch.setattr(cache, "write_atomically", full)
    found = cache.take_snapshot(library._store)
    assert not library._store.cache().exists()
    for name in ARRAYS:
        assert np.array_equal(getattr(found, name), getattr(expected, name))


def test_a_snapshot_is_that_of_rows_added_up_by_hand(file_library, tmp_path):
    """Wholes of 200 vectors have 3 windows of 135; a copy is a second file of its recording."""
    long = write(tmp_path / "long.npy", tune(9, 200))
    copy = Path(shutil.copy(long, tmp_path / "copy.npy"))
    file_library.add([long, copy], workers=1)
    shelf = cache.take_snapshot(file_library._store)
    assert shelf.starts.tolist() == [*range(9), 12]
    assert shelf.copies.tolist() == [*[1] * 8, 2]
    assert np.array_equal(shelf.vectors[8:], file_library._store.embeddings_of(9))
    wholes = shelf.vectors[:9]
    expected = snapshot.hubs_of(shelf, wholes, np.arange(9))
    assert np.allclose(shelf.hubs, expected, atol=1e-6)


def test_reading_into_a_cache_takes_less_memory_than_the_rows(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20, 256)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    made = Store.create(tmp_path / "l", find_model("fourier"), 256, 135, 45)
    hpcp = np.ones((1, 12), np.float32)

    def change():
        numbers = made.add_sounds(Sound(rng.bytes(32), 1.0, hpcp, rows) for _ in range(400))
        made.add_files(File(Path(f"/{number}.wav"), number, "", "", "", 1, 1) for number in numbers)

    made.write(change)
    monkeypatch.setattr(cache, "_CACHED_FROM", 0)
    monkeypatch.setattr(store, "_AT_ONCE", 10)
    monkeypatch.setattr(snapshot, "_SAMPLE", 50)
    tracemalloc.start()
    try:
        found = cache.take_snapshot(made)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        made.close()
    assert found.vectors.shape == (8000, 256)
    assert peak < found.vectors.nbytes / 2


# Files of what was found


def test_a_search_reads_only_the_files_of_what_it_looks_at(library, tmp_path, monkeypatch):
    copy = Path(shutil.copy(tmp_path / "s2_1.npy", tmp_path / "copy.npy"))
    library.add([copy], workers=1)
    query = write(tmp_path / "q.npy", version(2, 7, 20, 60))
    expected = found(library, query, top=2, aligned=2)
    shown = {path.name for match in expected for path in (match.path, *match.others)}
    assert shown == {"s2_0.npy", "s2_1.npy", "copy.npy"}
    asked = []
    files_of = Store.files_of
    monkeypatch.setattr(Store, "files", lambda self: pytest.fail("all files are read"))
    monkeypatch.setattr(
        Store, "files_of", lambda self, number: asked.append(number) or files_of(self, number)
    )
    assert found(library, query, top=2, aligned=2) == expected
    assert len(asked) == len(set(asked)) == 2


# Others that write


def test_a_reader_sees_one_moment_while_another_writes(library, tmp_path, place):
    with Library.open(place("library.sqlite")) as other, library._store.reading():
        assert len(library.files()) == 8
        other.remove([tmp_path / "s0_0.npy"])
        assert len(library.files()) == 8
        assert len(other.files()) == 7
    assert len(library.files()) == 7


def test_a_second_writer_waits_and_then_says_so(library, tmp_path, monkeypatch, place):
    for database in (sqlite, postgres_tables):
        monkeypatch.setattr(database, "WAIT", 0.2)
    with Library.open(place("library.sqlite")) as other, library._store.writing():
        with pytest.raises(DataError, match="another process writes to") as told:
            other.remove([tmp_path / "s0_0.npy"])
        assert "\n" not in str(told.value)
        assert len(other.files()) == 8
    library.remove([tmp_path / "s0_0.npy"])


def test_an_error_within_a_change_leaves_everything_as_it_was(library, tmp_path):
    before = library.files()

    def change():
        with library._store.writing():
            library._store.remove_file(tmp_path / "s0_0.npy")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert library.files() == before
    assert library.check() == []


def test_embeddings_that_are_not_finite_are_not_added(tmp_path, place):
    path = write(tmp_path / "a.npy", tune(1))
    with Library.create(place("l"), "fourier") as library:
        library._embedder = Embedder(
            lambda batch: np.full((len(batch), 1044), np.nan, np.float32), 1044, 400, 1, None
        )
        report = library.add([path], workers=1)
        assert "have NaN or infinite values" in report.failed[0].message
        assert library.files() == []


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    from kinet.library import sounds

    path = write(tmp_path / "a.npy", tune(1))
    digest_of = sounds.digest_of

    def touched(path):
        os.utime(path, (1, 1))
        return digest_of(path)

    monkeypatch.setattr(sounds, "digest_of", touched)
    read = sounds.read_sound(sounds.SoundJob(path, find_model("fourier").features), lambda: None)
    assert read == Refused("changed while it was read; need a file at rest")


# What is refused


def other_file(path, content):
    path.write_bytes(content)
    return path


def of_sqlite(path, statements):
    with sqlite3.connect(path) as database:
        database.executescript(statements)
    database.close()
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p, "missing; need a library, as kinet index add makes it"),
        (lambda p: p.mkdir() or p, "a folder"),
        (lambda p: other_file(p, b""), "no library of kinet's; need a library"),
        (lambda p: other_file(p, b"ID3" * 100), "no library of kinet's; need a library"),
        (lambda p: of_sqlite(p, "CREATE TABLE a (b)"), "no library of kinet's"),
        (
            lambda p: of_sqlite(
                p,
                f"PRAGMA application_id = {schema.APPLICATION_ID}; PRAGMA user_version = 2;"
                "CREATE TABLE a (b)",
            ),
            "a library of version 2; allowed: 1, or a kinet that knows the other",
        ),
        (
            lambda p: of_sqlite(
                p,
                f"PRAGMA application_id = {schema.APPLICATION_ID}; PRAGMA user_version = 1;"
                "CREATE TABLE a (b)",
            ),
            "is damaged",
        ),
    ],
)
def test_what_is_no_library_is_refused_untouched(tmp_path, make, message):
    path = make(tmp_path / "x")
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(DataError, match=message) as told:
        Library.open(path)
    assert "\n" not in str(told.value)
    if before is not None and "damaged" not in message:
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_another_model_is_refused(library, tmp_path, monkeypatch, place):
    from kinet.library import models

    monkeypatch.setattr(models, "PATCHES", (24, 48))
    with pytest.raises(DataError, match=r"holds embeddings of fourier .*need that model"):
        Library.open(place("library.sqlite"), "fourier")
    write(tmp_path / "new.npy", tune(50))
    with Library.open(place("library.sqlite")) as opened:
        with pytest.raises(DataError, match="holds embeddings of fourier"):
            opened.add([tmp_path / "new.npy"], workers=1)
        assert len(opened.files()) == 8


def test_what_is_no_model_is_refused_before_it_is_read(tmp_path, monkeypatch):
    """A pipe would be waited for, and a folder of music would take hours."""
    monkeypatch.setattr(models, "digest_of", lambda path: pytest.fail("it is read"))
    (tmp_path / "music").mkdir()
    (tmp_path / "noise.keras").write_bytes(b"noise")
    for name in ("music", "noise.keras"):
        with pytest.raises(KinetError):
            find_model(str(tmp_path / name))


def test_names_that_no_file_can_have_are_of_none(file_library, tmp_path):
    long = "x" * 300
    for work in (
        lambda: Library.open(long),
        lambda: kinet.find(long, long, model="fourier"),
        lambda: file_library.add(long),
        lambda: kinet.load(long),
        lambda: kinet.load(f"{long}.keras"),
    ):
        with pytest.raises(KinetError):
            work()


def test_an_unknown_model_is_refused(tmp_path, place):
    with pytest.raises(KinetError, match=r"no model nonsense; allowed: fourier, .*or the path"):
        Library.create(place("l"), "nonsense")
    assert not is_taken(place_of(place("l")))


def test_paths_that_are_not_in_it_are_not_removed(library, tmp_path):
    with pytest.raises(DataError, match=r"is not in .*kinet index list shows what is"):
        library.remove([tmp_path / "s0_0.npy", tmp_path / "else.npy"])
    assert len(library.files()) == 8


def test_a_folder_is_removed_with_all_below_it(library, tmp_path):
    assert len(library.remove([tmp_path])) == 8
    assert library.files() == []


def test_a_path_is_one_and_not_its_letters_which_name_all_there_is(file_library, tmp_path):
    """Of the letters of a path one is "/"."""
    other, song = tmp_path / "other", str(tmp_path / "s0_0.npy")
    with Library.create(other, "fourier") as second:
        assert names(second.files()) == []
        assert second.add(song, workers=1).added == [Path(song)]
    assert file_library.remove(song) == [Path(song)]
    assert len(file_library.files()) == 7
    assert file_library.merge(str(other)) == 1
    [answer] = file_library.find(song, workers=1)
    with Shards(str(other)) as shards:
        assert [one.path for one in shards.find(song, workers=1)] == [answer.path] == [Path(song)]
    assert [source.path for source in read_sources(song)] == [Path(song)]


@pytest.mark.parametrize(
    ("given", "message"),
    [("missing.wav", "missing; need an audio file, a folder of them"), ("empty", "no audio in")],
)
def test_inputs_that_name_nothing_are_refused(library, tmp_path, given, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        library.add([tmp_path / given])


def test_workers_below_one_are_refused(library, tmp_path):
    with pytest.raises(SettingsError, match="workers is 0"):
        library.add([tmp_path / "s0_0.npy"], workers=0)


def test_a_library_that_may_only_be_read_is_searched(file_library, tmp_path, monkeypatch):
    file_library.close()
    monkeypatch.setattr(sqlite.os, "access", lambda path, mode: mode != os.W_OK)
    with Library.open(tmp_path / "library.sqlite") as opened:
        assert found(opened, tmp_path / "s0_0.npy")[0].song == "s0"
        with pytest.raises(DataError, match="cannot be written to"):
            opened.remove([tmp_path / "s0_0.npy"])
    assert not list(tmp_path.glob("library.sqlite-*"))


def test_changes_that_only_a_writer_could_read_are_not_passed_over(
    file_library, tmp_path, monkeypatch
):
    assert (tmp_path / "library.sqlite-wal").stat().st_size
    monkeypatch.setattr(sqlite.os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(DataError, match=r"has changes in .* that cannot be read"):
        Library.open(tmp_path / "library.sqlite")


# Upkeep


def test_merging_takes_what_is_new_and_reads_nothing(library, tmp_path, monkeypatch):
    other = tmp_path / "other"
    paths = [write(other / "n.npy", tune(50)), tmp_path / "s0_0.npy"]
    with Library.create(other / "l", "fourier") as second:
        second.add(paths, workers=1)
    reading_is_forbidden(monkeypatch)
    assert library.merge([other / "l"]) == 1
    assert (library.info().files, library.info().recordings) == (9, 9)
    assert library.check() == []
    assert library.merge([other / "l"]) == 0


def test_of_several_libraries_all_are_merged_or_none(file_library, tmp_path):
    for name in ("one", "two"):
        with Library.create(tmp_path / name, "fourier") as other:
            other.add(write(tmp_path / f"{name}.npy", tune(ord(name[0]))), workers=1)
    changes = file_library._store.identity().changes
    with pytest.raises(DataError, match="none: missing"):
        file_library.merge([tmp_path / "one", tmp_path / "none"])
    assert (file_library.info().files, file_library._store.identity().changes) == (8, changes)
    assert file_library.merge([tmp_path / "one", tmp_path / "two"]) == 2


def test_merging_with_itself_or_another_model_is_refused(file_library, tmp_path, monkeypatch):
    from kinet.library import models

    shutil.copy(tmp_path / "library.sqlite", tmp_path / "copy")
    with pytest.raises(DataError, match="or a copy of it"):
        file_library.merge([tmp_path / "copy"])
    monkeypatch.setattr(models, "PATCHES", (24, 48))
    Library.create(tmp_path / "b", "fourier").close()
    with pytest.raises(DataError, match=r"b is of fourier .*; need fourier"):
        file_library.merge([tmp_path / "b"])


def test_compacting_gives_room_back(tmp_path):
    with library_of(tmp_path, songs=20) as library:
        library.remove([tmp_path / f"s{song}_{n}.npy" for song in range(19) for n in range(2)])
        compacted = library.compact()
        assert compacted.after < compacted.before / 3
        assert len(library.files()) == 2
        assert library.check() == []


# Groups


def test_versions_and_copies_are_grouped(library, tmp_path):
    shutil.copy(tmp_path / "s3_0.npy", tmp_path / "copy.npy")
    alone = write(tmp_path / "alone.npy", tune(70))
    library.add([tmp_path / "copy.npy", alone], workers=1)
    groups = library.duplicates()
    listed = [[[f.path.name for f in m.files] for m in group.members] for group in groups]
    assert sorted(listed) == sorted(
        [
            *([[f"s{s}_0.npy"], [f"s{s}_1.npy"]] for s in range(3)),
            [["copy.npy", "s3_0.npy"], ["s3_1.npy"]],
        ]
    )
    first, second = groups[0].members
    assert first.nearest.path == second.files[0].path
    assert second.nearest.path == first.files[0].path
    # The second version is two semitones higher and begins five vectors later.
    assert (first.nearest.transposition, second.nearest.transposition) == (2, -2)
    there, back = first.nearest.passages[0], second.nearest.passages[0]
    assert (there.start_a, there.start_b) == (back.start_b, back.start_a)
    assert there.start_a - there.start_b == pytest.approx(5 * 0.4644, abs=1)


def test_copies_alone_are_a_group_without_a_match(tmp_path, place):
    paths = [write(tmp_path / name, tune(1)) for name in ("a.npy", "b.npy")]
    with Library.create(place("l"), "fourier") as library:
        library.add(paths, workers=1)
        [group] = library.duplicates()
    assert [member.nearest for member in group.members] == [None]
    assert names(group.members[0].files) == ["a.npy", "b.npy"]


# Processes


def test_a_process_that_is_killed_while_it_adds_leaves_whole_recordings(tmp_path):
    """The writer is killed after its third transaction, whatever it is at."""
    code = (
        "import os, pathlib, sys; sys.path[:0] = [sys.argv[2]]; import libraries\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "library = libraries.Library.create(folder / 'l', 'fourier')\n"
        "paths = [libraries.write(folder / f'{n}.npy', libraries.tune(n)) for n in range(6)]\n"
        "library.add(paths, 1, lambda done, *_: os._exit(9) if done == 3 else None)\n"
    )
    tests = str(Path(libraries.__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), tests], check=False)
    assert done.returncode == 9
    with Library.open(tmp_path / "l") as library:
        assert names(library.files()) == ["0.npy", "1.npy", "2.npy"]
        assert library.check() == []
        report = library.add(sorted(tmp_path.glob("*.npy")), workers=1)
        assert (report.unchanged, len(report.added)) == (3, 3)


def test_two_processes_that_make_one_library_share_it(tmp_path):
    model = find_model("fourier")
    first = Store.create(tmp_path / "l", model, 1044, 135, 45)
    second = Store.create(tmp_path / "l", model, 1044, 135, 45)
    assert first.identity() == second.identity()
    first.close()
    second.close()
    assert [path.name for path in tmp_path.iterdir()] == ["l"]
