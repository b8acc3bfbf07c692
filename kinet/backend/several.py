"""Batches that are spread over several devices, and over several processes that meet for it.

Processes on JAX alone: there one compiled step sees the parts of all of them as one array, so that
losses that compare the tracks of a batch, and batch normalisation, are those of one process. On
TensorFlow and PyTorch every process would see its own part.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from kinet.backend import cores
from kinet.errors import BackendError, PeerLost, SettingsError
from kinet.peers import Place

# What is read of it in errors of its compiled steps, whose class says nothing.
_OF_A_CONNECTION = re.compile(
    r"gloo|nccl|coordination|connection (closed|reset)|UNAVAILABLE|ABORTED|DEADLINE_EXCEEDED", re.I
)
# Seconds in which the first process must be found: others may start before it.
PATIENCE = 300.0


@contextlib.contextmanager
def data_parallel(devices: int, processes: int = 1) -> Iterator[None]:
    """Build and train the model inside this to spread each batch over `devices` devices.

    TensorFlow uses ``MirroredStrategy``, JAX ``keras.distribution.DataParallel``.

    Parameters
    ----------
    devices : int
        Of this process.
    processes : int
        That train the model together, each with so many devices and its part of each batch.

    Raises
    ------
    BackendError
        If the backend has no engine that Keras's ``fit`` can drive.
    """
    import keras

    if devices * processes < 2:
        yield
        return
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        names = [d.name for d in tf.config.list_logical_devices(kind)][:devices]
        with tf.distribute.MirroredStrategy(names).scope():
            yield
    elif backend == "jax":
        before = keras.distribution.distribution()
        there = keras.distribution.list_devices()
        parallel = keras.distribution.DataParallel(
            devices=there if processes > 1 else there[:devices], auto_shard_dataset=False
        )
        keras.distribution.set_distribution(parallel)
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)
    else:
        raise BackendError(
            f"several GPUs were asked for, but Keras's fit on {backend!r} uses one; "
            "use --gpu with one number, or --backend jax or tensorflow"
        )


def require_able(backend: str) -> None:
    """Refuse backends on which several processes would train another network than one.

    Raises
    ------
    BackendError
        For all but JAX.
    """
    if backend != "jax":
        raise BackendError(
            f"several processes train one network on JAX alone; the backend is {backend!r}: use "
            "--backend jax, or one process"
        )


def environment_of(place: Place, gpus_are_named: bool) -> dict[str, str]:
    """What one of several processes of one machine is to find in its environment.

    Parameters
    ----------
    place : Place
        Of the process.
    gpus_are_named : bool
        Whether it is told its GPUs, or that it has none; else it has one of those that are there.
    """
    here = {
        "JAX_COORDINATOR_BIND_ADDRESS": place.coordinator,  # nobody else is to come in
        "PJRT_NPROC": str(max(1, cores() // place.count)),  # not all threads on all cores
    }
    if not gpus_are_named:
        here["JAX_CUDA_VISIBLE_DEVICES"] = str(place.number)
    return here


def join(place: Place, patience: float = PATIENCE) -> None:
    """Meet the other processes, before anything is computed here.

    Raises
    ------
    BackendError
        If the backend cannot, something was computed already, or the first process is not found.
    """
    if not place.others:
        return
    import keras

    require_able(keras.config.backend())
    import jax

    _require_reachable(place, patience)
    with contextlib.suppress(AttributeError):  # where there is no choice, it is the only one
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        keras.distribution.initialize(place.coordinator, place.count, place.number)
    except RuntimeError as error:
        raise BackendError(
            f"process {place.number} of {place.count} cannot join the others "
            f"({str(error).splitlines()[0]}); allowed: once, before anything is computed"
        ) from error


def _require_reachable(place: Place, patience: float) -> None:
    """Wait for the first process, or see that it can listen: what joins them would only abort."""
    host, _, port = place.coordinator.rpartition(":")
    host = host.strip("[]")
    deadline = time.monotonic() + patience
    while True:
        try:
            if place.is_first:
                with socket.socket() as own:
                    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    own.bind(("", int(port)))
            else:
                socket.create_connection((host, int(port)), max(1.0, patience)).close()
            return
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            if place.is_first:
                raise BackendError(
                    f"the first process cannot listen at {place.coordinator} ({reason}); allowed: "
                    "a port of this machine that is free"
                ) from error
            if time.monotonic() > deadline:
                raise BackendError(
                    f"the first process is not reached at {place.coordinator} within "
                    f"{patience:.0f} seconds ({reason}); start it there, and let the port through"
                ) from error
        time.sleep(0.2)


def require_same(said: Mapping[str, object]) -> None:
    """Refuse processes that would not train the same.

    Parameters
    ----------
    said : mapping of str to object
        What all must have alike, whose `repr` says all of it, by what it is called.

    Raises
    ------
    SettingsError
        In all processes, if something differs.
    """
    digests = [hashlib.sha256(repr(value).encode()).digest()[:8] for value in said.values()]
    found = _gathered(np.frombuffer(b"".join(digests), np.uint64))
    for number, theirs in enumerate(found):
        for name, one, first in zip(said, theirs, found[0], strict=True):
            if one != first:
                raise SettingsError(
                    f"process {number} has other {name} than process 0; allowed: the same options, "
                    "files and packages for all processes"
                )


def rows_of_all(place: Place, rows: np.ndarray, count: int) -> np.ndarray:
    """The rows of all processes, ``(count, D)``, of which each has made `Place.part_of` them."""
    if not place.others:
        return rows
    longest = -(-count // place.count)
    filled = np.zeros((longest, *rows.shape[1:]), rows.dtype)
    filled[: len(rows)] = rows
    parts = [Place(number, place.count).part_of(count) for number in range(place.count)]
    gathered = _gathered(filled)
    return np.concatenate(
        [found[: part.stop - part.start] for found, part in zip(gathered, parts, strict=True)]
    )


def of_the_first(place: Place, values: np.ndarray) -> np.ndarray:
    """What the first process has: machines may differ in the last digit, decisions must not."""
    return _gathered(values)[0] if place.others else values


def _gathered(values: np.ndarray) -> np.ndarray:
    """The values of all processes, of one shape, as a further first axis."""
    from jax.experimental import multihost_utils

    # Bytes: JAX would shorten what has 64 bits.
    sent = np.frombuffer(values.tobytes(), np.uint8)
    found = np.asarray(multihost_utils.process_allgather(sent))
    return np.frombuffer(found.tobytes(), values.dtype).reshape(-1, *values.shape)


def embedder_here(model: Any) -> Callable[[], Callable[[np.ndarray], np.ndarray]]:
    """A network that is trained by several processes, for this one alone.

    Parameters
    ----------
    model : keras.Model
        With one input and one output.

    Returns
    -------
    callable
        Gives a function from an array to an array that has the weights of this moment.
    """
    import jax

    run = jax.jit(lambda own, batch: model.stateless_call(*own, batch, training=False)[0])

    def with_weights_of_now() -> Callable[[np.ndarray], np.ndarray]:
        own = [
            [np.asarray(variable.value) for variable in part]
            for part in (model.trainable_variables, model.non_trainable_variables)
        ]
        return lambda batch: np.asarray(run(own, batch))

    return with_weights_of_now


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """What Keras makes inside is of this process alone, which others do not wait for.

    To save a model it makes variables, which would be compared with those of all processes.
    """
    import keras

    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


@contextlib.contextmanager
def told_of_losses(place: Place) -> Iterator[None]:
    """What a backend makes of the end of another process becomes one line.

    Raises
    ------
    PeerLost
        If another process has ended.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:  # JAX makes either of it
        if not place.others or not _OF_A_CONNECTION.search(str(error)):
            raise
        raise PeerLost(
            "another process of this training has ended, or its connection has; start all again, "
            "with --resume"
        ) from error
