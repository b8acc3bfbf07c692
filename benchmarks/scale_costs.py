"""What a recording costs in a library: seconds of the processor and bytes, of made-up tracks."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from index_growth import played

from kinet.embeddings import as_embedder
from kinet.library import Library
from kinet.library.cache import take_snapshot
from kinet.library.models import find_model
from kinet.library.pieces import HOP, PIECE, embed_pieces

QUERIES = 10


def spent(step: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the processor, of all threads, and what the step gives."""
    before = time.process_time()
    result = step()
    return time.process_time() - before, result


def measured(tracks: int, model: str) -> dict[str, Any]:
    """A library of versions in pairs: embedded, added, searched and grouped."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{n // 2}_{n % 2}.npy") for n in range(tracks)]
        vectors = 0
        for number, path in enumerate(paths):
            hpcp = played(*divmod(number, 2))
            vectors = len(hpcp)
            np.save(path, hpcp)
        embedding, pieces = _embedding([np.load(path) for path in paths], model)
        with Library.create(Path(folder, "library"), model) as library:
            library.add(paths[:2], workers=1)  # what is compiled is compiled once
            library.compact()
            before = library.info().bytes
            adding, _ = spent(lambda: library.add(paths[2:], workers=1))
            library.compact()
            grown = (library.info().bytes - before) / (tracks - 2)
            finding, _ = spent(lambda: library.find(paths[:QUERIES], workers=1))
            pairs: list[int] = []
            grouping, _ = spent(lambda: library.duplicates(progress=lambda _, n: pairs.append(n)))
            held = _held(library)
            size = library.info().size
    return {
        "tracks": tracks,
        "vectors": vectors,
        "minutes": round(vectors * 20480 / 44100 / 60, 2),
        "model": model,
        "size": size,
        "pieces_of_a_track": round(pieces, 2),
        "seconds_to_embed_a_track": float(f"{embedding:.3g}"),
        # Of which embedding is a part.
        "seconds_to_add_a_track": float(f"{adding / (tracks - 2):.3g}"),
        "bytes_on_disk_of_a_track": round(grown),
        "bytes_in_memory_of_a_track": round(held / tracks),
        "seconds_to_find_a_known_track": float(f"{finding / QUERIES:.3g}"),
        "pairs_aligned": pairs[-1],
        "seconds_to_group_a_pair": float(f"{grouping / pairs[-1]:.3g}"),
    }


def _embedding(tracks: list[np.ndarray], model: str) -> tuple[float, float]:
    """Seconds and pieces of a track."""
    network = as_embedder(find_model(model).load())
    embed_pieces(network, tracks[0], PIECE, HOP)
    seconds, rows = spent(lambda: [embed_pieces(network, hpcp, PIECE, HOP) for hpcp in tracks])
    return seconds / len(tracks), sum(map(len, rows)) / len(tracks)


def _held(library: Library) -> int:
    """Bytes of what a search has in memory of all recordings."""
    with library._store.reading():
        snapshot = take_snapshot(library._store)
    names = ("vectors", "starts", "numbers", "hashes", "hubs", "copies")
    return sum(getattr(snapshot, name).nbytes for name in names)
