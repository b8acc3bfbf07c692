"""The dilated block: a stage's kernel out of two that are smaller.

After F. Yu and V. Koltun, "Multi-scale context aggregation by dilated convolutions", ICLR 2016; the
dilated one is separable, after F. Chollet, "Xception: deep learning with depthwise separable
convolutions", CVPR 2017.
"""

from __future__ import annotations

from typing import Any

from kinet.blocks import Block, Stage


def split_columns(columns: int, largest: int = 48) -> tuple[int, int, int]:
    """Split a kernel of `columns` into a dense and a dilated one that see as far.

    Parameters
    ----------
    columns : int
        Columns of the whole kernel, at least 1.
    largest : int
        The largest dilation, at least 1.

    Returns
    -------
    dense, dilated, dilation : int
        With ``(dense - 1) + (dilated - 1) * dilation == columns - 1`` and ``dilation <= dense``,
        so that no column is left out; of all such, the one with the least ``dense + dilated``.

    Examples
    --------
    >>> split_columns(48)
    (8, 6, 8)
    >>> split_columns(48, largest=4)
    (12, 10, 4)
    """
    choices = [
        (dense, 1 + (columns - dense) // dilation, dilation)
        for dense in range(1, columns + 1)
        for dilation in range(1, min(dense, largest) + 1)
        if (columns - dense) % dilation == 0
    ]
    return min(choices, key=lambda choice: choice[0] + choice[1])


def build(x: Any, stage: Stage, largest_dilation: int) -> Any:
    """All rows and the dense columns first, then the dilated columns; attended both times."""
    # Imported here, so that `kinet plugins` does not wait for Keras.
    import keras

    rows, columns = stage.kernel
    dense, dilated, dilation = split_columns(columns, largest_dilation)
    x = stage.conv(x, kernel=(rows, dense), part="dense")
    if dilated == 1:
        return x
    # A layer that `Stage` does not make: it has the stage's name and penalty, and is finished
    # like the others. It takes no rows away, so there is nothing to wrap.
    x = keras.layers.SeparableConv2D(
        stage.channels,
        (1, dilated),
        dilation_rate=(1, dilation),
        use_bias=False,
        depthwise_regularizer=keras.regularizers.L2(stage.l2),
        pointwise_regularizer=keras.regularizers.L2(stage.l2),
        data_format="channels_last",
        name=stage.name("dilated"),
    )(x)
    return stage.finish(x, part="dilated")


block = Block(
    name="dilated",
    description="the stage's kernel out of a dense and a dilated one: as wide, fewer weights",
    build=build,
    defaults={"largest_dilation": 48},
)
