"""What is left out on some backends, unless KINET_SLOW is set."""

from __future__ import annotations

import os

import keras
import pytest

from kinet.backend import jit_compile

SLOW = bool(os.environ.get("KINET_SLOW"))
# Where every model is compiled for seconds.
QUICK = jit_compile() and not SLOW
# Of several like it one is enough there; the other backends have all.
ONE_OF_MANY = pytest.mark.skipif(QUICK, reason="one like it is compiled; KINET_SLOW=1 has all")
# Processes that take a backend's seconds to start, for what no backend has a part in.
ONCE = pytest.mark.skipif(
    keras.config.backend() != "tensorflow" and not SLOW,
    reason="the same under every backend, tried under TensorFlow; KINET_SLOW=1 has it on all",
)
