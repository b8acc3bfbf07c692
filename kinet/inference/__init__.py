"""The same function with less to compute: the form of an embedder that embeds long lists."""
