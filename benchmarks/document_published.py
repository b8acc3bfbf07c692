"""What the makers of engines publish of them, each with its source; nothing is measured here."""

from __future__ import annotations

from tables import table

ABOUT = """\
## What engines publish

Figures of others, as they state them, of other machines and other data: not measured here, and not
to be compared by the digit.
"""
_GITHUB = "https://github.com"
_NEURIPS = "https://papers.nips.cc/paper/2019/hash"
FIGURES = (
    (
        "pgvectorscale",
        "50 million embeddings of 768 numbers (Cohere), PostgreSQL on AWS EC2, recall 99 %, "
        "beside Pinecone's storage-optimized index",
        "95th percentile of latency 28 times lower, 16 times the queries",
        f"[README]({_GITHUB}/timescale/pgvectorscale/blob/main/README.md)",
    ),
    (
        "VectorChord",
        "100 million vectors of 768 numbers on an AWS i4i.xlarge, 4 virtual cores, 32 GB of "
        "memory, the best 10 with a recall of 95 %",
        "35 ms in the median",
        f"[README of 0.1]({_GITHUB}/tensorchord/VectorChord/blob/"
        "0493c8186bba2bc2151f3034e6b2d0b2daf0562b/README.md)",
    ),
    (
        "DiskANN",
        "a billion points (SIFT1B) on one machine of 16 cores with 64 GB of memory and an SSD, "
        "the best one found for more than 95 %",
        "above 5,000 queries a second, below 3 ms in the mean",
        "[S. Jayaram Subramanya et al., NeurIPS 2019]"
        f"({_NEURIPS}/09853c7fb1d3f8ee67a61b6bf4a7f8e6-Abstract.html)",
    ),
    (
        "LanceDB",
        "a million vectors of 960 numbers (GIST1M), an index of 256 partitions and 120 "
        "subvectors, version 0.3.6, on a MacBook Pro with M2 Max",
        "below 20 ms in all settings that were tried",
        "[LanceDB's blog](https://blog.lancedb.com/benchmarking-lancedb-92b01032874a/)",
    ),
)


def published_section() -> str:
    """The table of all of them."""
    return f"{ABOUT}\n{table(['engine', 'measured', 'figure', 'source'], FIGURES)}"
