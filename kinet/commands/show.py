"""``kinet show``."""

from __future__ import annotations

from pathlib import Path

import click

from kinet.commands.options import path_type, require_target
from kinet.commands.output import say
from kinet.config import FeatureConfig


@click.command("show")
@click.argument("file", metavar="FILE", type=path_type)
@click.option(
    "--out", metavar="PICTURE", type=path_type, help="PNG file. Default: <name of FILE>.hpcp.png."
)
@click.option("--force", is_flag=True, help="Replace a picture that is there.")
def command(file: Path, out: Path | None, force: bool) -> None:
    """Draw the HPCP of FILE, a recording or a .npy file, over time."""
    from kinet.data.feature_files import read_hpcp
    from kinet.data.manifest import features_of
    from kinet.extraction import extract_file
    from kinet.pictures import draw_hpcp

    picture = out or Path(f"{file.name}.hpcp.png")
    require_target(picture, force, "--force replaces it, --out names another")
    config = FeatureConfig()
    if file.suffix.lower() == ".npy":
        hpcp = read_hpcp(file)
        config = features_of(file.parent) or config
    else:
        hpcp = extract_file(file)
    draw_hpcp(picture, hpcp, config, file.name)
    seconds = len(hpcp) * config.seconds_per_vector
    say(f"{picture}: {len(hpcp)} vectors, {seconds:.1f} s")
