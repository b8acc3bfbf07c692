"""`kinet export`: a model in another format, checked before it counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from kinet.backend import BACKENDS, choose
from kinet.commands import output
from kinet.commands.options import (
    data_option,
    path_type,
    plugin_option,
    read_complete_list,
)
from kinet.export import FORMATS, MAP_LOSS, TOLERANCE, Exported, export
from kinet.export.formats import FULL_PRECISION
from kinet.training.runs import newest_best

_PRECISIONS = list(dict.fromkeys(name for form in FORMATS.values() for name in form.precisions))


@click.command("export")
@click.argument("model", required=False, type=path_type)
@click.option(
    "--model-file",
    metavar="MODEL",
    type=path_type,
    help="The model file, instead of the argument.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    required=True,
    help="What to write.",
)
@click.option(
    "--out",
    metavar="PATH",
    type=path_type,
    help="Where to write it. Default: next to MODEL.",
)
@click.option("--force", is_flag=True, help="Replace an export that is there.")
@click.option(
    "--precision",
    type=click.Choice(_PRECISIONS),
    default=FULL_PRECISION,
    show_default=True,
    help="In which the file computes; below float32 with --format openvino.",
)
@click.option(
    "--calibration-list",
    type=path_type,
    help="A list with several versions of songs, for a precision below float32: its MAP must not "
    "suffer, and with int8 ranges are taken from it.",
)
@data_option
@click.option(
    "--allowed-map-loss",
    type=click.FloatRange(0, 1),
    default=MAP_LOSS,
    show_default=True,
    help="By how much the MAP of that list may be lower.",
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    help="Under which the model is run for the comparison. By default $KERAS_BACKEND, or the "
    "first that is installed.",
)
@plugin_option
@output.json_option
def command(
    model: Path | None,
    model_file: Path | None,
    format_name: str,
    out: Path | None,
    force: bool,
    precision: str,
    calibration_list: Path | None,
    data_dir: Path,
    allowed_map_loss: float,
    backend: str | None,
    as_json: bool,
) -> None:
    """Write MODEL as ONNX, SavedModel, LiteRT or OpenVINO.

    MODEL is a .keras file, by default the best model of the newest run in models/. What is written
    takes HPCP (batch, T, 12), as on disk. It is run and compared with the model before it is put
    in place, and carries the model's and the features' settings.
    """
    if model is not None and model_file is not None:
        raise click.UsageError("MODEL was given twice, as an argument and with --model-file.")
    chosen = model or model_file
    if chosen is None:
        chosen = newest_best()
        output.say(f"model: {chosen}")
    choose(backend)
    tracks = read_complete_list(calibration_list, data_dir) if calibration_list else []
    done = export(
        chosen,
        format_name,
        out,
        force,
        precision=precision,
        tracks=tracks,
        allowed_map_loss=allowed_map_loss,
    )
    if as_json:
        output.show_json({**dataclasses.asdict(done), "path": str(done.path)})
        return
    _show(done)


def _show(done: Exported) -> None:
    rows = [
        ("path", str(done.path)),
        ("format", FORMATS[done.format].title),
        ("size", f"{done.bytes / 1e6:.2f} MB"),
        ("precision", done.precision),
        ("difference", f"{done.difference:.1e} from the model under {done.compared_with}"),
        ("dynamic axes", ", ".join(done.dynamic_axes)),
    ]
    if done.map is not None and done.model_map is not None:
        loss = done.model_map - done.map
        rows.append(
            ("MAP", f"{done.map:.4f}, {loss:+.4f} lost of the model's {done.model_map:.4f}")
        )
    output.show_table(("export", ""), rows)
    if done.spread < 10 * TOLERANCE:
        output.say(
            f"the model's embeddings of made-up inputs differ by {done.spread:.1e} only: it hardly "
            "tells them apart, and the comparison shows little; is it trained?"
        )
