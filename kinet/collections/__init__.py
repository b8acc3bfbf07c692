"""Data sets as they are distributed, to recordings with the ids of their lists."""

from __future__ import annotations

from kinet.collections.collection import Collection, write_coverage
from kinet.collections.covers80 import read_covers80
from kinet.collections.da_tacos import Converted, convert_da_tacos
from kinet.collections.shs100k import read_shs100k

__all__ = [
    "Collection",
    "Converted",
    "convert_da_tacos",
    "read_covers80",
    "read_shs100k",
    "write_coverage",
]
