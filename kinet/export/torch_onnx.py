"""The way to ONNX, and from there to OpenVINO, without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kinet.config import PITCH_CLASSES
from kinet.export.network import Network


def write(network: Network, path: Path) -> None:
    """Write the network with PyTorch's own exporter; it must hold the model."""
    import torch

    class Embedder(torch.nn.Module):
        """Keras takes any number of arguments; the exporter wants them named."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, hpcp: Any) -> Any:
            return self.model(hpcp)

    axes = {0: torch.export.Dim("batch")}
    if network.fixed_vectors is None:
        axes[1] = torch.export.Dim("T", min=network.minimum_vectors)
    # Neither 1 nor a size that stands elsewhere in the network: the exporter would take such an
    # axis for a constant.
    sample = torch.rand(2, network.vectors, PITCH_CLASSES)
    with torch.no_grad():
        torch.onnx.export(
            Embedder(network.model).eval(),
            (sample,),
            str(path),
            input_names=["hpcp"],
            output_names=["embedding"],
            dynamic_shapes=(axes,),
            dynamo=True,
            verbose=False,
        )
