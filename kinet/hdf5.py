"""The arrays of an HDF5 file that somebody else wrote: they lie in it, and as they say they do.

HDF5 can also point at other files (external links, external storage, virtual data sets), claim
any shape without a byte behind it, and unpack a thousand times its size. None of this is read.
"""

from __future__ import annotations

import math

import h5py

# Keras and the original nest at most 8 deep; a group that holds itself has no end.
MAXIMUM_DEPTH = 16
# The largest model of the family, S = 12 with two attention modules, has about 900 in its file.
MAXIMUM_ITEMS = 20_000
# Everything that damaged HDF5 makes h5py raise.
READING_ERRORS = (OSError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError,
                  AttributeError, MemoryError, EOFError)  # fmt: skip


def checked_arrays(group: h5py.Group, size: int) -> dict[str, h5py.Dataset]:
    """All arrays below `group` by their path, none of them read yet.

    Parameters
    ----------
    group : h5py.Group
        An open file, or a group of it.
    size : int
        Bytes of the file, which the arrays together cannot exceed.

    Returns
    -------
    dict of str to h5py.Dataset

    Raises
    ------
    ValueError
        If there is anything but groups and plain arrays of numbers, or they claim more bytes
        than there are.
    """
    found: dict[str, h5py.Dataset] = {}
    waiting = [("", group, 1)]
    seen = 0
    while waiting:
        prefix, parent, depth = waiting.pop()
        for name in parent:
            path = f"{prefix}{name}"
            seen += 1
            if seen > MAXIMUM_ITEMS or depth > MAXIMUM_DEPTH:
                raise ValueError(
                    f"it holds more than {MAXIMUM_ITEMS} items or nests them more than "
                    f"{MAXIMUM_DEPTH} deep"
                )
            item = _hard_linked(parent, name, path)
            if isinstance(item, h5py.Group):
                waiting.append((f"{path}/", item, depth + 1))
            else:
                found[path] = _plain(item, path)
    claimed = sum(array.nbytes for array in found.values())
    if claimed > size:
        raise ValueError(f"its arrays claim {claimed} bytes, the file has {size}")
    return found


def _hard_linked(parent: h5py.Group, name: str, path: str) -> h5py.Group | h5py.Dataset:
    kind = parent.get(name, getlink=True, getclass=True)
    if kind is not h5py.HardLink:
        raise ValueError(f"{path} is a {kind.__name__}; allowed: arrays in the file itself")
    return parent[name]


def _plain(item: object, path: str) -> h5py.Dataset:
    """`item`, if it is an array of numbers as it lies in the file, every byte of it."""
    if not isinstance(item, h5py.Dataset):
        raise ValueError(f"{path} is a {type(item).__name__}; allowed: groups and arrays")
    if item.external or item.is_virtual:
        raise ValueError(f"{path} lies in another file; allowed: arrays in the file itself")
    if item.chunks is not None:
        raise ValueError(
            f"{path} is in chunks; allowed: contiguous arrays, as "
            "h5repack --layout=CONTI --filter=NONE writes them"
        )
    if item.shape is None or item.dtype.kind not in "fiu" or not all(item.shape):
        raise ValueError(f"{path} is {item.dtype} of shape {item.shape}; allowed: numbers")
    bytes_claimed = math.prod(item.shape) * item.dtype.itemsize
    if item.id.get_storage_size() != bytes_claimed:
        raise ValueError(
            f"{path} claims {bytes_claimed} bytes and has {item.id.get_storage_size()}"
        )
    return item
