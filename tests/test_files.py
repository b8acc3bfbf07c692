"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import io
import itertools
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from kinet import files
from kinet.files import (
    write_array_atomically,
    write_atomically,
    write_text_atomically,
    write_together,
)
from kinet.reading import open_regular


def test_creates_a_file(tmp_path):
    write_atomically(tmp_path / "a", lambda file: file.write(b"new"))
    assert (tmp_path / "a").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def test_replaces_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"a long old content")
    write_atomically(str(tmp_path / "a"), lambda file: file.write(b"new"))
    assert (tmp_path / "a").read_bytes() == b"new"


def test_text_is_utf8_with_unix_line_ends(tmp_path):
    write_text_atomically(tmp_path / "a", "Motörhead\nb\n")
    assert (tmp_path / "a").read_bytes() == "Motörhead\nb\n".encode()


def test_accepts_the_longest_name(tmp_path):
    name = "x" * 255
    write_text_atomically(tmp_path / name, "content")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_the_mode_follows_the_umask(tmp_path):
    old = os.umask(0o022)
    try:
        write_text_atomically(tmp_path / "a", "content")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [ValueError("half way"), KeyboardInterrupt()])
def test_a_failure_half_way_leaves_the_old_file(tmp_path, error):
    (tmp_path / "a").write_bytes(b"old")

    def write(file):
        file.write(b"half of the new")
        raise error

    with pytest.raises(type(error)):
        write_atomically(tmp_path / "a", write)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path):
    def write(file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomically(tmp_path / "a", write)
    assert caught.value.filename == str(tmp_path / "a")
    assert os.listdir(tmp_path) == []


def test_what_a_full_disk_refuses_at_the_end_too_names_the_file_and_leaves_nothing(
    tmp_path, monkeypatch
):
    """What is in a buffer is written when the file is flushed, and once more when it is closed."""

    class FullDisk(io.FileIO):
        def write(self, content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "_opened", lambda path, *_: io.BufferedWriter(FullDisk(path, "w")))
    contents = {tmp_path / name: lambda file: file.write(b"new") for name in ("a", "b")}
    with pytest.raises(OSError, match="No space left") as caught:
        write_together(contents)
    assert caught.value.filename == str(tmp_path / "a")
    assert os.listdir(tmp_path) == []


def test_the_name_of_another_file_that_failed_is_kept(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_atomically(tmp_path / "a", lambda _: (tmp_path / "source").read_bytes())
    assert caught.value.filename == str(tmp_path / "source")


def test_a_missing_folder_is_told_with_the_target(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_text_atomically(tmp_path / "none" / "a", "content")
    assert caught.value.filename == str(tmp_path / "none" / "a")


def test_a_target_that_is_a_folder_is_told_with_the_target(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="a") as caught:
        write_text_atomically(tmp_path / "a", "content")
    assert caught.value.filename == str(tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"]


def test_an_array_comes_back_as_it_was(tmp_path, rng):
    values = rng.random((5, 12), dtype=np.float32)
    write_array_atomically(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), values)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_an_array_of_objects_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_array_atomically(tmp_path / "a.npy", np.array([{}], dtype=object))
    assert not list(tmp_path.iterdir())


KILLED = """
import os, pathlib, sys
from kinet import files

folder, at = pathlib.Path(sys.argv[1]), int(sys.argv[2])
events = 0

def counted(call):
    def wrapped(*arguments, **named):
        global events
        events += 1
        if events == at:
            os._exit(9)
        return call(*arguments, **named)
    return wrapped

for module, name in ((os, "replace"), (os, "fsync"), (os, "open"), (pathlib.Path, "unlink")):
    setattr(module, name, counted(getattr(module, name)))
names = ("TRAIN", "VAL", "TEST")
files.write_together({folder / name: lambda file: file.write(b"new") for name in names})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="leaves temporary files there")
def test_files_that_belong_together_are_never_mixed_wherever_the_process_is_killed(tmp_path):
    names = ["TRAIN", "VAL", "TEST"]
    ends = []
    for at in itertools.count(1):
        for name in names:
            (tmp_path / name).write_bytes(b"old")
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(at)]
        code = subprocess.run(command, check=False).returncode
        there = {
            name: (tmp_path / name).read_bytes() for name in names if (tmp_path / name).exists()
        }
        assert set(there.values()) in ({b"old"}, {b"new"}, set())
        if "TRAIN" in there:  # what training begins with is there last
            assert len(there) == 3
        ends.append(there.get("TRAIN"))
        if code == 0:
            break
        assert code == 9
    assert len(ends) >= 15
    assert ends == sorted(ends, key=[b"old", None, b"new"].index)
    # The last run has used up what the killed ones left.
    assert sorted(os.listdir(tmp_path)) == sorted(names)


def test_if_one_of_several_cannot_be_written_all_stay_as_they_were(tmp_path):
    (tmp_path / "TRAIN").write_bytes(b"old")
    (tmp_path / "TEST").mkdir()

    def fail(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        write_together(
            {tmp_path / "TRAIN": lambda file: file.write(b"new"), tmp_path / "VAL": fail}
        )
    assert caught.value.filename == str(tmp_path / "VAL")
    assert (tmp_path / "TRAIN").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["TEST", "TRAIN"]


def test_two_that_write_one_file_at_once_do_not_meet(tmp_path):
    def write(file):
        write_text_atomically(tmp_path / "a", "the second, which is done first")
        assert (tmp_path / "a").read_text() == "the second, which is done first"
        file.write(b"the first")

    write_atomically(tmp_path / "a", write)
    assert (tmp_path / "a").read_text() == "the first"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes have names elsewhere")
def test_only_regular_files_are_opened_and_nothing_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, why in (
        (tmp_path / "pipe", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        (tmp_path, "a folder"),
        ("a\0b", "embedded null byte"),
    ):
        with pytest.raises(OSError, match=why):
            open_regular(path)
