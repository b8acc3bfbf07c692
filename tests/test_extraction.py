"""Recordings to feature files: what is made, skipped and refused, and how a run may end."""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import audio_files
import numpy as np
import pytest
import worker_functions
from terminal import kinet_in_a_terminal

import kinet
from kinet.audio import AudioError, read_audio
from kinet.config import FeatureConfig
from kinet.data.feature_files import read_hpcp
from kinet.data.manifest import read_manifest
from kinet.data.settings_file import features_of, write_features
from kinet.data.tracks import read_tracks
from kinet.errors import DataError, SettingsError
from kinet.extraction import ExtractionStopped, batch, extract_all, extract_file, recording
from kinet.extraction.naming import Source
from kinet.extraction.sources import read_sources
from kinet.features.hpcp import hpcp_of_blocks
from kinet.workers import PATIENCE, Death, Unwanted, work_off, work_off_in_order
from kinet.workers.process import NONE, Worker

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def music(tmp_path):
    """Two songs in two versions, a few seconds each, as wav and flac."""
    folder = tmp_path / "music"
    for song, name, seconds in (("s1", "a.wav", 2.0), ("s1", "b.flac", 3.0), ("s2", "a.wav", 1.0)):
        (folder / song).mkdir(parents=True, exist_ok=True)
        audio_files.make(folder / song / name, seconds)
    return folder


def extract(folder, out, workers=1, **settings):
    return extract_all(read_sources([folder]), out, workers=workers, **settings)


def contents(out):
    """All that a finished folder holds, by name."""
    return {path.name: path.read_bytes() for path in Path(out).iterdir()}


def names(items):
    return [f"{item.song_id}_{item.version_id}" for item in items]


def times(out):
    return {path.name: path.stat().st_mtime_ns for path in Path(out).glob("*.npy")}


# One recording


def test_a_recording_becomes_the_hpcp_of_its_samples(music):
    path = music / "s1" / "b.flac"
    hpcp = extract_file(path)
    assert hpcp.dtype == np.float32
    # 3 s are 132,300 samples, or 130 frames, centred at 0, 1024, ...: 6 vectors of 20.
    assert hpcp.shape == (6, 12)
    np.testing.assert_array_equal(hpcp, hpcp_of_blocks([read_audio(path)]))
    np.testing.assert_array_equal(hpcp, kinet.extract(path))


def test_settings_are_followed(music):
    config = FeatureConfig(frames_per_vector=10)
    assert extract_file(music / "s1" / "a.wav", config).shape == (8, 12)


@pytest.mark.parametrize(
    ("seconds", "kind", "said"),
    [
        (1 / 44100, "music", "0.00 s long; need at least 0.46 s"),
        (0.3, "music", "0.30 s long; need at least 0.46 s"),
        (1.0, "silence", "nothing but silence, 1.00 s; need sound"),
    ],
)
def test_what_is_too_short_or_silent_is_refused(tmp_path, seconds, kind, said):
    path = audio_files.make(tmp_path / "x.wav", seconds, kind=kind)
    with pytest.raises(AudioError) as caught:
        extract_file(path)
    assert caught.value.message == said
    assert str(caught.value) == f"{path}: {said}"


# Many


def test_a_run_writes_features_list_manifest_and_settings(music, tmp_path):
    out = tmp_path / "new" / "features"
    report = extract(music, out)
    assert names(report.done) == ["s1_a", "s1_b", "s2_a"]
    assert (report.skipped, report.failed) == ((), ())
    assert sorted(contents(out)) == [
        "features.json", "list", "manifest.csv", "s1_a.npy", "s1_b.npy", "s2_a.npy",
    ]  # fmt: skip
    tracks = read_tracks(out / "list", out)
    assert [track.path.name for track in tracks] == ["s1_a.npy", "s1_b.npy", "s2_a.npy"]
    for track, source in zip(tracks, read_sources([music]), strict=True):
        assert np.load(track.path).dtype == np.float32
        np.testing.assert_array_equal(read_hpcp(track.path), extract_file(source.path))
    entries = read_manifest(out)
    assert list(report.done) == entries
    assert [(entry.seconds, entry.vectors) for entry in entries] == [(2.0, 4), (3.0, 6), (1.0, 2)]
    assert entries[1].source == str(music / "s1" / "b.flac")
    assert entries[1].bytes == (music / "s1" / "b.flac").stat().st_size
    assert {entry.fingerprint for entry in entries} == {FeatureConfig().fingerprint()}
    assert features_of(out) == FeatureConfig()


def test_two_processes_write_the_same_bytes_as_one(music, tmp_path):
    for workers in (1, 2):
        extract(music, tmp_path / str(workers), workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_the_order_of_the_sources_does_not_matter(music, tmp_path):
    sources = read_sources([music])
    for number, order in enumerate(itertools.permutations(sources)):
        extract_all(order, tmp_path / str(number), workers=1)
        assert contents(tmp_path / str(number)) == contents(tmp_path / "0")


def test_progress_counts_files_and_seconds_of_sound(music, tmp_path):
    audio_files.make(music / "s2" / "b.wav", 0.1)
    told = []
    extract(music, tmp_path / "out", progress=lambda *numbers: told.append(numbers))
    assert told == [(0, 4, 0.0), (1, 4, 2.0), (2, 4, 5.0), (3, 4, 6.0), (4, 4, 6.0)]


def test_what_fails_does_not_stop_the_rest(music, tmp_path):
    (music / "s0").mkdir()
    (music / "s0" / "text.mp3").write_text("no sound")
    audio_files.make(music / "s1" / "silence.wav", 1.0, kind="silence")
    absent = Source(tmp_path / "absent.wav", "s9", "1")
    folder = Source(music, "s9", "2")
    out = tmp_path / "out"
    report = extract_all([*read_sources([music]), absent, folder], out, workers=1)
    assert names(report.done) == ["s1_a", "s1_b", "s2_a"]
    said = [failure.message for failure in report.failed]
    assert names(failure.source for failure in report.failed) == [
        "s0_text", "s1_silence", "s9_1", "s9_2",
    ]  # fmt: skip
    assert said[0].startswith("no audio in a known format")
    assert said[1:] == [
        "nothing but silence, 1.00 s; need sound",
        "missing",
        "not a regular file; need an audio file",
    ]
    assert len(read_manifest(out)) == len(list(out.glob("*.npy"))) == 3
    again = extract_all([*read_sources([music]), absent, folder], out, workers=1)
    assert [failure.message for failure in again.failed] == said
    assert names(again.skipped) == ["s1_a", "s1_b", "s2_a"]


@posix_only
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.wav")
    [failure] = extract_all(read_sources([tmp_path / "x.wav"]), tmp_path / "out").failed
    assert failure.message == "not a regular file; need an audio file"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EIO, "Input/output error"), "unreadable (Input/output error)"),
        (MemoryError(), "not enough memory"),
        (SettingsError("hop size is 0"), "hop size is 0"),
    ],
)
def test_a_recording_that_cannot_be_read_in_other_ways(music, tmp_path, monkeypatch, error, said):
    def fail(*_):
        raise error
        yield

    monkeypatch.setattr(recording, "read_chunks", fail)
    report = extract(music, tmp_path / "out")
    assert [failure.message for failure in report.failed] == [said] * 3


# The next run


def test_what_is_finished_is_not_made_again(music, tmp_path):
    out = tmp_path / "out"
    first = extract(music, out)
    before, held = times(out), contents(out)
    report = extract(music, out)
    assert (report.done, report.skipped) == ((), first.done)
    assert times(out) == before
    assert contents(out) == held


def test_more_sources_add_to_the_list(music, tmp_path):
    out = tmp_path / "out"
    extract(music / "s2", out)
    extract(music / "s1" / "b.flac", out)
    assert (out / "list").read_text() == "a\t1\nb\t1\n"
    assert names(read_manifest(out)) == ["a_1", "b_1"]


def test_a_recording_that_has_changed_is_made_again(music, tmp_path):
    out = tmp_path / "out"
    extract(music, out)
    audio_files.make(music / "s2" / "a.wav", 4.0)
    report = extract(music, out)
    assert names(report.done) == ["s2_a"]
    assert len(read_hpcp(out / "s2_a.npy")) == 8
    assert read_manifest(out)[2].vectors == 8
    touched = music / "s1" / "a.wav"
    os.utime(touched, ns=(0, touched.stat().st_mtime_ns + 1))
    assert names(extract(music, out).done) == ["s1_a"]


def test_a_recording_that_cannot_be_read_any_more_keeps_its_features(music, tmp_path):
    out = tmp_path / "out"
    extract(music, out)
    entries = read_manifest(out)
    (music / "s2" / "a.wav").write_bytes(b"")
    assert names(failure.source for failure in extract(music, out).failed) == ["s2_a"]
    assert read_manifest(out) == entries
    (music / "s2" / "a.wav").unlink()
    gone = Source(music / "s2" / "a.wav", "s2", "a")
    assert names(extract_all([gone], out).skipped) == ["s2_a"]


def test_features_that_are_missing_or_cut_off_are_made_again(music, tmp_path):
    out = tmp_path / "out"
    extract(music, out)
    held = contents(out)
    (out / "s1_a.npy").unlink()
    (out / "s1_b.npy").write_bytes(held["s1_b.npy"][:-1])
    np.save(out / "s2_a.npy", np.zeros((3, 12), np.float32))
    assert names(extract(music, out).done) == ["s1_a", "s1_b", "s2_a"]
    assert contents(out) == held


def test_features_without_an_entry_and_entries_without_features(music, tmp_path):
    out = tmp_path / "out"
    extract(music, out)
    held = contents(out)
    # As after kill -9: a file was written, the manifest not yet.
    (out / "manifest.csv").unlink()
    (out / "list").unlink()
    (out / ".0123456789abcdef.tmp").write_bytes(b"half")
    assert names(extract(music, out).done) == ["s1_a", "s1_b", "s2_a"]
    assert contents(out) == held
    # Features that someone removed are in no list.
    (out / "s1_a.npy").unlink()
    extract(music / "s2", tmp_path / "elsewhere")
    extract_all([Source(music / "s2" / "a.wav", "s2", "a")], out, workers=1)
    assert (out / "list").read_text() == "s1\tb\ns2\ta\n"
    assert names(read_manifest(out)) == ["s1_b", "s2_a"]


def test_a_list_that_was_removed_is_written_again(music, tmp_path):
    out = tmp_path / "out"
    extract(music, out)
    held = contents(out)
    (out / "list").unlink()
    extract(music, out)
    assert contents(out) == held


@pytest.mark.parametrize("listed", [b"", b"s1\ta\n", b"s1\ta\ns1\tb\ns9\tz\n", b"\xff"])
def test_a_list_that_a_kill_left_behind_its_manifest_is_mended(music, tmp_path, listed):
    out = tmp_path / "out"
    extract(music, out)
    held = contents(out)
    (out / "list").write_bytes(listed)
    assert len(extract(music, out).skipped) == 3
    assert contents(out) == held


def test_a_path_with_a_null_character_fails_and_the_rest_is_made(music, tmp_path):
    table = tmp_path / "songs.csv"
    table.write_text(f"path,song_id,version_id\na\0b.wav,n,1\n{music}/s1/a.wav,s1,a\n")
    report = extract_all(read_sources([table]), tmp_path / "out", workers=1)
    assert names(report.done) == ["s1_a"]
    [failure] = report.failed
    assert failure.message.startswith("unreadable (")
    assert "embedded null" in failure.message


def test_a_folder_that_cannot_be_read_fails_and_the_rest_is_made(music, tmp_path, monkeypatch):
    real = os.scandir

    def scandir(path):
        if Path(path).name == "s1":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    report = extract(music, tmp_path / "out")
    assert names(report.done) == ["s2_a"]
    [failure] = report.failed
    assert failure.source.path == music / "s1"
    assert failure.message == (
        "a folder, unreadable (Permission denied): nothing in it was looked at"
    )


def test_recordings_that_have_moved_are_the_same(music, tmp_path):
    out = tmp_path / "out"
    extract(music, out)
    before = times(out)
    moved = music.rename(tmp_path / "moved")
    assert len(extract(moved, out).skipped) == 3
    assert times(out) == before
    assert {Path(entry.source).parents[1] for entry in read_manifest(out)} == {moved}


def test_a_recording_that_took_the_place_of_another_is_made(music, tmp_path):
    out = tmp_path / "out"
    extract(music, out)
    (music / "s2" / "a.wav").unlink()
    audio_files.make(music / "s2" / "a.flac", 4.0)
    assert names(extract(music, out).done) == ["s2_a"]
    assert len(read_hpcp(out / "s2_a.npy")) == 8


def test_another_recording_of_the_same_ids_fails_and_the_rest_is_done(music, tmp_path):
    out = tmp_path / "out"
    extract(music, out)
    held = (out / "s2_a.npy").read_bytes()
    other = audio_files.make(tmp_path / "other.wav", 1.0)
    new = audio_files.make(tmp_path / "new.wav", 1.0)
    report = extract_all([Source(new, "s1", "0"), Source(other, "s2", "a")], out, workers=1)
    assert names(report.done) == ["s1_0"]
    [failure] = report.failed
    assert (failure.source.path, failure.message) == (
        other,
        f"{music / 's2/a.wav'} of an earlier run has the same ids; give other ids",
    )
    assert (out / "s2_a.npy").read_bytes() == held


def test_ids_whose_file_is_there_under_other_ids_fail(music, tmp_path):
    out = tmp_path / "out"
    path = music / "s2" / "a.wav"
    extract_all([Source(path, "a_b", "c")], out, workers=1)
    [failure] = extract_all([Source(path, "A", "b_c")], out, workers=1).failed
    assert failure.message == (
        "would be A_b_c.npy, as song a_b, version c of an earlier run; give other ids, or another "
        "folder"
    )
    assert [path.name for path in out.glob("*.npy")] == ["a_b_c.npy"]


def test_two_recordings_of_one_id_fail_and_the_rest_is_done(music, tmp_path):
    sources = [Source(music / "s1" / name, "s", "v") for name in ("a.wav", "b.flac")]
    rest = Source(music / "s2" / "a.wav", "t", "v")
    report = extract_all([*sources, rest], tmp_path / "out", workers=1)
    assert names(report.done) == ["t_v"]
    assert [failure.source.path for failure in report.failed] == [s.path for s in sources]
    assert all("would be s_v.npy, as " in failure.message for failure in report.failed)
    assert [path.name for path in (tmp_path / "out").glob("*.npy")] == ["t_v.npy"]


def test_other_settings_are_refused_with_both_shown(music, tmp_path):
    out = tmp_path / "out"
    config = FeatureConfig(reference_frequency=442.0)
    extract(music, out, config=config)
    with pytest.raises(DataError) as caught:
        extract(music, out)
    assert str(caught.value) == (
        f"the features in {out} have the fingerprint {config.fingerprint()}, this run needs "
        f"{FeatureConfig().fingerprint()}; reference_frequency is 442.0 there, needed is 440.0"
    )


def test_a_folder_with_features_of_unknown_settings_is_refused(music, tmp_path):
    np.save(tmp_path / "1_2.npy", np.ones((3, 12), np.float32))
    with pytest.raises(DataError) as caught:
        extract(music, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds 1_2.npy without a features.json that says how it was made; allowed: a "
        "new folder, or one that kinet extract has made"
    )


@posix_only
def test_two_runs_in_one_folder_are_refused(music, tmp_path):
    out = tmp_path / "out"

    def second_run(finished, total, seconds):
        if not finished:
            with pytest.raises(DataError, match=f"another run is at work in {out}; wait for it"):
                extract(music, out)
            refused.append(True)

    refused = []
    extract(music, out, progress=second_run)
    assert refused == [True]
    extract(music, out)


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers(music, tmp_path, workers):
    with pytest.raises(SettingsError, match=f"workers is {workers}; allowed: an integer from 1"):
        extract(music, tmp_path / "out", workers)


# Writing


@pytest.mark.parametrize("out", ["music/s2/a.wav", "music/s2/a.wav/features"])
def test_a_folder_that_cannot_be_made(music, tmp_path, out):
    with pytest.raises(DataError) as caught:
        extract(music, tmp_path / out)
    assert str(caught.value).startswith(f"cannot write {tmp_path / out}: ")
    assert str(caught.value).endswith("; need a folder that can be made and written to")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_the_right_to_write(music, tmp_path):
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    with pytest.raises(DataError, match=r"cannot write .*features\.json: Permission denied; need"):
        extract(music, out)


def fill_disk(monkeypatch, module, name, at):
    """Let the writing of the file number `at`, and all later ones, find no space."""
    write = getattr(module, name)
    tried = []

    def full(path, *rest):
        tried.append(path)
        if len(tried) >= at:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, *rest)

    monkeypatch.setattr(module, name, full)
    return tried


def test_a_full_disk_at_the_tenth_file_stops_the_run_and_the_next_one_goes_on(
    tmp_path, monkeypatch
):
    folder, out = tmp_path / "music", tmp_path / "out"
    folder.mkdir()
    for number in range(12):
        audio_files.make(folder / f"{number:02}.wav", 0.5)
    tried = fill_disk(monkeypatch, recording, "write_array_atomically", 10)
    with pytest.raises(ExtractionStopped) as caught:
        extract(folder, out)
    assert str(caught.value) == (
        f"cannot write {out / '09_1.npy'}: No space left on device; 9 of 12 recordings are done "
        "and stay; the same command goes on when there is room"
    )
    assert len(tried) == 10
    finished = [f"{number:02}_1" for number in range(9)]
    assert names(caught.value.report.done) == finished == names(read_manifest(out))
    assert sorted(times(out)) == [name + ".npy" for name in finished]
    assert not list(out.glob(".*"))
    monkeypatch.undo()
    assert names(extract(folder, out).done) == ["09_1", "10_1", "11_1"]
    extract(folder, tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


def test_a_manifest_that_cannot_be_written_stops_the_run(music, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "SAVE_EVERY", -1.0)
    monkeypatch.setattr(batch, "SAVE_SHARE", float("inf"))
    fill_disk(monkeypatch, batch, "write_manifest", 3)
    out = tmp_path / "out"
    with pytest.raises(ExtractionStopped, match=r"2 of 3 recordings are done and stay") as caught:
        extract(music, out)
    assert str(caught.value).startswith(f"cannot write {out}: No space left on device; ")
    monkeypatch.undo()
    assert names(extract(music, out).done) == ["s1_b", "s2_a"]


def test_the_manifest_is_written_now_and_then_but_not_for_every_file(music, tmp_path, monkeypatch):
    written = []
    write = batch.write_manifest
    monkeypatch.setattr(
        batch, "write_manifest", lambda *args: (written.append(len(args[1])), write(*args))
    )
    extract(music, tmp_path / "out")
    assert written == [0, 3]
    monkeypatch.setattr(batch, "SAVE_EVERY", -1.0)
    monkeypatch.setattr(batch, "SAVE_SHARE", float("inf"))
    extract(music, tmp_path / "often")
    assert written[2:] == [0, 1, 2, 3]
    # What takes long is done less often.
    clock = itertools.count(0.0, 10.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(batch, "SAVE_SHARE", 0.5)
    extract(music, tmp_path / "slow")
    assert len(written) - 6 < 4


# Processes


def test_the_deaths_of_processes_belong_to_their_jobs_and_stop_nothing():
    results = {}

    def finished(job, result):
        results[job] = result
        return True

    jobs = [1, "exit", 2, "kill", "crash", 3]
    work_off(worker_functions.square_or_die, jobs, 2, finished)
    memory = ", as the system does when memory runs out"
    assert results == {
        1: 1,
        2: 4,
        3: 9,
        "exit": Death("ended with exit code 3"),
        "kill": Death("ended by SIGKILL" + memory),
        "crash": Death("ended by SIGSEGV"),
    }
    assert not multiprocessing.active_children()


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of addresses holds there only")
def test_a_process_gets_no_more_memory_than_it_may_take():
    results = {}

    def finished(job, result):
        results[job] = result
        return True

    small, large = 2**20, 2**29
    work_off(worker_functions.take_memory, [small, large, small + 1], 2, finished, memory=2**28)
    assert results == {small: small, large: "not enough memory", small + 1: small + 1}
    work_off(worker_functions.take_memory, [large, small], 2, finished)
    assert results[large] == large


def test_a_process_has_one_thread_and_does_not_hear_ctrl_c(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = []
    work_off(
        worker_functions.settings_of_the_process, [0], 2, lambda job, result: found.append(result)
    )
    assert found == [("1", True)]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ or os.environ["MKL_NUM_THREADS"]


@pytest.mark.parametrize("job", ["patient", "deaf"])
def test_the_end_of_the_work_ends_a_process_in_the_middle_of_a_job(job):
    ended = []

    def finished(job, result):
        ended.append(time.monotonic())
        return False

    work_off(worker_functions.wait, [job, "quick", "patient"], 2, finished)
    assert time.monotonic() - ended[0] < 2 * PATIENCE + 2
    assert not multiprocessing.active_children()


def test_what_is_finished_soon_after_the_end_of_the_work_counts():
    results = []

    def finished(job, result):
        results.append(result)
        return job != "quick"

    work_off(worker_functions.wait, ["soon", "quick", "patient"], 2, finished)
    assert sorted(results) == ["quick", "soon"]


@pytest.mark.parametrize("count", [1, 2])
def test_results_come_in_the_order_of_the_jobs_until_no_more_are_wanted(count):
    taken = []

    def take(result):
        taken.append(result)
        return len(taken) < 4

    # Later jobs are done sooner.
    work_off_in_order(worker_functions.sleep_shorter, range(12), count, take)
    assert taken == [0, 1, 2, 3]
    assert not multiprocessing.active_children()


def test_a_death_leaves_a_hole_in_the_order_and_is_an_error():
    taken = []
    with pytest.raises(DataError, match="a worker process ended with exit code 3; allowed: worker"):
        work_off_in_order(
            worker_functions.die_at_two, range(5), 2, lambda result: taken.append(result) or True
        )
    assert taken in ([0], [0, 1])
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("count", [1, 2])
def test_what_a_job_raises_is_raised_after_what_comes_before_it(count):
    taken = []
    with pytest.raises(FileNotFoundError, match="two"):
        work_off_in_order(
            worker_functions.fail_at_two, range(5), count, lambda job: taken.append(job) or True
        )
    assert taken == [0, 1]
    assert not multiprocessing.active_children()


def test_a_process_that_cannot_start(tmp_path, monkeypatch):
    source = f"import os\nif os.getpid() != {os.getpid()}: os._exit(7)\n"
    (tmp_path / "dies_when_imported.py").write_text(source + "def work(job, check): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import dies_when_imported

    with pytest.raises(DataError) as caught:
        work_off(dies_when_imported.work, [1, 2, 3], 2, lambda job, result: True)
    assert str(caught.value) == (
        "a worker process could not start: ended with exit code 7; allowed: workers=1, or a script "
        'with if __name__ == "__main__":'
    )
    assert not multiprocessing.active_children()


def test_a_job_that_is_not_wanted_any_more_is_left(music, tmp_path):
    def check():
        raise Unwanted

    target = tmp_path / "x.npy"
    job = recording.Job(music / "s1" / "a.wav", target, FeatureConfig())
    with pytest.raises(Unwanted):
        recording.make(job, check)
    assert not target.exists()


def test_a_death_is_a_failure_of_its_recording(music, tmp_path, monkeypatch):
    def work_off(function, jobs, count, finished, memory):
        for job in jobs:
            dies = job.target.name == "s1_b.npy"
            finished(job, Death("ended by SIGSEGV") if dies else function(job, lambda: None))

    monkeypatch.setattr("kinet.processes.work_off", work_off)
    report = extract(music, tmp_path / "out", 2)
    assert names(report.done) == ["s1_a", "s2_a"]
    assert [failure.message for failure in report.failed] == [
        "the process that read it was ended by SIGSEGV"
    ]


# Interruption


@pytest.fixture(scope="module")
def long_music(tmp_path_factory):
    """Enough to be in the middle of: a few seconds of work."""
    folder = tmp_path_factory.mktemp("long")
    for number in range(24):
        audio_files.make(folder / f"{number:02}.wav", 40.0)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(long_music, tmp_path_factory):
    """What a run leaves that was not interrupted."""
    out = tmp_path_factory.mktemp("uninterrupted")
    extract(long_music, out)
    return contents(out)


def children(pid):
    """Processes that `pid` has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_process_lives_on_when_its_parent_was_killed_whatever_it_is_at():
    code = (
        "from kinet.workers import work_off\n"
        "import worker_functions\n"
        "def finished(job, result): print(job, flush=True); return True\n"
        "if __name__ == '__main__':\n"
        "    work_off(worker_functions.wait, ['quick', 'deaf', 'deaf'], 2, finished)\n"
    )
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b"quick\n"
        workers = children(process.pid)
        assert len(workers) >= 2
        process.kill()
    deadline = time.monotonic() + 5
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(is_running, workers))


@pytest.fixture
def heeds_ctrl_c():
    """What runs in the background of a shell does not heed it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_until_a_process_has_all_of_its_beginning(monkeypatch, heeds_ctrl_c):
    # A thread that was there before, such as that of a progress bar, may be the one to get it.
    wanted = threading.Event()
    another = threading.Thread(target=lambda: (wanted.wait(), signal.raise_signal(signal.SIGINT)))
    another.start()
    process = multiprocessing.get_context("spawn").Process
    start, started = process.start, []

    def interrupted(self):
        wanted.set()
        another.join()
        start(self)
        started.append(self)

    monkeypatch.setattr(process, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work_off(worker_functions.square_or_die, [1, 2], 2, lambda *_: None)
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert len(started) == 1


def test_what_is_heard_when_ctrl_c_comes_is_given_on(monkeypatch, heeds_ctrl_c):
    hear, results = Worker.hear, []

    def interrupted(self):
        heard = hear(self)
        if heard[1] is not NONE:
            signal.raise_signal(signal.SIGINT)
        return heard

    monkeypatch.setattr(Worker, "hear", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work_off(
            worker_functions.square_or_die, [3], 2, lambda *heard: results.append(heard) or True
        )
    assert results == [(3, 9)]


def test_a_file_is_entered_when_ctrl_c_comes_while_it_is(
    music, tmp_path, monkeypatch, heeds_ctrl_c
):
    enter = batch.Batch._enter

    def interrupted(self, entry):
        signal.raise_signal(signal.SIGINT)
        enter(self, entry)

    monkeypatch.setattr(batch.Batch, "_enter", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract(music, tmp_path / "out")
    assert names(read_manifest(tmp_path / "out")) == ["s1_a"]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_ctrl_c_while_processes_start_is_quiet(long_music, tmp_path):
    out = tmp_path / "out"
    with subprocess.Popen(
        kinet_in_a_terminal("extract", long_music, "--out", out, "--workers", 2),
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while len(children(process.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "Traceback" not in said


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_a_run_that_is_interrupted_goes_on_like_one_that_was_not(
    long_music, uninterrupted, tmp_path, sent
):
    out = tmp_path / "out"
    with subprocess.Popen(
        kinet_in_a_terminal("extract", long_music, "--out", out, "--workers", 2),
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not list(out.glob("*.npy")) and time.monotonic() < deadline:
            time.sleep(0.005)
        workers = children(process.pid)
        assert len(workers) >= 2
        started = time.monotonic()
        if sent == signal.SIGINT:  # a terminal sends it to all
            os.killpg(process.pid, sent)
        else:
            process.send_signal(sent)
        said = process.communicate(timeout=30)[1]
        seconds = time.monotonic() - started
    while any(map(is_running, workers)) and time.monotonic() < started + 5:
        time.sleep(0.01)
    assert not any(map(is_running, workers))
    done = sorted(path.stem for path in out.glob("*.npy"))
    assert 1 <= len(done) < 24
    for name in done:
        assert read_hpcp(out / f"{name}.npy").shape == (86, 12)
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert seconds < 2 * PATIENCE + 3
        assert said.splitlines()[-3:] == [
            "interrupted; what is finished stays, and the same command goes on",
            "",
            "kinet: interrupted",
        ]
        assert "Traceback" not in said
        assert names(read_manifest(out)) == done
        assert not list(out.glob(".*"))
    report = extract(long_music, out)
    assert len(report.done) + len(report.skipped) == 24
    # Where nobody could write the manifest, what it has from before counts.
    assert len(report.skipped) == len(done) or sent == signal.SIGKILL
    assert contents(out) == uninterrupted


def test_ctrl_c_in_the_process_itself_leaves_what_is_finished(music, tmp_path):
    def interrupt(finished, total, seconds):
        if finished == 2:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        extract(music, out, progress=interrupt)
    assert names(read_manifest(out)) == ["s1_a", "s1_b"]
    write_features(out, FeatureConfig())
    assert names(extract(music, out).done) == ["s2_a"]
