"""Checkpoints of the original TensorFlow 1.10 code: read, and converted to networks."""
