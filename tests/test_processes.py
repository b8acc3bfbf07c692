"""Training in several processes: the same as in one, ended together, gone on with."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from terminal import kinet_in_a_terminal
from test_training import assert_same_run, weights_and_state, write_layout

import kinet
from kinet.backend.several import environment_of, join, require_able
from kinet.checkpoint import read_metadata
from kinet.cli import run
from kinet.data.batches import TrainingBatches
from kinet.data.tracks import read_tracks
from kinet.errors import BackendError, SettingsError
from kinet.peers import ADDRESS, COUNT, NUMBER, Place, place_here
from kinet.peers.launching import Ending, free_address

pytestmark = pytest.mark.skipif(keras.config.backend() != "jax", reason="processes are JAX's")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
TWO = ["--processes", "2"]
SMALL = [
    *("--block", "simple", "-S", "1", "--channels", "4", "--embedding-size", "8"),
    *("--vectors", "110", "--time-field", "12", "--batch-size", "8", "--attention", "none"),
    *("--loss", "supcon", "--versions-per-song", "2", "--averaging", "0.5"),
]
LONG = [*SMALL, "--epochs", "1000"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder in which one run was trained by one process and another by two, alike."""
    folder = write_layout(tmp_path_factory.mktemp("processes"))
    before = Path.cwd()
    os.chdir(folder)
    try:
        for tag, more in (("one", []), ("two", TWO)):
            assert run(["train", *SMALL, "--epochs", "3", "--tag", tag, *more]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def there(root, monkeypatch):
    monkeypatch.chdir(root)
    return root


def rows_of(tag):
    """The table of a run, without its seconds."""
    with Path(f"log/{tag}/history.csv").open() as file:
        return [
            {k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)
        ]


def assert_alike(tag, other):
    """Two runs are the same up to rounding."""
    for one, two in zip(rows_of(tag), rows_of(other), strict=True):
        assert one == pytest.approx(two, rel=1e-3)
    left, right = (weights_and_state(Path(f"models/{name}/last.keras")) for name in (tag, other))
    assert left.keys() == right.keys()
    for name, values in left.items():
        # Of a gradient that is nothing but rounding, Adam makes steps as long as of any other.
        np.testing.assert_allclose(values, right[name], rtol=1e-2, atol=6e-3, err_msg=name)


def test_two_processes_train_what_one_does(there):
    assert_alike("one", "two")


def test_the_first_process_alone_writes(there):
    names = sorted(path.name for path in (there / "models/two").iterdir())
    assert names == ["best.keras", "last.keras", "settings.json"]
    assert len(list((there / "log/two").glob("events.*"))) == 1


class Training:
    """``kinet train`` that goes on until it is stopped, in a terminal of its own."""

    def __init__(self, tag, *more, **environment):
        self.process = subprocess.Popen(
            kinet_in_a_terminal("train", *LONG, "--tag", tag, *more),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **environment},
        )

    def children(self):
        own = self.process.pid
        return [int(n) for n in Path(f"/proc/{own}/task/{own}/children").read_text().split()]

    def end(self):
        """The exit code and the last lines of stderr; that took less than 20 seconds."""
        started = time.monotonic()
        said = self.process.communicate(timeout=120)[1]
        assert time.monotonic() - started < 20
        lines = [line for line in said.splitlines() if line.strip()]
        assert not any("Traceback" in line or "Error" in line for line in lines)
        return self.process.returncode, lines


def wait_for(path, *trainings):
    while not Path(path).exists():  # a busy machine takes minutes to start
        assert all(training.process.poll() is None for training in trainings)
        time.sleep(0.05)


def gone(children):
    return not any(Path(f"/proc/{number}").exists() for number in children)


@ON_LINUX
def test_ctrl_c_ends_all(there):
    training = Training("interrupted", *TWO)
    wait_for("models/interrupted/last.keras", training)
    children = training.children()
    assert len(children) == 2
    os.killpg(training.process.pid, signal.SIGINT)
    code, lines = training.end()
    assert code == 130
    assert lines[-2:] == [
        "interrupted; go on with: kinet train --resume --tag interrupted --processes 2",
        "kinet: interrupted",
    ]
    assert gone(children)


@ON_LINUX
def test_processes_of_a_launcher_end_in_one_line_when_the_first_is_killed(there):
    address = free_address()
    places = [Place(number, 2, address) for number in range(2)]
    trainings = [Training("launched", **place.variables()) for place in places]
    wait_for("models/launched/last.keras", *trainings)
    children = [child for training in trainings for child in training.children()]
    os.kill(children[0], signal.SIGKILL)
    reasons = [
        "process 0 of 2 was ended by SIGKILL, as the system does when memory runs out",
        "process 1 of 2 lost the connection to another one, or did not find it",
    ]
    for training, reason in zip(trainings, reasons, strict=True):
        code, lines = training.end()
        assert (code, lines[-1]) == (
            1,
            f"kinet: {reason}; the training has ended with it; go on with: kinet train --resume "
            "--tag launched",
        )
    assert len(lines) == 1  # the second one has nothing else to say
    assert gone(children)


DYING = """
import os, sys
from kinet.cli import run
from kinet.peers import NUMBER
from kinet.training.keeping import Keeper
whole = Keeper.on_epoch_end
def dying(self, epoch, logs=None):
    if epoch == 1 and os.environ[NUMBER] == "1":
        os.kill(os.getpid(), 9)
    whole(self, epoch, logs)
Keeper.on_epoch_end = dying
sys.exit(run(sys.argv[1:]))
"""


def test_a_run_that_died_goes_on_to_the_same_end(there, tmp_path, monkeypatch, capfd):
    # In the second epoch, which the first process may have written or not.
    (tmp_path / "dying.py").write_text(DYING)
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", str(tmp_path))
        patched.setattr("kinet.commands.train_processes.MODULE", "dying")
        assert run(["train", *SMALL, "--epochs", "3", "--tag", "died", *TWO]) == 1
    assert capfd.readouterr().err.splitlines()[-1] == (
        "kinet: process 1 of 2 was ended by SIGKILL, as the system does when memory runs out; the "
        "training has ended with it; go on with: kinet train --resume --tag died --processes 2"
    )
    assert len(read_metadata("models/died/last.keras").history) in (1, 2)
    for kind in ("models", "log"):
        shutil.copytree(f"{kind}/died", f"{kind}/alone")
    assert run(["train", "--resume", "--tag", "died", *TWO]) == 0
    assert rows_of("died") == rows_of("two")
    assert_same_run(Path("models/died/last.keras"), Path("models/two/last.keras"))
    # By one process it is the same up to rounding.
    assert run(["train", "--resume", "--tag", "alone"]) == 0
    assert_alike("alone", "two")


def test_parts_of_a_batch_are_the_batch(tmp_path):
    layout = write_layout(tmp_path)
    tracks = read_tracks(layout / "meta/SHS100K-TRAIN", layout / "data/youtube_hpcp_npy")
    batches = TrainingBatches(tracks, 110, 8, 2, seed=3)
    members = batches.order(1)[0]
    whole = batches.load(1, 0, members)
    parts = [
        batches.load(1, 0, members, Place(number, 4).part_of_batch(batches.batch_size))
        for number in range(4)
    ]
    for all_of_it, of_all in zip(whole, zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(all_of_it, np.concatenate(of_all))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({ADDRESS: ""}, f"{ADDRESS} is not set, and {COUNT} is; allowed: all of"),
        ({COUNT: "0"}, f"{COUNT} is '0'; allowed: an integer from 1"),
        ({COUNT: "two"}, f"{COUNT} is 'two'; allowed: an integer from 1"),
        ({NUMBER: "-1"}, f"{NUMBER} is '-1'; allowed: an integer from 0"),
        ({NUMBER: "2"}, f"{NUMBER} is 2; allowed with {COUNT} 2: 0 to 1"),
        ({ADDRESS: "10.0.0.1"}, f"{ADDRESS} is '10.0.0.1'; allowed: host:port of the first"),
    ],
)
def test_places_that_cannot_be(change, message):
    with pytest.raises(SettingsError, match=f"^{message}"):
        place_here({**Place(1, 2, "10.0.0.1:1234").variables(), **change})


def test_of_several_addresses_the_first_is_met():
    place = Place(0, 2, "10.0.0.1:1234,10.0.0.2:1234")
    assert place_here(place.variables()) == Place(0, 2, "10.0.0.1:1234")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--processes", "0"], 2, "Invalid value for '--processes': 0 is not in the range x>=1"),
        (["--gpu", "0,1,2", *TWO], 1, "--gpu 0,1,2 are 3 GPUs, and --processes is 2; allowed: as"),
    ],
)
def test_processes_that_cannot_be(there, monkeypatch, capsys, arguments, code, message):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert run(["train", *LONG, "--tag", "refused", *arguments]) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_a_backend_that_compares_parts_of_a_batch_is_refused(backend):
    with pytest.raises(BackendError, match=f"on JAX alone; the backend is '{backend}': use --back"):
        require_able(backend)


def test_a_launcher_of_processes_within_one_is_refused(there, monkeypatch, capsys):
    for name, value in Place(1, 2, "10.0.0.1:1234").variables().items():
        monkeypatch.setenv(name, value)
    assert run(["train", *LONG, "--tag", "refused", *TWO]) == 1
    assert (
        f"--processes is 2 and {NUMBER} is set; allowed: one of the two" in capsys.readouterr().err
    )


def test_a_first_process_that_is_not_there_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BackendError, match=f"is not reached at {address} within 0 seconds"):
            join(Place(1, 2, address), patience=0.1)
        taken.listen()
        with pytest.raises(BackendError, match=f"the first process cannot listen at {address}"):
            join(Place(0, 2, address), patience=0.1)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (3, "process 1 of 2 ended with exit code 3"),
        (-signal.SIGSEGV, "process 1 of 2 was ended by SIGSEGV"),
        (75, "process 1 of 2 lost the connection to another one, or did not find it"),
    ],
)
def test_how_a_process_ended(code, message):
    assert str(Ending(Place(1, 2), code, "")) == message


def test_each_process_of_a_machine_has_its_share(monkeypatch):
    monkeypatch.setattr("kinet.backend.several.cores", lambda: 8)
    here = environment_of(Place(1, 3, "127.0.0.1:1234"), gpus_are_named=False)
    assert here["PJRT_NPROC"] == "2"
    assert here["JAX_CUDA_VISIBLE_DEVICES"] == "1"
    assert "JAX_CUDA_VISIBLE_DEVICES" not in environment_of(Place(1, 3), gpus_are_named=True)


def test_what_others_ended_of_is_told():
    lost, failed, killed = (
        Ending(Place(number, 3), code, "") for number, code in enumerate((75, 1, -9))
    )
    assert min((lost, failed, killed), key=Ending.order) is killed
    assert min((lost, failed), key=Ending.order) is failed


def test_in_python_one_of_several_processes_is_refused(monkeypatch):
    for name, value in Place(1, 2, "10.0.0.1:1234").variables().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{NUMBER} is set, for one of several processes"):
        kinet.train([], [])
