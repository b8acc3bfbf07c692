"""What the built-in attention modules look at."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kinet.attention import AttentionSettings, registry


@pytest.mark.parametrize("step", [20, 30, 39])
def test_local_attention_weighs_a_step_by_fourteen_on_either_side(step, rng):
    inputs = keras.Input((12, None, 6))
    keras.utils.set_random_seed(0)
    module = registry.get("local").build(inputs, AttentionSettings("local", ratio=2, l2=0.0))
    model = keras.Model(inputs, module)
    x = rng.random((1, 12, 60, 6), np.float32) + 0.5
    louder = x.copy()
    louder[:, :, step] *= 4
    # The factor that each step is weighed by, whatever is in it.
    before, after = ((model.predict_on_batch(part) / part)[0, 0, :, 0] for part in (x, louder))
    changed = np.flatnonzero(np.abs(after - before) > 1e-6)
    # Two kernels of 15 steps reach (15 - 1) / 2 each, twice.
    assert (changed.min(), changed.max()) == (step - 14, step + 14)
