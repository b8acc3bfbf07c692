"""Choosing a backend and devices, and training on two of them."""

from __future__ import annotations

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from test_training import SMALL, write_layout

from kinet import backend
from kinet.checkpoint import read_metadata
from kinet.errors import BackendError

QUICK = [*SMALL, "--stages", "1", "--attention", "none", "--epochs", "2"]


def python(script, **environment):
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_another_backend_than_the_running_one_is_refused():
    other = next(name for name in backend.BACKENDS if name != keras.config.backend())
    with pytest.raises(BackendError, match="choose it in a new process"):
        backend.choose(other)


@pytest.mark.parametrize(
    ("there", "arguments", "message"),
    [
        ("[]", "", "no backend is installed; install one of them with: pip install"),
        ("['jax']", "'torch'", "'torch' is not installed; installed: jax; install it with"),
        ("['jax']", "'jaxx'", "unknown backend 'jaxx', did you mean 'jax'"),
    ],
)
def test_backends_that_cannot_be_used(there, arguments, message):
    script = f"""
from kinet import backend
from kinet.errors import BackendError
backend.installed = lambda: {there}
try:
    backend.choose({arguments})
except BackendError as error:
    print(error)
"""
    assert message in python(script, KERAS_BACKEND="").stdout


def test_the_settings_of_keras_are_heard_if_that_backend_is_installed(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    script = """
from kinet import backend
backend.installed = lambda: ['tensorflow', 'torch']
print(backend.choose())
"""
    said = python(script, KERAS_BACKEND="", KERAS_HOME=str(tmp_path)).stdout
    assert said.strip() == "torch"


def test_no_gpu_hides_them_all(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("JAX_PLATFORMS", "")
    assert backend.select_gpus("none") == []
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"
    assert os.environ["JAX_PLATFORMS"] == "cpu"


def test_two_devices_share_a_batch(tmp_path):
    """Two devices made of the processor stand in for two GPUs."""
    write_layout(tmp_path)
    script = f"""
import os, sys
os.chdir({str(tmp_path)!r})
from kinet import backend
name = backend.choose()
if name == "tensorflow":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
backend.check_gpus = lambda numbers: None
import kinet.commands.options as options
options.check_gpus = backend.check_gpus
from kinet.cli import run
sys.exit(run(["train", *{QUICK!r}, "--gpu", "0,1", "--tag", "two"]))
"""
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
    done = python(script, XLA_FLAGS=flags)
    if keras.config.backend() == "torch":
        assert done.returncode == 1
        assert "use --gpu with one number, or --backend jax or tensorflow" in done.stderr
        return
    assert done.returncode == 0, done.stderr[-2000:]
    history = read_metadata(tmp_path / "models/two/last.keras").history
    assert len(history) == 2
    assert all(np.isfinite(record["loss"]) for record in history)
