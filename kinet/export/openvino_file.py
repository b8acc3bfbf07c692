"""OpenVINO IR: ``.xml`` and ``.bin``; what it says of itself is in ``rt_info``, under ``kinet``."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from kinet.export import savedmodel_folder, torch_onnx

KEY = "kinet"
# Tracks from which ranges are taken; more change them little.
_CALIBRATION = 64


def write(network: Any, path: Path, description: str, scratch: Path) -> None:
    """Write the network as it is held by the running backend, and what it says of itself."""
    import keras
    import openvino

    if keras.config.backend() == "tensorflow":
        raw = scratch / "savedmodel"
        savedmodel_folder.write_bare(network, raw)
    else:
        raw = scratch / "raw.onnx"
        torch_onnx.write(network, raw)
    model = openvino.convert_model(raw)
    model.outputs[0].get_tensor().set_names({"embedding"})
    model.set_rt_info(description, [KEY])
    # By default weights would be halved in precision, and embeddings off by 1e-3.
    openvino.save_model(model, path, compress_to_fp16=False)


def reduce_precision(path: Path, precision: str, tracks: np.ndarray, scratch: Path) -> None:
    """Write the files again for a precision below float32.

    Parameters
    ----------
    path : pathlib.Path
        The ``.xml``, in float32.
    precision : {"bfloat16", "int8"}
        With bfloat16 the weights are kept in 16 bits, and `load` asks for bfloat16. With int8
        convolutions compute with 8 bits; what turns their summary into an embedding does not.
    tracks : ndarray
        HPCP ``(N, T, 12)`` from which NNCF takes the range of every tensor.
    scratch : pathlib.Path
        A folder for what is in between.
    """
    import openvino

    # Read from a copy: the weights of a model that was read stay in its file until it is saved.
    copies = [scratch / file.name for file in (path, path.with_suffix(".bin"))]
    for copy in copies:
        path.with_suffix(copy.suffix).rename(copy)
    model = openvino.Core().read_model(copies[0])
    if precision == "int8":
        model = _in_8_bits(model, tracks)
    openvino.save_model(model, path, compress_to_fp16=precision == "bfloat16")


def _in_8_bits(model: Any, tracks: np.ndarray) -> Any:
    nncf = importlib.import_module("nncf")
    parameters = importlib.import_module("nncf.quantization.advanced_parameters")
    ranges = importlib.import_module("nncf.quantization.range_estimator")
    chosen = tracks[np.linspace(0, len(tracks) - 1, min(len(tracks), _CALIBRATION)).astype(int)]
    # By default NNCF cuts off what few tracks reach, and those few are embedded worst.
    # Processors without VNNI add pairs of products in 16 bits, which weights of 8 bits overflow:
    # in silence, and embeddings point elsewhere. Weights of 7 bits do not, wherever the file runs.
    whole = nncf.AdvancedQuantizationParameters(
        overflow_fix=parameters.OverflowFix.ENABLE,
        activations_range_estimator_params=ranges.RangeEstimatorParametersSet.MINMAX,
    )
    # Mixed: what follows a leaky ReLU has a sign.
    return nncf.quantize(
        model,
        nncf.Dataset([track[None] for track in chosen]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(chosen),
        ignored_scope=nncf.IgnoredScope(names=_head(model)),
        # NNCF's manual: slower, less memory, in general more accurate.
        fast_bias_correction=False,
        advanced_parameters=whole,
    )


def _head(model: Any) -> list[str]:
    """The last product and what follows it: in 8 bits rows would not be of unit length."""
    operations = model.get_ordered_ops()
    kinds = [operation.get_type_name() for operation in operations]
    last = len(kinds) - 1 - kinds[::-1].index("MatMul")
    return [
        operation.get_friendly_name()
        for operation, kind in zip(operations[last:], kinds[last:], strict=True)
        if kind not in ("Constant", "Convert", "Result")
    ]


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The files as a function from ``(B, T, 12)`` to ``(B, D)``, in the precision they say."""
    import openvino

    # Without a hint the processor takes what it likes best, and float32 may become bfloat16.
    reduced = json.loads(read(path) or "{}").get("precision") == "bfloat16"
    hint = {"INFERENCE_PRECISION_HINT": "bf16" if reduced else "f32"}
    model = openvino.Core().compile_model(path, "CPU", hint)
    return lambda batch: np.array(model([batch])[0])


def read(path: Path) -> str:
    """What the file says of itself; empty if it is not one of kinet's."""
    try:
        entry = ElementTree.parse(path).find(f"rt_info/{KEY}")
    except ElementTree.ParseError:
        return ""
    return "" if entry is None else entry.get("value", "")
