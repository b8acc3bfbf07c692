"""Data sets as they are distributed, to recordings with the ids of their lists."""

from __future__ import annotations

from kinet.datasets.covers80 import read_covers80
from kinet.datasets.da_tacos import Converted, convert_da_tacos
from kinet.datasets.dataset import Dataset, write_coverage
from kinet.datasets.shs100k import read_shs100k

__all__ = [
    "Converted",
    "Dataset",
    "convert_da_tacos",
    "read_covers80",
    "read_shs100k",
    "write_coverage",
]
