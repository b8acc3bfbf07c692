"""``kinet show``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from kinet.commands.model_files import described, is_model
from kinet.commands.options import path_type, require_target
from kinet.commands.output import json_option, say, show_json, show_table
from kinet.config import FeatureConfig


@click.command("show")
@click.argument("file", metavar="FILE", type=path_type)
@click.option(
    "--out", metavar="PICTURE", type=path_type, help="PNG file. Default: <name of FILE>.hpcp.png."
)
@click.option("--force", is_flag=True, help="Replace a picture that is there.")
@json_option
def command(file: Path, out: Path | None, force: bool, as_json: bool) -> None:
    """Look into FILE: draw the HPCP of a recording or a .npy file, or tell what a model is.

    Of a model file (.keras, or an exported one) it shows settings, features, plug-ins, training
    and digest, without loading the model.
    """
    if is_model(file):
        if out is not None:
            raise click.UsageError("--out is for pictures; a model is shown as text.")
        _show_model(described(file), as_json)
        return
    _draw(file, out, force, as_json)


def _draw(file: Path, out: Path | None, force: bool, as_json: bool) -> None:
    from kinet.data.feature_files import read_hpcp
    from kinet.data.settings_file import features_of
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
    if as_json:
        size = {"vectors": len(hpcp), "seconds": round(seconds, 3)}
        show_json({"path": str(file), "picture": str(picture), **size})
        return
    say(f"{picture}: {len(hpcp)} vectors, {seconds:.1f} s")


def _show_model(said: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(said)
        return
    show_table(("what", "", "value"), list(_rows(said)), title=said["path"])


def _rows(said: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What a person looks for, in this order; a program gets all."""
    yield "file", "SHA-256", said["digest"]
    yield "file", "written by", f"kinet {said['kinet']}"
    if "precision" in said:
        yield "file", "precision", said["precision"]
    yield from _settings("model", said["model"])
    yield "features", "fingerprint", said["fingerprint"]
    yield from _settings("features", said["features"])
    for use in said["plugins"]:
        origin = f"{use['distribution']} {use['version']}".strip() or use["file"] or "no package"
        yield "plug-in", use["kind"], f"{use['name']} ({origin})"
    yield from _settings("training", said.get("training") or {})
    if said.get("songs"):
        yield "training", "songs of the classifier", str(len(said["songs"]))
    history = said.get("history")
    if history:
        best = max(history, key=lambda record: record["map"])
        yield "training", "epochs done", str(len(history))
        yield "training", "best validation mAP", f"{best['map']:.4f} in epoch {best['epoch']}"


def _settings(part: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name, value in settings.items():
        if isinstance(value, list):
            value = ", ".join(map(str, value)) or "none"
        elif isinstance(value, Mapping):
            value = ", ".join(f"{key}={number}" for key, number in value.items())
        if value not in ("", None):
            yield part, name.replace("_", " "), str(value)
