"""Lists and feature files: what is read, and one line for everything that is not."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinet.data.feature_files import FeatureError, as_hpcp, feature_path, load_hpcp, read_hpcp
from kinet.data.tracks import Track, read_numbered, read_tracks
from kinet.errors import DataError


@pytest.fixture
def write_list(tmp_path):
    def write(content: bytes | str):
        path = tmp_path / "LIST"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def save(tmp_path):
    def save(array, **options):
        path = tmp_path / "s1_v1.npy"
        np.save(path, array, **options)
        return path

    return save


def test_reads_tabs_spaces_and_blank_lines(write_list, tmp_path):
    path = write_list("s1\tv1\n\ns1   v2\n  s2 \t v1  \n\n")
    assert read_tracks(path, tmp_path) == [
        Track("s1", "v1", tmp_path / "s1_v1.npy"),
        Track("s1", "v2", tmp_path / "s1_v2.npy"),
        Track("s2", "v1", tmp_path / "s2_v1.npy"),
    ]


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbfs1\tv1\r\ns2\tv2\r\n", b"s1\tv1\rs2\tv2", b"s1\tv1\ns2\tv2"]
)
def test_byte_order_mark_and_line_ends_do_not_matter(write_list, content):
    tracks = read_tracks(write_list(content), "data")
    assert [(t.song_id, t.version_id) for t in tracks] == [("s1", "v1"), ("s2", "v2")]


def test_ids_stay_text(write_list):
    [track] = read_tracks(write_list("007\tdéjà\n"), "data")
    assert (track.song_id, track.version_id, track.path.name) == ("007", "déjà", "007_déjà.npy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("s1 v1\ns1\n", r"LIST:2: line has 1 fields, 's1'; need '<song_id> <version_id>'"),
        ("s1 v1 x\n", r"LIST:1: line has 3 fields, 's1 v1 x'; need"),
        ("y" * 900 + "\n", r"LIST:1: line has 1 fields, 'y{60}\.\.\.'; need"),
        ("\n../s1 v1\n", r"LIST:2: ids '\.\./s1' and 'v1' do not name a file in the data folder"),
        ("s1 ../../v1\n", r"LIST:1: ids 's1' and '\.\./\.\./v1' do not name a file"),
        ("./s1 v1\n", r"LIST:1: ids '\./s1' and 'v1' do not name a file"),
        ("/etc/s1 v1\n", r"LIST:1: ids '/etc/s1' and 'v1' do not name a file"),
        ("s1 a\\v1\n", r"LIST:1: ids 's1' and .* do not name a file"),
        ("", r"LIST: no tracks; need lines of"),
        (" \n\t\n", r"LIST: no tracks; need lines of"),
        (b"\xff\xfes\x001\x00", r"LIST: not UTF-8 text; need a list file"),
        (b"s1\0v1\n", r"LIST: a binary file; need a list file"),
        ("s1 v1\ns2 v1\n\ns1\tv1\n", r"LIST:4: song s1 version v1 is already in line 1; list each"),
    ],
)
def test_faulty_lists_are_told_in_one_line(write_list, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_tracks(write_list(content), "data")
    assert "\n" not in str(caught.value)


def test_a_missing_list(tmp_path):
    with pytest.raises(DataError, match=r"none: missing; need a readable list file"):
        read_tracks(tmp_path / "none", tmp_path)


def test_a_list_that_is_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"unreadable \(.+\); need a readable list file"):
        read_tracks(tmp_path, tmp_path)


def test_numbered_lines_keep_repeated_tracks(write_list):
    rows = read_numbered(write_list("s1 v1\n\ns1 v1\n"), "data")
    assert [number for number, _ in rows] == [1, 3]
    assert rows[0][1] == rows[1][1]


def test_a_null_character_in_an_id():
    with pytest.raises(DataError, match="do not name a file"):
        feature_path("data", "s\0", "v")


@settings(deadline=None, derandomize=True)
@given(st.text(min_size=1), st.text(min_size=1))
def test_no_id_leaves_the_folder(song, version):
    try:
        path = feature_path("data", song, version)
    except DataError:
        return
    assert os.path.dirname(os.path.normpath(path)) == "data"


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "f8", "f2", "i4", "u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_maps_any_real_type(save, dtype, order):
    rng = np.random.default_rng(0)
    values = np.asarray(rng.integers(0, 2, (30, 12)), dtype=dtype, order=order)
    loaded = load_hpcp(save(values))
    assert isinstance(loaded, np.memmap)
    assert loaded.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(loaded, values)
    with pytest.raises(ValueError, match="read-only"):
        loaded[0, 0] = 1


def test_twelve_vectors_are_not_taken_for_transposed(save):
    assert load_hpcp(save(np.zeros((12, 12)))).shape == (12, 12)


def test_reads_float32(save):
    values = read_hpcp(save(np.full((3, 12), 0.5, order="F")))
    assert values.dtype == np.float32
    assert values.flags.c_contiguous
    assert not isinstance(values, np.memmap)
    np.testing.assert_array_equal(values, np.full((3, 12), 0.5))


def test_header_of_version_2(tmp_path):
    path = tmp_path / "s1_v1.npy"
    with open(path, "wb") as file:
        np.lib.format.write_array(file, np.ones((5, 12)), version=(2, 0))
    assert load_hpcp(path).shape == (5, 12)


@pytest.mark.parametrize(
    ("array", "kind", "message"),
    [
        (np.zeros((12, 400)), "shape", "is (12, 400): transposed, expected (T, 12)"),
        (np.zeros((400, 13)), "shape", "is (400, 13), expected (T, 12)"),
        (np.zeros(12), "shape", "is (12,), expected (T, 12)"),
        (np.zeros((1, 400, 12)), "shape", "is (1, 400, 12), expected (T, 12)"),
        (np.zeros((0, 12)), "shape", "is empty, (0, 12); expected (T, 12), T from 1"),
        (np.zeros((12, 0)), "shape", "is (12, 0): transposed, expected (T, 12)"),
        (np.zeros((4, 12), complex), "type", "is of type complex128; need real numbers"),
        (np.zeros((4, 12), bool), "type", "is of type bool; need real numbers"),
        (np.zeros((4, 12), "U3"), "type", "is of type <U3; need real numbers"),
        (
            np.zeros((4, 12), object),
            "type",
            "contains pickled objects, which are never loaded; need real numbers",
        ),
    ],
)
def test_wrong_arrays(save, array, kind, message):
    path = save(array)
    with pytest.raises(FeatureError) as caught:
        load_hpcp(path)
    assert (caught.value.kind, str(caught.value)) == (kind, f"{path}: {message}")


class Payload:
    """Would write a file if it were unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_pickled_objects_are_not_run(save, tmp_path):
    array = np.empty((4, 12), object)
    array[:] = Payload(tmp_path / "ran")
    with pytest.raises(FeatureError, match="never loaded"):
        read_hpcp(save(array, allow_pickle=True))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content", [b"", b"text", b"PK\x03\x04 an .npz", pickle.dumps([1]), b"\x93NUMPY\x01\x00"]
)
def test_not_a_npy_file(tmp_path, content):
    path = tmp_path / "s1_v1.npy"
    path.write_bytes(content)
    with pytest.raises(FeatureError, match=r"not a \.npy file; need a \(T, 12\) array") as caught:
        load_hpcp(path)
    assert caught.value.kind == "unreadable"


def test_a_version_of_the_format_that_numbers_do_not_need(save):
    path = save(np.zeros((4, 12)))
    content = bytearray(path.read_bytes())
    content[6] = 3
    path.write_bytes(content)
    with pytest.raises(FeatureError, match=r"\.npy of version 3\.0; need 1\.0 or 2\.0"):
        load_hpcp(path)


def test_a_file_that_is_cut_off(save):
    path = save(np.zeros((4, 12)))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FeatureError, match="cut off: 383 bytes of values, expected 384") as caught:
        load_hpcp(path)
    assert caught.value.kind == "unreadable"


def test_a_shape_larger_than_any_file(save):
    path = save(np.zeros((4, 12)))
    # As long as the true header, so that only the shape is wrong.
    content = path.read_bytes().replace(b"(4, 12), }" + b" " * 40, b"(4" + b"0" * 40 + b", 12), }")
    path.write_bytes(content)
    with pytest.raises(FeatureError, match="cut off: 384 bytes"):
        load_hpcp(path)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(FeatureError, match=r"missing; need a readable \.npy file") as caught:
        load_hpcp(tmp_path / "s1_v1.npy")
    assert caught.value.kind == "missing"
    with pytest.raises(FeatureError, match=r"unreadable \(.+\); need a readable \.npy") as caught:
        load_hpcp(tmp_path)
    assert caught.value.kind == "unreadable"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite(save, value):
    array = np.zeros((4, 12))
    array[1, :2] = value
    assert load_hpcp(save(array)).shape == (4, 12)  # the cheap way does not look at values
    message = "2 of 48 values are NaN or infinite; need finite values"
    with pytest.raises(FeatureError, match=message) as caught:
        read_hpcp(save(array))
    assert caught.value.kind == "not finite"


def test_an_error_survives_another_process():
    error = FeatureError("shape", "a.npy", "is (3,)")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (str(copy), copy.kind) == ("a.npy: is (3,)", "shape")


# A header as Python 2 wrote it is read, with NumPy's own warning.
@pytest.mark.filterwarnings("ignore:Reading `.npy`")
@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@settings(deadline=None, derandomize=True)
@given(st.integers(0, 511), st.integers(0, 255), st.integers(0, 512))
def test_damaged_files_give_an_array_or_one_line(tmp_path_factory, position, byte, length):
    path = tmp_path_factory.getbasetemp() / "damaged.npy"
    np.save(path, np.ones((8, 12), dtype=np.float32))
    content = bytearray(path.read_bytes())
    content[position] = byte
    path.write_bytes(content[:length] if length % 2 else content)
    try:
        outcome = str(load_hpcp(path).shape)
    except FeatureError as error:
        outcome = str(error)
    assert re.fullmatch(r"\(\d+, 12\)|.*damaged\.npy: .+", outcome)


@pytest.mark.parametrize(
    "module",
    ["data.tracks", "data.inspection", "data.splits", "metrics", "evaluation", "files"],
)
def test_keras_is_not_imported(module):
    code = f"import sys, kinet.{module}; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(480)


def described(descr: str = "'<f4'", shape: str = "(10, 12)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(" * 9000, "not a .npy file"),
        ("-" * 9000 + "1", "not a .npy file"),
        ("'\\N{no such letter}'", "not a .npy file"),
        (described(shape="(0x" + "f" * 8000 + ", 12)"), "cut off: 480 bytes of values, expected 9"),
        (described(shape="(" + "1, " * 3000 + ")"), "is (1, 1, 1, 1, 1), expected (T, 12)"),
        (described(shape="(-7, 12)"), "is empty, (-1, 12)"),
        (described(shape="(9223372036854775807, 12)"), "cut off: 480 bytes of values, expected 9"),
        (described("[('a', '<f4', (3,))]"), "is of type [('a', '<f4', (3,))]; need real numbers"),
        (described("'V" + "9" * 5000 + "'"), "not a .npy file"),
    ],
)
def test_a_crafted_header_is_refused_in_one_short_line(tmp_path, text, said):
    path = tmp_path / "s1_v1.npy"
    path.write_bytes(header(text))
    with pytest.raises(FeatureError) as caught:
        load_hpcp(path)
    assert caught.value.message.startswith(said)
    assert len(caught.value.message) < 120
    assert "\n" not in caught.value.message


def test_what_numpy_lets_pass_as_a_size(tmp_path):
    (tmp_path / "a.npy").write_bytes(header(described(shape="(True, 12)")))
    assert load_hpcp(tmp_path / "a.npy").shape == (1, 12)


def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "s1_v1.npy")
    os.mkfifo(tmp_path / "list")
    with pytest.raises(FeatureError, match=r"unreadable \(not a regular file\)"):
        load_hpcp(tmp_path / "s1_v1.npy")
    with pytest.raises(DataError, match=r"list: unreadable \(not a regular file\); need"):
        read_tracks(tmp_path / "list", tmp_path)


def test_an_id_of_50_megabytes_is_told_in_a_short_line(write_list):
    with pytest.raises(DataError) as caught:
        read_tracks(write_list("s" * 50_000_000 + " v1\n"), "data")
    assert "are too long to name a file; allowed: 250 bytes together" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_longest_ids_are_those_of_the_longest_file_name(write_list):
    assert len(read_tracks(write_list("s" * 125 + " " + "v" * 125), "data")) == 1
    with pytest.raises(DataError, match="too long"):
        read_tracks(write_list("é" * 63 + " " + "v" * 125), "data")


def test_a_list_that_no_list_is_so_long(write_list, monkeypatch):
    monkeypatch.setattr("kinet.data.tracks.LARGEST_LIST", 5)
    assert len(read_tracks(write_list("s1 v1"), "data")) == 1
    with pytest.raises(DataError, match="more than 5 bytes; need a list file"):
        read_tracks(write_list("s1 v12"), "data")


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e300])
def test_values_that_float32_cannot_hold_are_refused_wherever_they_are_read(save, value):
    array = np.full((20, 12), 0.5)
    array[19, 11] = value
    track = Track("s1", "v1", save(array))
    assert track.read(0, 19).dtype == np.float32
    message = "values are NaN or infinite; need finite values"
    for read in (track.read, lambda: read_hpcp(track.path), lambda: as_hpcp(array)):
        with pytest.raises(FeatureError, match=message):
            read()


def test_rows_of_unequal_length_are_no_features():
    with pytest.raises(FeatureError, match=r"HPCP: has rows of unequal length; expected \(T, 12\)"):
        as_hpcp([[1, 2], [3]])
