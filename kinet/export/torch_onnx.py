"""The way to ONNX, and from there to OpenVINO, without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kinet.config import PITCH_CLASSES
from kinet.embeddings import as_embedder


def write(network: Any, path: Path) -> None:
    """Write the network with PyTorch's own exporter; it must hold the model."""
    import torch

    class Named(torch.nn.Module):
        """Keras takes any number of arguments; the exporter wants them named."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, hpcp: Any) -> Any:
            return self.model(hpcp)

    embedder = as_embedder(network)
    axes = {0: torch.export.Dim("batch")}
    if embedder.fixed_vectors is None:
        axes[1] = torch.export.Dim("T", min=embedder.minimum_vectors)
    # Neither 1 nor a size that stands elsewhere in the network: the exporter would take such an
    # axis for a constant.
    sample = torch.rand(2, embedder.vectors, PITCH_CLASSES)
    with torch.no_grad():
        torch.onnx.export(
            Named(network).eval(),
            (sample,),
            str(path),
            input_names=["hpcp"],
            output_names=["embedding"],
            dynamic_shapes=(axes,),
            dynamo=True,
            verbose=False,
        )
