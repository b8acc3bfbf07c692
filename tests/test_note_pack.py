"""Works in one file, and works that are one."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from works import cadence, tune, work

from kinet.errors import DataError
from kinet.versions.arrangement import material_of
from kinet.versions.doubles import find_doubles, melody_grams
from kinet.versions.gathering import gather, without_doubles
from kinet.versions.note_pack import is_note_pack, packed, read_note_pack, write_note_pack


def grams(made):
    return melody_grams(material_of(made))


def moved(made, semitones, stretch):
    """A work in another key and tempo."""
    rows = np.column_stack(
        [made.onset * stretch, made.duration * stretch, made.pitch + semitones, made.track]
    )
    return work(rows, made.roles, made.beat * stretch, title="moved")


def test_a_pack_gives_back_what_was_written(tmp_path, rng):
    path = tmp_path / "notes.npz"
    works = [packed(cadence(), "mine", "CC0"), packed(tune(rng), "Volkslied", "free: ja, für alle")]
    assert write_note_pack(works, path) == path.stat().st_size
    for was, read in zip(works, read_note_pack(path), strict=True):
        assert read.record == was.record
        assert read.work.roles == was.work.roles
        assert read.work.pitch.tolist() == was.work.pitch.tolist()
        np.testing.assert_allclose(read.work.onset, was.work.onset, rtol=1e-6)
        np.testing.assert_allclose(read.chords.start, was.chords.start, rtol=1e-6)
        assert read.chords.root.tolist() == was.chords.root.tolist()


def test_a_pack_of_nothing_is_a_pack(tmp_path):
    path = tmp_path / "notes.npz"
    write_note_pack([], path)
    assert read_note_pack(path) == []


def test_packs_are_told_from_folders_and_other_files(tmp_path):
    write_note_pack([], tmp_path / "notes.npz")
    (tmp_path / "text").write_text("no pack")
    assert is_note_pack(tmp_path / "notes.npz")
    assert not is_note_pack(tmp_path / "text")
    assert not is_note_pack(tmp_path)


@pytest.mark.parametrize("part", [0.3, 0.9])
def test_a_cut_pack_is_told_in_one_line(tmp_path, part):
    path = tmp_path / "notes.npz"
    write_note_pack([packed(cadence(), "mine", "CC0")], path)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(DataError, match="cannot be read") as told:
        read_note_pack(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("notes_end", lambda values: values + 1),
        ("chord_kind", lambda values: values + 100),
        ("beat", lambda values: -values),
        ("track", lambda values: values + 7),
        ("onset", lambda values: values * np.float32(np.nan)),
        ("records", lambda values: values[:-1]),
    ],
)
def test_a_pack_with_impossible_numbers_is_told(tmp_path, name, change):
    path = tmp_path / "notes.npz"
    write_note_pack([packed(cadence(), "mine", "CC0")], path)
    with np.load(path) as file:
        values = {key: file[key] for key in file.files}
    values[name] = change(values[name])
    np.savez(path, **values)
    with pytest.raises(DataError, match="damaged"):
        read_note_pack(path)


def test_another_archive_is_no_pack(tmp_path):
    path = tmp_path / "notes.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", "text")
    with pytest.raises(DataError, match="cannot be read"):
        read_note_pack(path)
    with pytest.raises(DataError, match="no file"):
        read_note_pack(tmp_path / "absent")


def test_a_tune_in_another_key_and_tempo_is_a_double(rng):
    first, other = tune(rng), tune(rng)
    assert find_doubles([grams(first), grams(other), grams(moved(first, 5, 1.3))]) == [0, 1, 0]


def test_half_a_tune_is_a_double_and_a_quarter_of_another_is_none(rng):
    whole, other = tune(rng, 80), tune(rng, 80)
    half = moved(whole, 0, 1.0)
    rows = np.column_stack([whole.onset, whole.duration, whole.pitch, whole.track])
    half = work(rows[:40])
    mixed = rows.copy()
    mixed[20:, 2] = other.pitch[20:]
    assert find_doubles([grams(whole), grams(half), grams(work(mixed))]) == [0, 0, 2]


def test_short_melodies_are_nobodys_doubles(rng):
    few = tune(rng, 8)
    assert grams(few) == frozenset()
    assert find_doubles([grams(few), grams(few)]) == [0, 1]


def test_of_doubles_the_first_is_kept(rng):
    first = tune(rng, title="first")
    works = [packed(w, "mine", "CC0") for w in (first, tune(rng), moved(first, 2, 1.0))]
    kept, doubles = without_doubles(works)
    assert kept == works[:2]
    assert [(a.record.title, b.record.title) for a, b in doubles] == [("moved", "first")]


def test_a_damaged_file_is_told_and_the_others_are_read(tmp_path):
    pytest.importorskip("symusic")
    (tmp_path / "a.abc").write_text("X:1\nT:A\nL:1/4\nK:C\nCDEF|\n")
    (tmp_path / "b.mid").write_bytes(b"no MIDI")
    steps = []
    gathered = gather(
        tmp_path, "mine", "CC0", workers=1, progress=lambda done, of: steps.append((done, of))
    )
    assert [w.record.title for w in gathered.works] == ["A"]
    assert gathered.works[0].record.licence == "CC0"
    [fault] = gathered.faults
    assert "b.mid" in fault
    assert steps == [(1, 2), (2, 2)]
