"""kinet: find the covers of a song with key-invariant networks."""

from __future__ import annotations
