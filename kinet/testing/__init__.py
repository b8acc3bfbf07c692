"""Proofs for authors of plug-ins: does a block, an attention module or a loss keep its promises?

Each check takes the plug-in object, or its registered name, and raises `PluginError` with one line
that says which promise is broken, where, what was received and what was expected. No test runner
is needed.
"""

from kinet.testing.attention import check_attention
from kinet.testing.blocks import check_block
from kinet.testing.losses import check_loss

__all__ = ["check_attention", "check_block", "check_loss"]
