"""Frozen, validated settings of features, model and training, and the numbers of the family.

Everything outside takes them from here; one file each says what they are.
"""

from kinet.config.family import (
    LEAKY_SLOPE,
    PITCH_AXES,
    PITCH_CLASSES,
    STAGE_COUNTS,
    SUMMARY_DILATION,
    SUMMARY_KERNEL,
    SUMMARY_POOL,
    SUMMARY_REPEATS,
    SUMMARY_STRIDE,
    UNROLLED_ROWS,
)
from kinet.config.features import FeatureConfig
from kinet.config.model import HEADS, POOLINGS, ModelConfig
from kinet.config.training import PRECISIONS, TrainConfig

__all__ = [
    "HEADS",
    "LEAKY_SLOPE",
    "PITCH_AXES",
    "PITCH_CLASSES",
    "POOLINGS",
    "PRECISIONS",
    "STAGE_COUNTS",
    "SUMMARY_DILATION",
    "SUMMARY_KERNEL",
    "SUMMARY_POOL",
    "SUMMARY_REPEATS",
    "SUMMARY_STRIDE",
    "UNROLLED_ROWS",
    "FeatureConfig",
    "ModelConfig",
    "TrainConfig",
]
