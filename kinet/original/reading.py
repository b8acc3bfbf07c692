"""Checkpoints of the original TensorFlow 1.10 code (HDF5): which model, and its weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from kinet.config import PITCH_CLASSES, ModelConfig
from kinet.errors import CheckpointError, SettingsError, first_line
from kinet.hdf5 import READING_ERRORS, checked_arrays

# Layer name in the original, up to its convolution unit -> name of the convolution unit here.
_PARTS = {
    "KI_": ("kernel",),
    "KI_Bottleneck": ("squeeze", "kernel", "expand"),
    "KI_Wider_Bottleneck": ("kernel", "squeeze"),
}
_CONV_BLOCK = re.compile(
    r"(?:(KI_(?:Wider_)?(?:Bottleneck)?)(\d+)(?:_(\d+))?|Temporal_(\d+))_(\w+)"
)
_LAYER_SUFFIX = {
    "Conv": ("conv", ("kernel",)),
    "BN": ("bn", ("gamma", "beta", "moving_mean", "moving_variance")),
}
_HEAD = {
    "Embedding": ("head", ("kernel",)),
    "Embedding_BN": ("head_bn", ("gamma", "beta", "moving_mean", "moving_variance")),
    "Classification": ("logits", ("kernel",)),
}
_ATTENTION = {"ChnlAtt": "channel", "TempAtt": "temporal"}
_WEIGHTS = "model_weights"
_DEFAULT = ModelConfig.original()

Arrays = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class OriginalCheckpoint:
    """What a checkpoint of the original holds.

    Attributes
    ----------
    config : ModelConfig
        The model, read from the names and shapes in the file.
    songs : int
        Number of songs of its classifier; 0 if it has none.
    weights : dict of str to list of ndarray
        For each layer of `kinet.model` its weights in the order of ``layer.weights``.
    """

    config: ModelConfig
    songs: int
    weights: dict[str, list[np.ndarray]]


def read_original(path: str | Path) -> OriginalCheckpoint:
    """Read a checkpoint of the original code; block, S and attention come from the file itself.

    A model of one stage is the same with every block and is called ``simple``.

    Parameters
    ----------
    path : path
        An ``.h5`` file that the original's training wrote, whole model or weights only.

    Returns
    -------
    OriginalCheckpoint

    Raises
    ------
    CheckpointError
        If the file is missing, is not HDF5 or does not hold such a model.
    """
    arrays, settings = _read(Path(path))
    try:
        config = _infer_config(arrays, settings)
        weights = _rename(arrays)
    except (*READING_ERRORS, SettingsError) as error:
        raise CheckpointError(
            f"{path} is HDF5, but not a MulKINet checkpoint of the original code "
            f"({first_line(error)}); expected layers such as KI_0_Conv"
        ) from error
    for name, values in weights.items():
        if not all(np.isfinite(value).all() for value in values):
            raise CheckpointError(f"{path}: layer {name} has weights that are not finite numbers")
    classifier = arrays.get("Classification")
    return OriginalCheckpoint(config, classifier["kernel"].shape[1] if classifier else 0, weights)


def _read(path: Path) -> tuple[Arrays, str]:
    if not path.is_file():
        raise CheckpointError(f"no checkpoint {path}; expected an .h5 file of the original code")
    try:
        with h5py.File(path) as file:
            root = _weights_group(file)
            arrays: Arrays = {}
            for name, array in checked_arrays(root, path.stat().st_size).items():
                layer, weight = name.split("/")[0], name.split("/")[-1].split(":")[0]
                arrays.setdefault(layer, {})[weight] = np.asarray(array, np.float32)
            settings = file.attrs.get("model_config", "")
    except READING_ERRORS as error:
        raise CheckpointError(
            f"{path} is damaged or not an HDF5 file ({first_line(error)}); "
            "expected an .h5 file of the original code"
        ) from error
    return arrays, settings.decode() if isinstance(settings, bytes) else str(settings)


def _weights_group(file: h5py.File) -> h5py.Group:
    """Where the weights are: the file itself, if it holds nothing else."""
    kind = file.get(_WEIGHTS, getlink=True, getclass=True)
    if kind is None:
        return file
    if kind is not h5py.HardLink or not isinstance(file[_WEIGHTS], h5py.Group):
        raise ValueError(f"{_WEIGHTS} is no group in the file itself")
    return file[_WEIGHTS]


def _infer_config(arrays: Arrays, settings: str) -> ModelConfig:
    names = sorted(arrays)
    bottleneck = any(name.startswith("KI_Bottleneck") for name in names)
    wider = any(name.startswith("KI_Wider") for name in names)
    first = "KI_Wider_Bottleneck0_0" if wider else "KI_0"
    kernel = arrays[f"{first}_Conv"]["kernel"]
    stages = PITCH_CLASSES // kernel.shape[0]
    channels = arrays["Temporal_0_Conv"]["kernel"].shape[3]
    found = tuple(
        ours for theirs, ours in _ATTENTION.items() if any(f"_{theirs}_" in name for name in names)
    )
    squeezed = channels // _DEFAULT.bottleneck_ratio
    if bottleneck:
        squeezed = arrays["KI_Bottleneck1_0_Conv"]["kernel"].shape[3]
    elif wider:
        squeezed = arrays["KI_Wider_Bottleneck0_1_Conv"]["kernel"].shape[3]
    vectors = _input_frames(settings)
    if "temporal" in found:
        vectors = arrays[f"{first}_TempAtt_Layer1"]["kernel"].shape[0] + kernel.shape[1] - 1
    return ModelConfig(
        block="wider" if wider else "bottleneck" if bottleneck else "simple",
        stages=stages,
        pitch_axis="unrolled",
        attention=found,
        vectors=vectors,
        channels=channels,
        bottleneck_ratio=channels // squeezed,
        attention_ratio=_attention_ratio(
            weights["kernel"].shape for name, weights in arrays.items() if name.endswith("_Layer1")
        ),
        time_field=kernel.shape[1] * stages,
        embedding_size=arrays["Embedding"]["kernel"].shape[1],
        l2=_penalty(settings),
    )


def _attention_ratio(shapes: Iterable[tuple[int, ...]]) -> int:
    """The one ratio that explains every hidden layer: ``hidden = max(1, length // ratio)``."""
    pairs = set(shapes)
    if not pairs:
        return _DEFAULT.attention_ratio
    for ratio in range(1, max(length for length, _ in pairs) + 1):
        if all(max(1, length // ratio) == hidden for length, hidden in pairs):
            return ratio
    raise ValueError(f"no attention ratio explains hidden layers of {sorted(pairs)}")


def _input_frames(settings: str) -> int:
    if not settings:
        return _DEFAULT.vectors
    layers = json.loads(settings)["config"]["layers"]
    shape = layers[0]["config"]["batch_input_shape"]
    return int(shape[2]) if shape[2] else _DEFAULT.vectors


def _penalty(settings: str) -> float:
    found = re.search(r'"l2": ([0-9.e-]+)', settings)
    # The original stored float32: 9.99999974e-05 means 1e-4.
    return float(f"{float(found.group(1)):.6g}") if found else _DEFAULT.l2


def _rename(arrays: Arrays) -> dict[str, list[np.ndarray]]:
    renamed: dict[str, list[np.ndarray]] = {}
    for name, weights in arrays.items():
        if name in _HEAD:
            ours, order = _HEAD[name]
            renamed[ours] = [weights[weight] for weight in order]
            continue
        match = _CONV_BLOCK.fullmatch(name)
        if not match:
            raise ValueError(f"unknown layer {name}")
        prefix, stage, part, summary, layer = match.groups()
        where = f"summary{summary}" if summary else f"stage{stage}_{_PARTS[prefix][int(part or 0)]}"
        if layer in _LAYER_SUFFIX:
            suffix, order = _LAYER_SUFFIX[layer]
            renamed[f"{where}_{suffix}"] = [weights[weight] for weight in order]
        elif layer.endswith("_Layer1"):
            second = arrays[name.removesuffix("1") + "2"]
            ours = f"{where}_{_ATTENTION[layer.split('_')[0]]}"
            renamed[ours] = [weights["kernel"], second["kernel"]]
    return renamed
