"""The dilated block: a stage's kernel out of two that are smaller.

After F. Yu and V. Koltun, "Multi-scale context aggregation by dilated convolutions", ICLR 2016.
"""

from __future__ import annotations

from typing import Any

from kinet.blocks import Block, Stage


def split_columns(columns: int) -> tuple[int, int, int]:
    """Split a kernel of `columns` into a dense and a dilated one that see as far.

    Parameters
    ----------
    columns : int
        Columns of the whole kernel, at least 1.

    Returns
    -------
    dense, dilated, dilation : int
        With ``(dense - 1) + (dilated - 1) * dilation == columns - 1`` and ``dilation <= dense``,
        so that no column is left out; of all such, the one with the least ``dense + dilated``.

    Examples
    --------
    >>> split_columns(48)
    (8, 6, 8)
    """
    choices = [
        (dense, 1 + (columns - dense) // dilation, dilation)
        for dense in range(1, columns + 1)
        for dilation in range(1, dense + 1)
        if (columns - dense) % dilation == 0
    ]
    return min(choices, key=lambda choice: choice[0] + choice[1])


def build(x: Any, stage: Stage) -> Any:
    """All rows and the dense columns first, then the dilated columns; attended both times."""
    rows, columns = stage.kernel
    dense, dilated, dilation = split_columns(columns)
    x = stage.conv(x, kernel=(rows, dense), part="dense")
    if dilated == 1:
        return x
    return stage.conv(x, kernel=(1, dilated), dilation=(1, dilation), part="dilated")


block = Block(
    name="dilated",
    description="the stage's kernel out of a dense and a dilated one: as wide, fewer weights",
    build=build,
)
