"""Where the time of an embedding goes: the steps of the compiled network, from the profiler."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from arithmetic import convolutions
from measuring import Form, made_up_tracks, start
from timing import seconds_of, significant

from kinet.errors import BackendError

TRACKS = 16
# By the start of the names that XLA gives to what TensorFlow asks for. It makes a product of a 1x1
# convolution itself, and of the head; those of transformed convolutions come as products.
KINDS = {
    "products_1x1": ("dot",),
    "products_transformed": ("MatMul", "BatchMatMul"),  # and attention's small ones
    "direct_convolutions": ("convolution", "Conv2D"),
}
OTHER = "passes_over_memory"


def steps(form: Form) -> dict[str, Any]:
    """Milliseconds per track, one at a time, by kind of step; under TensorFlow, on a CPU."""
    if form.backend != "tensorflow":
        raise BackendError(f"steps are traced under tensorflow, not under {form.backend}")
    device = start(form)
    from kinet.embeddings import embed_arrays, fast_embedder
    from kinet.model import build_embedder

    embedder = fast_embedder(build_embedder(form.model))
    track = list(made_up_tracks(1, form.model.vectors))
    embed = partial(embed_arrays, embedder, track, None, 1)
    embed()
    wall, milliseconds = _traced(embed)
    if not milliseconds:
        raise BackendError("the profiler names no steps: nothing of this network goes through XLA")
    return {
        "device": device,
        "milliseconds": significant(1000 * wall / TRACKS),
        "milliseconds_of": {
            kind: significant(milliseconds[kind] / TRACKS) for kind in (*KINDS, OTHER)
        },
        "multiply_adds_1x1": sum(
            found.multiply_adds for found in convolutions(form.model) if found.kernel == (1, 1)
        ),
    }


def _repeated(embed: Callable[[], object]) -> None:
    for _ in range(TRACKS):
        embed()


def _traced(embed: Callable[[], object]) -> tuple[float, Counter[str]]:
    """Seconds of all tracks, and milliseconds by kind of step; none if XLA compiled nothing."""
    import tensorflow as tf

    try:  # no part of TensorFlow's public interface
        from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace
    except ImportError as error:
        raise BackendError(f"this TensorFlow brings no reader of its profiles: {error}") from error

    profile = XSpace()
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        wall, _ = seconds_of(partial(_repeated, embed))
        tf.profiler.experimental.stop()
        for path in Path(folder).rglob("*.xplane.pb"):
            profile.MergeFromString(path.read_bytes())
    total: Counter[str] = Counter()
    for plane in profile.planes:
        for event in (event for line in plane.lines for event in line.events):
            # Only what XLA compiled names its instruction.
            if any(plane.stat_metadata[stat.metadata_id].name == "hlo_op" for stat in event.stats):
                name = plane.event_metadata[event.metadata_id].name
                total[kind_of(name)] += event.duration_ps / 1e9
    return wall, total


def kind_of(name: str) -> str:
    """Which of `KINDS` an instruction of XLA is, by its name."""
    return next((kind for kind, starts in KINDS.items() if name.startswith(starts)), OTHER)
