"""Files of MIDI, ABC and MusicXML to works."""

from __future__ import annotations

import numpy as np
import pytest

from kinet.errors import DataError
from kinet.versions.score_files import find_scores, read_works
from kinet.versions.works import BASS, CHORDS, MELODY, OTHER

symusic = pytest.importorskip("symusic")
pytest.importorskip("music21")

ABC = """X:1
T:Two Notes
M:4/4
L:1/4
Q:1/4=120
K:C
C2 G2 |]

X:2
T:A Third
M:4/4
L:1/4
K:C
C2 E2 |]
"""

LEAD_SHEET = """<?xml version="1.0"?>
<score-partwise version="3.1">
<work><work-title>Sheet</work-title></work>
<part-list><score-part id="P1"><part-name>Violin</part-name></score-part></part-list>
<part id="P1"><measure number="1">
<attributes><divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type></time>
</attributes>
<direction><direction-type><metronome><beat-unit>quarter</beat-unit><per-minute>60</per-minute>
</metronome></direction-type><sound tempo="60"/></direction>
<harmony><root><root-step>F</root-step></root><kind>major</kind></harmony>
<note><pitch><step>A</step><octave>4</octave></pitch><duration>1</duration></note>
<note><grace/><pitch><step>B</step><octave>4</octave></pitch></note>
<note><pitch><step>C</step><octave>5</octave></pitch><duration>3</duration>
<tie type="start"/></note>
</measure><measure number="2">
<note><pitch><step>C</step><octave>5</octave></pitch><duration>4</duration>
<tie type="stop"/></note>
</measure></part></score-partwise>
"""


def midi_of(tracks, path, qpm=120):
    """Write tracks of (name, [(onset, duration, pitch), ...]) in quarter notes, 480 ticks each."""
    score = symusic.Score(480)
    score.tempos.append(symusic.Tempo(0, qpm))
    for name, notes in tracks:
        track = symusic.Track(name, 0, name == "drums")
        for onset, duration, pitch in notes:
            track.notes.append(symusic.Note(int(480 * onset), int(480 * duration), pitch, 90))
        score.tracks.append(track)
    path.write_bytes(score.dumps_midi())
    return path


def test_midi_gives_seconds_and_the_roles_that_tracks_are_named_for(tmp_path):
    song = midi_of(
        [
            ("MELODY", [(0, 1, 72), (1, 2, 74)]),
            ("Piano", [(0, 2, 60)]),
            ("Bass", [(0, 2, 36)]),
            ("drums", [(0, 1, 40)]),
        ],
        tmp_path / "a.mid",
    )
    [work] = read_works(song)
    assert work.roles == (MELODY, OTHER, BASS)
    assert work.pitch.tolist() == [36, 60, 72, 74]
    # A quarter note at 120 a minute lasts half a second.
    assert work.onset.tolist() == [0, 0, 0, 0.5]
    assert work.duration.tolist() == [1, 1, 0.5, 1]
    assert (work.beat, work.seconds, work.title) == (0.5, 1.5, "a")


def test_without_names_the_highest_track_is_the_melody_and_the_lowest_the_bass(tmp_path):
    song = midi_of([("", [(0, 1, 48)]), ("", [(0, 1, 72)]), ("", [(0, 1, 60)])], tmp_path / "a.mid")
    assert read_works(song)[0].roles == (BASS, MELODY, OTHER)


def test_time_begins_with_the_first_note(tmp_path):
    song = midi_of([("", [(4, 1, 60)])], tmp_path / "a.mid")
    assert read_works(song)[0].onset.tolist() == [0]


def test_abc_holds_as_many_works_as_tunes(tmp_path, capfd):
    path = tmp_path / "tunes.abc"
    path.write_text(ABC)
    first, second = read_works(path)
    assert (first.title, second.title) == ("Two Notes", "A Third")
    assert (first.file, second.file) == ("tunes.abc#1", "tunes.abc#2")
    assert second.pitch.tolist() == [60, 64]
    np.testing.assert_allclose(first.onset, [0, 1], atol=1e-6)
    assert first.sha256 != second.sha256
    assert capfd.readouterr() == ("", "")


def test_musicxml_gives_melody_and_chord_symbols_without_grace_notes_and_ties(tmp_path):
    path = tmp_path / "sheet.musicxml"
    path.write_text(LEAD_SHEET)
    [work] = read_works(path)
    assert (work.title, work.beat, work.roles) == ("Sheet", 1.0, (MELODY, CHORDS))
    melody = work.track == 0
    assert work.pitch[melody].tolist() == [69, 72]
    assert work.onset[melody].tolist() == [0, 1]
    assert work.duration[melody].tolist() == [1, 7]
    assert set((work.pitch[~melody] % 12).tolist()) == {5, 9, 0}
    assert np.ptp(work.onset[~melody]) == 0


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.mid", b"MThd and no more", "cannot read"),
        ("a.mid", b"", "cannot read"),
        ("a.abc", b"T:no number\nK:C\nCDEF", "X:"),
        ("a.musicxml", b"<score-partwise><part-list/>", "cannot read"),
        ("a.mxl", b"PK\x03\x04 cut off", "cannot read"),
        ("a.txt", b"do re mi", "is no score"),
    ],
)
def test_a_file_that_is_none_is_told_in_one_line(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as told:
        read_works(path)
    assert "\n" not in str(told.value)
    assert str(path) in str(told.value)


def test_a_file_without_notes_is_told(tmp_path):
    song = midi_of([("drums", [(0, 1, 40)])], tmp_path / "a.mid")
    with pytest.raises(DataError, match="holds no notes"):
        read_works(song)


def test_scores_are_found_in_folders_within_in_order_of_names(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/z.mid", "b/a.ABC", "c.mxl", "readme.md"):
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_scores(tmp_path)]
    assert found == ["b/a.ABC", "b/z.mid", "c.mxl"]


def test_a_folder_without_scores_is_told(tmp_path):
    with pytest.raises(DataError, match="holds no scores"):
        find_scores(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        find_scores(tmp_path / "absent")
