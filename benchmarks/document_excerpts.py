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
    listed = f"The {report['tracks']} tracks of {report['list']}, {report['songs']} songs"
    median, looked_at = (report[name] * second for name in ("median_vectors", "model_vectors"))
    return (
        f"## Excerpts\n\n{listed}, half of them longer than {median:.0f} s, and the model "
        f"`{report['model']}`, which looks at {looked_at:.0f} s. A query is an excerpt from a "
        "random place of its track; the others are whole, or, in the last column, excerpts of the "
        "same length. All are embedded as `kinet.embed` and the commands do it.\n\n"
        + table(["query", "mAP", "hit@1", "mAP among excerpts"], rows)
    )
