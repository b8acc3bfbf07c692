"""Squeeze-and-excitation: channels weighed by their average.

After J. Hu, L. Shen and G. Sun, "Squeeze-and-excitation networks", CVPR 2018.
"""

from __future__ import annotations

from typing import Any

from kinet.attention import Attention, AttentionSettings


def build(x: Any, settings: AttentionSettings) -> Any:
    """Weigh channels by their average over pitch and time."""
    # Imported here, so that `kinet plugins` does not wait for Keras.
    from kinet_plugin_dilated.layers import SqueezeExcite

    return SqueezeExcite(settings.ratio, settings.l2, name=settings.name)(x)


attention = Attention(
    name="squeeze-excite",
    description="squeeze-and-excitation: channels weighed by their average",
    build=build,
)
