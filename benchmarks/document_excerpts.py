"""The section on what is found of excerpts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tables import table

from kinet.config import FeatureConfig


def excerpts_section(report: Mapping[str, Any]) -> str:
    """A row for each length, the whole tracks last."""
    second = FeatureConfig().seconds_per_vector
    rows = [
        [
            f"{found['seconds']} s" if found["seconds"] else "whole",
            f"{found['map']:.3f}",
            f"{found['hit1']:.3f}",
            f"{found['map_among_excerpts']:.3f}" if found["seconds"] else "",
        ]
        for found in report["excerpts"]
    ]
    return (
        "## Excerpts\n\n"
        f"The {report['tracks']} tracks of {report['list']}, {report['songs']} songs, half of them "
        f"longer than {report['median_vectors'] * second:.0f} s, and a model that was trained on "
        f"{report['model_vectors'] * second:.0f} s. A query is an excerpt from a random place of "
        "its track; the others are whole, or, in the last column, excerpts of the same length. "
        "What is missing is filled with zeros, as `kinet.embed` and the commands do it.\n\n"
        + table(["query", "mAP", "hit@1", "mAP among excerpts"], rows)
    )
