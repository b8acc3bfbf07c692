"""Lists, features on disk, and batches: tracks in, ``(B, T, 12)`` out."""
