"""Calls in Python that make no sense: ``python tests/bad_python_calls.py FIRST COUNT``.

As `bad_calls`, of functions: arguments have the types that they should have, and values that are
wrong. Each call gives something, or raises an error of kinet's, in one line, which names no secret.
"""

from __future__ import annotations

import inspect
import json
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bad_calls import contents, fault_of_libraries, lost, watched, without_waiting
from bad_values import (
    CLUSTERS,
    FILES,
    LIBRARIES,
    MODELS,
    NEAR,
    PLACES,
    RECORDINGS,
    WILD,
    furnished_once,
    in_furnished_folder,
)

import kinet
from kinet.address import place_of
from kinet.cluster import Cluster
from kinet.config import FeatureConfig, ModelConfig, TrainConfig
from kinet.errors import KinetError
from kinet.library import Library, Shards
from kinet.losses.objective import Objective, losses_of

NUMBERS = (0, 1, 2, -1, 0.5, 1.5, 10**20, -(10**20), 1e300, float("nan"), float("inf"), -0.0, True)
COUNTS = (0, 1, 2, 3, -1, 10**20)


def _arrays() -> list[Any]:
    whole = np.random.default_rng(0).random((60, 12)).astype(np.float32)
    spoilt = whole.copy()
    spoilt[3, 3] = np.nan
    return [
        *(whole, spoilt, whole.T, whole[:5], whole[:0], whole[0], whole[None], whole - 2),
        *(np.zeros((60, 12)), np.full((60, 12), 1e300), np.full((60, 12), np.inf), np.array(3.0)),
        *(whole.astype(complex), whole.astype(str), whole.astype(object), np.array([None] * 12)),
        *([], [[1, 2], [3]], [["a"] * 12] * 9, whole.tolist(), np.ones((3, 12), bool), "abc"),
    ]


ARRAYS = _arrays()
LABELS = (["a", "a", "b"], ["a"] * 60, list(range(60)), [], "ab" * 30, [None] * 60, [0, 0, 1] * 20)


def _of(*values: Any) -> Callable[[np.random.Generator], Any]:
    return lambda rng: values[int(rng.integers(len(values)))]


def _mostly(near: tuple[str, ...]) -> Callable[[np.random.Generator], str]:
    """What is near to what is wanted, or a file, or a wild text; sometimes as a path."""

    def draw(rng: np.random.Generator) -> Any:
        chance = rng.random()
        text = _of(*(near if chance < 0.7 else FILES if chance < 0.85 else WILD))(rng)
        return Path(text) if rng.random() < 0.2 and "\0" not in text else text

    return draw


def _some(draw: Callable[[np.random.Generator], Any]) -> Callable[[np.random.Generator], Any]:
    """One value, alone or in a list, or several."""

    def drawn(rng: np.random.Generator) -> Any:
        if rng.random() < 0.4:
            return draw(rng)
        return [draw(rng) for _ in range(int(rng.integers(4)))]

    return drawn


RECORDING, PLACE = _mostly(RECORDINGS), _mostly(PLACES)
MODEL = _mostly(MODELS)
KINDS: dict[str, Callable[[np.random.Generator], Any]] = {
    "queries": _some(RECORDING),
    "inputs": _some(RECORDING),
    "paths": _some(RECORDING),
    "path": RECORDING,
    "where": _some(PLACE),
    "place": PLACE,
    "places": _some(PLACE),
    "others": _some(PLACE),
    "model": MODEL,
    "list_file": _mostly(("list", "empty", "songs.csv")),
    "data_dir": _mostly(("features", "folder", "a_1.npy")),
    "top": _of(*COUNTS),
    "aligned": _of(*COUNTS, None),
    "workers": _of(1, 0, -1),
    "threshold": _of(*NUMBERS),
    "a": _of(*ARRAYS),
    "b": _of(*ARRAYS),
    "embeddings": _of(*ARRAYS),
    "labels": _of(*LABELS),
    "protocol": _of("standard", "original", "", "Standard"),
    "chunk": _of(*COUNTS),
    "address": _of(*CLUSTERS, *WILD),
    "text": _of(*NEAR["loss"], *WILD),
    "allow_missing": _of(True, False),
    "approximate": _of(True, False),
}


def _of_library(name: str) -> Callable[..., Any]:
    """A method of `Library`, of the first of the libraries that are there."""

    def method(**arguments: Any) -> Any:
        with Library.open(LIBRARIES[0]) as library:
            return getattr(library, name)(**arguments)

    method.__signature__ = _without_self(getattr(Library, name))  # type: ignore[attr-defined]
    return method


def _without_self(function: Callable[..., Any]) -> inspect.Signature:
    signature = inspect.signature(function)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def search_shards(places: Any, queries: Any, top: int, threshold: float) -> Any:
    with Shards(places) as shards:
        return shards.find(queries, top, threshold, workers=1)


def open_library(place: Any, model: Any) -> None:
    Library.open(place, model).close()


def create_library(place: Any, model: Any) -> None:
    Library.create(place, model).close()


def read_tracks(list_file: Any, data_dir: Any) -> Any:
    return [track.read() for track in kinet.read_tracks(list_file, data_dir)]


def settings(kind: type) -> Callable[[np.random.Generator], Any]:
    """A settings class with some fields that are drawn."""

    def draw(rng: np.random.Generator) -> Any:
        names = list(kind.__dataclass_fields__)
        chosen = rng.choice(names, int(rng.integers(1, 4)), replace=False).tolist()
        values = [*NUMBERS, *WILD[:8], "supcon", {"supcon": 1, "softmax": -1}, {}, (), None, ["a"]]
        return kind.from_dict({name: _of(*values)(rng) for name in chosen})

    return draw


def _objective(text: str) -> Any:
    return Objective.of(TrainConfig(loss=losses_of(text)))


FUNCTIONS: tuple[Callable[..., Any], ...] = (
    *(kinet.find, search_shards, open_library, create_library, read_tracks, place_of, _objective),
    *(kinet.extract, kinet.align, kinet.evaluate, kinet.load, Cluster),
    *map(_of_library, ("add", "remove", "find", "duplicates", "merge", "keep_only")),
)
SETTINGS = tuple(map(settings, (ModelConfig, TrainConfig, FeatureConfig)))


def call(rng: np.random.Generator) -> tuple[str, Callable[[], Any]]:
    """What is to be said of a call, and the call."""
    chosen = int(rng.integers(len(FUNCTIONS) + len(SETTINGS)))
    if chosen >= len(FUNCTIONS):
        return "settings", lambda: SETTINGS[chosen - len(FUNCTIONS)](rng)
    function = FUNCTIONS[chosen]
    arguments = {}
    for name, parameter in inspect.signature(function).parameters.items():
        named = "place" if function is place_of else "folder" if name == "folder" else name
        if named in KINDS and (parameter.default is parameter.empty or rng.random() < 0.5):
            arguments[name] = KINDS[named](rng)
        elif named == "folder":
            arguments[name] = PLACE(rng)
    said = f"{getattr(function, '__qualname__', function)}({arguments!r})"
    return said, lambda: function(**arguments)


def fault_of(work: Callable[[], Any], folder: Path, ends: Counter[str]) -> str:
    """Make the call; what was not as it must be, else nothing."""
    before = contents(folder)

    def outcome() -> str:
        try:
            work()
        except KinetError as error:
            return str(error)
        return ""

    said, fault = watched(outcome)
    if fault:
        return fault
    ends["refused" if said else "done"] += 1
    if "\n" in str(said) or len(str(said)) > 3000:
        return f"not one line: {said!r}"
    if "secret" in str(said):
        return f"it tells a password: {said!r}"
    if lost(before, contents(folder)):
        return "it changed a file"
    return fault_of_libraries(folder)


def main(first: int, count: int) -> dict[str, object]:
    """How often calls gave something and how often they were refused, and faults."""
    without_waiting()
    warnings.simplefilter("ignore")
    ends: Counter[str] = Counter()
    faults = []
    for seed in range(first, first + count):
        said, work = call(np.random.default_rng(seed))
        with in_furnished_folder() as folder:
            fault = fault_of(work, folder, ends)
        if fault:
            faults.append({"seed": seed, "call": said, "fault": fault})
    shutil.rmtree(furnished_once())
    return {"ends": dict(ends), "faults": faults}


if __name__ == "__main__":
    json.dump(main(int(sys.argv[1]), int(sys.argv[2])), sys.stdout)
