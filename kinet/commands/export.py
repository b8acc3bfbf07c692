"""`kinet export`: a model in another format, checked before it counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from kinet.backend import BACKENDS, choose
from kinet.commands import output
from kinet.export import FORMATS, TOLERANCE, Exported, export
from kinet.runs import newest_best


@click.command("export")
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option(
    "--model-file",
    metavar="MODEL",
    type=click.Path(path_type=Path),
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
    type=click.Path(path_type=Path),
    help="Where to write it. Default: next to MODEL.",
)
@click.option("--force", is_flag=True, help="Replace an export that is there.")
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    help="Under which the model is run for the comparison. By default $KERAS_BACKEND, or the "
    "first that is installed.",
)
@output.json_option
def command(
    model: Path | None,
    model_file: Path | None,
    format_name: str,
    out: Path | None,
    force: bool,
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
    done = export(chosen, format_name, out, force)
    if as_json:
        output.show_json({**dataclasses.asdict(done), "path": str(done.path)})
        return
    _show(done)


def _show(done: Exported) -> None:
    rows = [
        ("path", str(done.path)),
        ("format", FORMATS[done.format].title),
        ("size", f"{done.bytes / 1e6:.2f} MB"),
        ("difference", f"{done.difference:.1e} from the model under {done.compared_with}"),
        ("dynamic axes", ", ".join(done.dynamic_axes)),
    ]
    output.show_table(("export", ""), rows)
    if done.spread < 10 * TOLERANCE:
        output.say(
            f"the model's embeddings of random inputs differ by {done.spread:.1e} only: it hardly "
            "tells them apart, and the comparison shows little; is it trained?"
        )
