"""What is left out where every model is compiled for seconds, unless KINET_SLOW is set."""

from __future__ import annotations

import os

import pytest

from kinet.backend import jit_compile

QUICK = jit_compile() and not os.environ.get("KINET_SLOW")
# Of several like it one is enough there; the other backends have all.
ONE_OF_MANY = pytest.mark.skipif(QUICK, reason="one like it is compiled; KINET_SLOW=1 has all")
