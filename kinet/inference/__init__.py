"""The same function with less to compute: the form of an embedder that embeds long lists.

`fast_form` is all that most need. What it is made of stands in `steps`, which depend on where the
network runs; exported files hold the first of them, which suits every compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np

    Step = Callable[[keras.Model], keras.Model]


def steps() -> Mapping[str, Step]:
    """The rewritings that pay on the running backend and its device, by name, in their order.

    Returns
    -------
    mapping of str to callable
        Each from an embedder to the same embedder with less to compute.
    """
    from kinet.backend import can_fuse, on_cpu
    from kinet.inference.convolutions import with_fast_convolutions
    from kinet.inference.joined_attention import with_joined_attention
    from kinet.inference.twelve_rows import with_twelve_rows

    found = {"12 rows": with_twelve_rows}
    if on_cpu() and can_fuse():  # elsewhere transforms do not pay
        found["transformed convolutions"] = with_fast_convolutions
    return {**found, "joined attention": with_joined_attention}


def fast_form(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """The embedder with all `steps`, compiled: to embed many tracks with weights that stay.

    Making it takes seconds, as does the first batch of every shape; for a few tracks the network
    itself will do.

    Parameters
    ----------
    model : keras.Model
        An embedder; it is left as it is. What is trained later does not reach the result.

    Returns
    -------
    callable
        From HPCP ``(B, T, 12)`` float32 to unit rows ``(B, D)``: those of `model` up to rounding.

    Examples
    --------
    >>> import kinet
    >>> import numpy as np
    >>> embed = fast_form(kinet.build("simple", 1, channels=8, attention=(), embedding_size=16))
    >>> embed(np.ones((2, 400, 12), np.float32)).shape
    (2, 16)
    """
    from kinet.backend import on_cpu
    from kinet.inference.running import compiled, in_pieces, piece_size

    for step in steps().values():
        model = step(model)
    run = compiled(model)
    return in_pieces(run, piece_size(model)) if on_cpu() else run
