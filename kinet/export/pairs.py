"""OpenVINO's two files replaced so that at every moment they are the old ones or the new ones.

The system replaces one file in one step, not two. But the ``.xml`` says where in the ``.bin``
each weight begins. So the ``.bin`` first gets the new weights behind the old ones, then comes an
``.xml`` that looks for them there; then the weights move to the front, and the ``.xml`` follows.
Whatever is there between two steps is whole.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from xml.etree import ElementTree

# Where a weight begins is a multiple of this.
_ALIGNMENT = 64


def replace_pair(new: tuple[Path, Path], old: tuple[Path, Path]) -> None:
    """Give the new ``.bin`` and ``.xml`` the names of the old ones, which are there.

    Parameters
    ----------
    new, old : (pathlib.Path, pathlib.Path)
        The ``.bin`` and the ``.xml``. Files in between, four times the weights, lie beside the
        new ones, on the same file system as the old.

    Raises
    ------
    OSError
        If the system refuses; what has the old names is then the old pair or the new one.
    """
    (new_bin, new_xml), (old_bin, old_xml) = new, old
    longest = max(new_bin.stat().st_size, old_bin.stat().st_size)
    shift = -(-longest // _ALIGNMENT) * _ALIGNMENT
    behind, twice, shifted = (
        new_bin.with_name(f"{new_bin.name}.{name}") for name in ("behind", "twice", "shifted")
    )
    _join(old_bin, new_bin, shift, behind)
    _join(new_bin, new_bin, shift, twice)
    _shift(new_xml, shift, shifted)
    steps = [(behind, old_bin), (shifted, old_xml), (twice, old_bin)]
    steps += [(new_xml, old_xml), (new_bin, old_bin)]
    for source, target in steps:
        os.replace(source, target)


def _join(first: Path, second: Path, shift: int, target: Path) -> None:
    """`first`, and `second` from `shift` on."""
    with target.open("xb") as joined:
        for source, place in ((first, 0), (second, shift)):
            joined.seek(place)
            with source.open("rb") as file:
                shutil.copyfileobj(file, joined)
        joined.flush()
        os.fsync(joined.fileno())


def _shift(xml: Path, shift: int, target: Path) -> None:
    """The same network with its weights `shift` bytes further on."""
    tree = ElementTree.parse(xml)
    for layer in tree.iterfind("layers/layer[@type='Const']/data"):
        layer.set("offset", str(int(layer.get("offset", "0")) + shift))
    with target.open("xb") as file:
        tree.write(file, encoding="utf-8", xml_declaration=True)
        file.flush()
        os.fsync(file.fileno())
