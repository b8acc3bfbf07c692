"""The contract over everything registered: every block, S, pitch axis, attention and loss."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from quick import QUICK, SLOW

from kinet import attention, blocks, losses
from kinet.config import PITCH_AXES, STAGE_COUNTS, ModelConfig
from kinet.testing import check_attention, check_block, check_loss
from kinet.testing.probes import run

# JAX compiles each model for several seconds, its training step for more. Unless KINET_SLOW is set,
# it runs the S that have every kind of stage, and of the others builds the graphs.
RUN = (1, 2) if QUICK else STAGE_COUNTS
TRAINED = (2,) if QUICK else STAGE_COUNTS
ATTENDED = (2,) if QUICK else STAGE_COUNTS
# Graphs are the same under every backend.
BUILT = STAGE_COUNTS if SLOW or keras.config.backend() == "tensorflow" else (2, 12)
SETTINGS = [("channel",), ("temporal",), ("channel", "temporal"), ("channel", "local")]
SIZES = {
    "channels": 4,
    "bottleneck_ratio": 2,
    "time_field": 12,
    "vectors": 99,
    "embedding_size": 8,
}


@pytest.mark.parametrize("stages", RUN)
@pytest.mark.parametrize("name", blocks.registry.names())
def test_every_block_keeps_its_promises(name, stages):
    # The weights are the same on both pitch axes: one step trains them all.
    first, *others = PITCH_AXES
    check_block(name, [stages], [first], gradients=stages in TRAINED)
    check_block(name, [stages], others, gradients=False)


@pytest.mark.parametrize("name", attention.registry.names())
def test_every_attention_module_keeps_its_promises(name):
    check_attention(name, [2], PITCH_AXES[-1:] if QUICK else PITCH_AXES)


@pytest.mark.parametrize("name", losses.registry.names())
def test_every_loss_keeps_its_promises(name):
    check_loss(name)


def expected_convolutions(block: str, stages: int) -> int:
    """From the original's description; plug-ins are not in it."""
    return {"simple": stages, "bottleneck": 3 * stages - 2, "wider": 2 * stages - 1}[block]


@pytest.mark.parametrize("modules", SETTINGS, ids="+".join)
@pytest.mark.parametrize("stages", BUILT)
@pytest.mark.parametrize("name", blocks.registry.names())
def test_every_block_with_every_attention(name, stages, modules, rng):
    from kinet.model import build_embedder

    # Either axis in turn: attention is on both the same layer.
    axis = PITCH_AXES[(STAGE_COUNTS.index(stages) + SETTINGS.index(modules)) % 2]
    config = ModelConfig(block=name, stages=stages, attention=modules, pitch_axis=axis, **SIZES)
    model = build_embedder(config)
    tied = "temporal" in modules
    assert model.input_shape == (None, 99 if tied else None, 12)
    assert model.output_shape == (None, 8)
    names = {layer.name for layer in model.layers}
    attended = {n.removesuffix("_channel") for n in names if n.endswith("_channel")}
    if "channel" in modules:
        assert {"stage0_kernel", "summary0", "summary1"} <= attended
        assert not any(n.endswith(("_squeeze", "_expand")) for n in attended)
    if name in ("simple", "bottleneck", "wider"):
        convolutions = [la for la in model.layers if isinstance(la, keras.layers.Conv2D)]
        assert len(convolutions) == expected_convolutions(name, stages) + 2
        sites = stages + 2  # the stage's kernel in every stage, and the summary
        assert sum(n.endswith(f"_{modules[0]}") for n in names) == sites
    if stages in ATTENDED:
        rows = run(model, rng.random((2, 99, 12), np.float32))
        # No more: untrained, a deep model can be too quiet for its rows to be normalised.
        norms = np.linalg.norm(rows, axis=1)
        assert ((norms > 0) & (norms < 1 + 1e-5)).all()


@pytest.mark.parametrize("stages", STAGE_COUNTS)
def test_the_kernels_of_the_model_are_those_of_the_reference(stages):
    from kinet.model import build_embedder

    config = ModelConfig(block="simple", stages=stages, attention=(), channels=4, vectors=135)
    model = build_embedder(config)
    for index in range(stages):
        later = index > 0
        rows, columns, *_ = model.get_layer(f"stage{index}_kernel_conv").kernel.shape
        assert (rows, columns) == (12 // stages + later, 48 // stages + later)
    # Together: 12 rows and 48 columns, of which 12 rows are left out of 23.
    assert model.get_layer("key_pool").input.shape[1] == 12


@pytest.mark.parametrize("name", ["simple", "wider"])
def test_both_pitch_axes_compute_the_same_without_attention(name, rng):
    from kinet.model import build_embedder

    hpcp = rng.random((2, 99, 12), np.float32)
    unrolled, circular = (
        build_embedder(ModelConfig(block=name, stages=3, attention=(), pitch_axis=axis, **SIZES))
        for axis in PITCH_AXES
    )
    circular.set_weights(unrolled.get_weights())
    rows = [run(model, hpcp) for model in (unrolled, circular)]
    np.testing.assert_allclose(rows[1], rows[0], atol=1e-5)


def test_with_one_stage_attention_keeps_the_invariance_on_the_unrolled_axis(rng):
    from kinet.model import build_embedder

    config = ModelConfig(block="simple", stages=1, attention=("channel", "temporal"), **SIZES)
    model = build_embedder(config)
    hpcp = rng.random((2, 99, 12), np.float32)
    hpcp[1] = np.roll(hpcp[0], 5, axis=1)
    rows = run(model, hpcp)
    np.testing.assert_allclose(rows[1], rows[0], atol=1e-5)
