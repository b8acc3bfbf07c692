"""The same function with less to compute: the form of an embedder that embeds long lists.

`fast_form` is all that most need. What it is made of stands in `simplified`, which suits every
compiler and is what exported files hold, and in `steps`, which depend on where the network runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np

    Step = Callable[[keras.Model], keras.Model]


def simplified(model: keras.Model) -> keras.Model:
    """The embedder on 12 rows, where its function stays the same, without batch normalisation.

    Parameters
    ----------
    model : keras.Model
        An embedder, as `kinet.build` and `kinet.load` give it; it is left as it is.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, D)``: those of `model` up to rounding.

    Examples
    --------
    >>> import kinet
    >>> model = kinet.build("simple", 2, channels=4, attention=(), pitch_axis="unrolled")
    >>> [form.layers[1].rows for form in (model, simplified(model))]
    [23, 12]
    """
    for step in _simplifying().values():
        model = step(model)
    return model


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

    found = _simplifying()
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


def _simplifying() -> dict[str, Step]:
    from kinet.inference.folding import with_folded_normalisation
    from kinet.inference.twelve_rows import with_twelve_rows

    return {"12 rows": with_twelve_rows, "folding": with_folded_normalisation}
