"""A plug-in for kinet: the block `dilated` and the attention module `squeeze-excite`."""
