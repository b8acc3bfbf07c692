"""OpenVINO IR: ``.xml`` and ``.bin``; what it says of itself is in ``rt_info``, under ``kinet``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from kinet.export import savedmodel_folder, torch_onnx
from kinet.export.network import Network

KEY = "kinet"


def write(network: Network, path: Path, description: str, scratch: Path) -> None:
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


def run(path: Path, batches: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Embed batches ``(B, T, 12)`` with the files, in float32 whatever the processor prefers."""
    import openvino

    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [np.array(model([batch])[0]) for batch in batches]


def read(path: Path) -> str:
    """What the file says of itself; empty if it is not one of kinet's."""
    try:
        entry = ElementTree.parse(path).find(f"rt_info/{KEY}")
    except ElementTree.ParseError:
        return ""
    return "" if entry is None else entry.get("value", "")
