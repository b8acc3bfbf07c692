"""One small file per command; with `cli.py` the only place that prints, shows progress or exits."""
