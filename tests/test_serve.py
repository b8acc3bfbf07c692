"""`kinet serve`: a recording comes in, its songs are shown, each can be seen and heard."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import soundfile

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("multipart")

from starlette.testclient import TestClient
from terminal import kinet_in_a_terminal
from worker_functions import square_or_die, take_memory, wait

from kinet.cli import run
from kinet.errors import DataError, SettingsError
from kinet.library import Library
from kinet.serving import Limits, children, desk, folder, serve
from kinet.serving.limits import Refusal
from kinet.serving.site import shown_name, site

PORT = 8484
HERE = f"http://127.0.0.1:{PORT}"
RATE = 22050
TUNES = {
    "<script>alert(1)</script>": (0, 2, 4, 0, 4, 5, 7, 7, 9, 7, 5, 4, 0, -5, 0, 0),
    "Summertime": (4, 1, 4, 3, 1, 4, 1, -1, -4, 8, 6, 3, 4, 1, 4, 11),
}


def play(degrees, key=0):
    """A tune of 12 seconds, with four harmonics."""
    time = np.arange(int(0.75 * RATE)) / RATE
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    notes = [220 * 2 ** ((degree + key) / 12) for degree in degrees]
    return 0.2 * np.concatenate(
        [fade * sum(np.sin(2 * np.pi * k * f * time) / k for k in range(1, 5)) for f in notes]
    )


def flac(signal):
    file = io.BytesIO()
    soundfile.write(file, signal, RATE, format="FLAC")
    return file.getvalue()


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Two songs; one has a title that is markup."""
    root = tmp_path_factory.mktemp("music")
    for number, (title, degrees) in enumerate(TUNES.items()):
        with soundfile.SoundFile(root / f"{number}.flac", "w", RATE, 1, format="FLAC") as file:
            file.title = title
            file.write(play(degrees))
    with Library.create(root / "songs.library", "fourier") as made:
        made.add([root / "0.flac", root / "1.flac"], workers=1)
    return root / "songs.library"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where temporary files would be."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(folder.tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def opened(library):
    """Gives clients of the page, under limits."""
    clients = []

    def opened_with(**limits):
        app = site(library, None, PORT, replace(Limits(), **limits))
        clients.append(TestClient(app, HERE, follow_redirects=True).__enter__())
        return clients[-1]

    yield opened_with
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(opened):
    return opened()


@pytest.fixture
def reading(monkeypatch):
    """Recordings are read in this process, which takes no time to start; gives what was read."""
    seen = []

    def read(function, job, limits):
        seen.append(job)
        return function(job, lambda: None)

    monkeypatch.setattr(desk, "in_child", read)
    return seen


def token_of(client):
    return re.search(r'name="token" value="([^"]+)"', client.get("/").text)[1]


def hand_in(client, content, name="take.flac", token=None, origin=HERE):
    return client.post(
        "/",
        data={"token": token_of(client) if token is None else token},
        files={"recording": (name, content)},
        headers={"origin": origin} if origin else {},
    )


def message_of(answer):
    [message] = re.findall(r'<p role="alert" class="message">(.*?)</p>', answer.text)
    return message


def files_in(place):
    return [path for path in place.rglob("*") if path.is_file()]


def test_an_upload_shows_its_song_and_a_match_is_seen_and_heard(client, temporary):
    # With children, as it is.
    shown = hand_in(client, flac(play(TUNES["<script>alert(1)</script>"], 2)), "../../<b>take.flac")
    assert shown.status_code == 200
    assert re.fullmatch(rf"{HERE}/answers/[\w-]{{20,}}", str(shown.url))
    assert "<h1>&lt;b&gt;take.flac</h1>" in shown.text
    rows = re.findall(r"<tr>\n<td>.*?</tr>", shown.text, re.DOTALL)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in rows[0]
    assert "<td>-2</td>\n<td>1.00</td>" in rows[0]
    assert "Summertime" in rows[1]
    assert "<script>alert" not in shown.text

    page = client.get(re.search(r'href="(/answers/[^"]+/1)"', rows[0])[1])
    data = json.loads(re.search(r"<script[^>]*json[^>]*>(.*?)</script>", page.text, re.DOTALL)[1])
    assert [each["title"] for each in data["recordings"]] == [
        "<b>take.flac",
        "<script>alert(1)</script>",
    ]
    assert all(len(base64.b64decode(each["sound"])) > 10_000 for each in data["recordings"])
    assert [match["transposition"] for match in data["matches"]] == [-2]
    assert "default-src 'none'; script-src 'sha256-" in page.text
    assert page.headers["content-security-policy"] == "frame-ancestors 'none'"
    # Of the upload its bytes are left, under a name of ours.
    [left] = files_in(temporary)
    assert re.fullmatch(r"[\w-]{20,}", left.name)


def test_all_pages_allow_only_what_they_hold(client):
    for path in ("/", "/nowhere", "/style.css", "/script.js", "/answers/unknown"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
    assert "text/css" in client.get("/style.css").headers["content-type"]
    assert "text/javascript" in client.get("/script.js").headers["content-type"]


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", f"[::1]:{PORT}"]
)
def test_another_name_of_this_machine_is_refused(client, host):
    answer = client.get("/", headers={"host": host})
    assert answer.status_code == 403
    assert answer.text == (
        "asked for under another name; allowed: 127.0.0.1:8484 and localhost:8484"
    )
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_localhost_is_a_name_of_this_machine(client):
    answer = client.get("/", headers={"host": f"localhost:{PORT}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", None, "https://127.0.0.1:8484", "http://127.0.0.1"]
)
def test_forms_of_other_sites_are_refused_before_they_are_read(client, reading, origin):
    answer = hand_in(client, flac(play((0, 4, 7))), origin=origin)
    assert (answer.status_code, answer.text) == (
        403,
        "asked for by another site; allowed: http://127.0.0.1:8484",
    )
    assert not reading


def test_a_script_of_another_site_is_refused(client):
    assert client.get("/", headers={"origin": "http://evil.example"}).status_code == 403


@pytest.mark.parametrize("token", ["", "x", "é"])
def test_a_form_needs_the_token_of_the_page(client, reading, temporary, token):
    answer = hand_in(client, flac(play((0, 4, 7))), token=token)
    assert answer.status_code == 403
    assert message_of(answer) == "the form is not of this page as it is now; load the page again"
    assert not reading
    assert files_in(temporary) == []


@pytest.mark.parametrize(
    ("content", "name", "status", "message"),
    [
        (b"no sound", "a.mp3", 415, r"a\.mp3: no audio in a known format .*; need wav, flac.*"),
        (b"\x93NUMPY\x01\x00", "a.npy", 415, r"a\.npy: no audio in a known format.*"),
        (b"PK\x03\x04" + bytes(100), "best.keras", 415, r"best\.keras: no audio in a known.*"),
        (flac(play((0, 4) * 4)[:RATE]), "<b>.flac", 400,
         r"&lt;b&gt;\.flac: 1\.0 s long; need at least 10 s to find a song"),
        (flac(np.zeros(RATE)), "a.flac", 415, r"a\.flac: nothing but silence, 1\.00 s; need sound"),
        (b"", "a.flac", 400, "no recording in the form, or an empty one; choose a file"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_says_why_in_one_line(
    client, reading, temporary, content, name, status, message
):
    answer = hand_in(client, content, name)
    assert answer.status_code == status
    assert re.fullmatch(message, message_of(answer))
    assert 'id="upload"' in answer.text
    assert files_in(temporary) == []


def test_a_recording_that_is_cut_off_is_refused(client, reading):
    answer = hand_in(client, flac(play(TUNES["Summertime"]))[:50_000])
    assert answer.status_code == 415
    assert re.match(r"take\.flac: .*(cut off|damaged)", message_of(answer))


def test_more_sound_than_allowed_is_refused_while_it_is_decoded(opened, reading):
    answer = hand_in(opened(seconds=11), flac(play(TUNES["Summertime"])))
    assert answer.status_code == 413
    assert message_of(answer) == "take.flac: longer than 11 s; need at most that"
    assert hand_in(opened(seconds=12), flac(play(TUNES["Summertime"]))).status_code == 200


def test_more_bytes_than_allowed_are_refused_whatever_is_said_of_them(opened, reading, temporary):
    client = opened(bytes=10_000)
    for answer in (
        hand_in(client, bytes(10_000)),
        client.post(
            "/",
            content=iter([b"--x\r\n", *[bytes(1000)] * 20]),
            headers={"origin": HERE, "content-type": "multipart/form-data; boundary=x"},
        ),
    ):
        assert answer.status_code == 413
        assert message_of(answer) == "larger than 0.01 MB; need at most that"
    assert not reading
    assert files_in(temporary) == []


@pytest.mark.parametrize(
    ("sent", "status", "message"),
    [
        ({"data": {"token": "a"}}, 415, "not a form with a file; need the form of this page"),
        (
            {"content": b"--x", "headers": {"content-type": "multipart/form-data"}},
            400,
            "Missing boundary in multipart.",
        ),
        ({"files": [("recording", b"a"), ("recording", b"b")]}, 400, "Too many files. Maximum.*"),
    ],
)
def test_what_is_no_form_of_the_page_is_refused(client, sent, status, message):
    sent["headers"] = {"origin": HERE, **sent.get("headers", {})}
    answer = client.post("/", **sent)
    assert answer.status_code == status
    assert re.fullmatch(message, message_of(answer))


def test_when_all_places_are_taken_others_are_turned_away(opened, monkeypatch):
    client = opened(waiting=2)
    token = token_of(client)
    is_free = []

    def slow(function, job, limits):
        while not is_free:
            time.sleep(0.01)
        return function(job, lambda: None)

    monkeypatch.setattr(desk, "in_child", slow)
    content = flac(play(TUNES["Summertime"]))
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(hand_in, client, content, token=token) for _ in range(2)]
        while client.app._app.state.desk._busy < 2:
            time.sleep(0.01)
        turned_away = hand_in(client, content, token=token)
        is_free.append(True)
        assert [each.result().status_code for each in waiting] == [200, 200]
    assert turned_away.status_code == 503
    assert message_of(turned_away) == (
        "2 recordings are waiting already, which is all; come again later"
    )
    assert hand_in(client, content, token=token).status_code == 200


def test_answers_are_kept_for_a_while(opened, reading, temporary):
    client = opened(kept=1)
    content = flac(play(TUNES["Summertime"], 1))
    first, second = hand_in(client, content).url, hand_in(client, content).url
    assert client.get(second).status_code == 200
    gone = client.get(first)
    assert gone.status_code == 404
    assert message_of(gone) == "this answer is not kept any more; hand the recording in again"
    assert len(files_in(temporary)) == 1
    missing = client.get(f"{second}/3")
    assert (missing.status_code, message_of(missing)) == (404, "no song 3 here; allowed: 1 to 2")


def test_a_full_disk_is_told(client, temporary, monkeypatch):
    def full(content, path):
        path.write_bytes(b"a part")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(desk, "_write", full)
    answer = hand_in(client, flac(play(TUNES["Summertime"])))
    assert answer.status_code == 503
    assert message_of(answer) == "nothing can be kept here (No space left on device)"
    assert files_in(temporary) == []


def test_a_damaged_library_is_told(client, reading, monkeypatch):
    def damaged(self, path, read):
        raise DataError("songs.library is damaged (a row of hpcp)")

    monkeypatch.setattr(Library, "find_read", damaged)
    answer = hand_in(client, flac(play(TUNES["Summertime"])))
    assert (answer.status_code, message_of(answer)) == (
        500,
        "songs.library is damaged (a row of hpcp)",
    )


def test_a_recording_that_is_gone_has_no_page(client, reading, library, tmp_path):
    shown = hand_in(client, flac(play(TUNES["Summertime"], 1)))
    path = library.with_name("1.flac")
    path.rename(tmp_path / "1.flac")
    try:
        page = client.get(f"{shown.url}/1")
    finally:
        (tmp_path / "1.flac").rename(path)
    assert page.status_code == 404
    assert message_of(page) == f"{path}: no such file; need an audio file"


def test_names_are_never_paths():
    assert shown_name("../../etc/passwd") == "passwd"
    assert shown_name("..\\..\\a.mp3") == "a.mp3"
    assert shown_name("/") == shown_name(None) == shown_name("..") == "recording"
    assert shown_name("a\x1b[2J\n.mp3") == "a\\x1b[2J .mp3"
    assert len(shown_name("x" * 1000)) == 200


# Children


@pytest.mark.parametrize(
    ("function", "job", "seconds", "status", "message"),
    [
        (wait, "deaf", 0.2, 503, r"took longer than 0\.2 s; need less sound, or less to do"),
        (square_or_die, "exit", 120, 415, "the process that read it was ended with exit code 3"),
    ],
)
def test_a_decoder_that_hangs_or_dies_is_ended(function, job, seconds, status, message):
    with pytest.raises(Refusal, match=message) as refused:
        children.in_child(function, job, Limits(job_seconds=seconds))
    assert refused.value.status == status


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of memory")
def test_a_decoder_has_so_much_memory():
    limits = Limits(memory=2**27)
    assert children.in_child(take_memory, 2**28, limits) == "not enough memory"


# Temporary files


def test_what_a_killed_page_left_goes_at_the_next_start(temporary):
    with folder.upload_folder() as first:
        (first / "a").write_bytes(b"in use")
        killed = temporary / "kinet-serve-killed"
        (killed / "files").mkdir(parents=True)
        (killed / "files" / "b").write_bytes(b"left")
        being_made = temporary / "kinet-serve-new"
        being_made.mkdir()
        (temporary / "kinet-serve-link").symlink_to(first.parent)
        with folder.upload_folder() as second:
            assert not killed.exists()
            assert being_made.is_dir()
            assert (first / "a").read_bytes() == b"in use"
            assert second != first
            assert os.name != "posix" or second.parent.stat().st_mode & 0o077 == 0
    assert not first.parent.exists()


def test_a_page_that_ends_leaves_nothing(opened, library, reading, temporary):
    with TestClient(site(library, None, PORT, Limits()), HERE) as client:
        hand_in(client, flac(play(TUNES["Summertime"])))
        assert len(files_in(temporary)) == 1
    assert list(temporary.iterdir()) == []


# The command


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_the_command_says_its_address_and_ends_quietly(library, temporary, number, code):
    process = subprocess.Popen(
        kinet_in_a_terminal("serve", library, "--port", 0),
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    address = process.stderr.readline().split()[0]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
    host = address[len("http://") : -1]
    place = ("127.0.0.1", int(host.partition(":")[2]))
    with socket.create_connection(place) as sender, socket.create_connection(place) as peer:
        # An upload that has not come whole when the page ends.
        sender.sendall(
            f"POST / HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Type: "
            "multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n\r\n--x\r\n".encode()
        )
        peer.sendall(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        assert b"Which song is it?" in b"".join(iter(lambda: peer.recv(2**16), b""))
        assert len(list(temporary.iterdir())) == 1
        process.send_signal(number)
        told = process.communicate(timeout=20)[1]
    said = "kinet: interrupted" if code == 130 else ""
    assert (process.returncode, told.strip()) == (code, said)
    assert list(temporary.iterdir()) == []


def test_a_port_that_is_taken_and_a_library_that_is_none(library, tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", str(library), "--port", str(port)]) == 1
    told = capsys.readouterr().err
    assert re.fullmatch(
        rf"kinet: port {port} is not to be had \(.+\); allowed: a free one from 1024 to 65535, or "
        r"0, which takes any\n",
        told,
    )
    with pytest.raises(SettingsError, match="port 70000; allowed: from 1 to 65535, or 0"):
        serve(library, 70000)
    assert run(["serve", str(tmp_path / "none")]) == 1
    assert "none: missing; need a library" in capsys.readouterr().err
    assert run(["serve", str(library), "--port", "70000"]) == 2


def test_without_the_libraries_of_the_extra_it_says_what_to_install(library, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SettingsError, match=r'needs uvicorn.*pip install "mulkinet\[serve\]"'):
        serve(library)
