"""``kinet embed``."""

from __future__ import annotations

from pathlib import Path

import click

from kinet.commands.model_files import open_model, say_of_short_tracks
from kinet.commands.options import (
    data_or_url_option,
    default_list,
    engine_options,
    path_or_url_type,
    path_type,
    plugin_option,
    read_complete_list,
    require_target,
)
from kinet.commands.output import json_option, say, show_json, tracks_progress
from kinet.data.fetching import local_features
from kinet.data.manifest import origins_of
from kinet.data.settings_file import require_same_features
from kinet.files import digest_of, write_atomically, writing_to
from kinet.remote import AnyPath


@click.command("embed")
@click.argument(
    "list_file",
    metavar="LIST",
    type=path_or_url_type,
    required=False,
    callback=lambda _, __, given: given or default_list("TEST"),
)
@data_or_url_option
@click.option(
    "--model-file",
    type=path_type,
    help="A file, or a name of kinet models. By default the best of the newest run.",
)
@click.option("--out", type=path_or_url_type, required=True, help="The .npz file to write.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("--batch-size", "--batchsize", "batch_size", type=click.IntRange(1), default=32)
@engine_options
@plugin_option
@json_option
def command(
    list_file: AnyPath,
    data_dir: AnyPath,
    model_file: Path | None,
    out: AnyPath,
    force: bool,
    batch_size: int,
    backend: str | None,
    gpu: str | None,
    as_json: bool,
) -> None:
    """Write the embeddings of the tracks of LIST, by default the meta/*-TEST.

    The file holds the arrays embeddings (N, D), song_id, version_id, title and recording (N,),
    the last two as far as a manifest of kinet extract tells, fingerprint, of the features, and
    model, the SHA-256 of the model file: embeddings of two models do not mix.

    LIST, the folder of features and the file can be in an object store: s3://bucket/path,
    gs://bucket/path.
    """
    import numpy as np

    from kinet.training.runs import newest_best

    require_target(out, force)
    model_file = model_file or newest_best()
    opened = open_model(model_file)
    digest = digest_of(opened.path)
    require_same_features(data_dir, opened.features, f"the model {model_file}")
    with local_features(list_file, data_dir) as here:
        tracks = read_complete_list(list_file, here)
        origins = origins_of(data_dir, tracks)
        say_of_short_tracks(opened, tracks, None)
        model = opened.load(len(tracks), backend, gpu)

        from kinet.embeddings import embed_tracks

        with tracks_progress("embedding") as progress:
            rows = embed_tracks(model, tracks, batch_size=batch_size, progress=progress)
    arrays = {
        "embeddings": rows,
        "song_id": np.array([track.song_id for track in tracks]),
        "version_id": np.array([track.version_id for track in tracks]),
        "title": np.array([title for title, _ in origins]),
        "recording": np.array([recording for _, recording in origins]),
        "fingerprint": np.array(opened.features.fingerprint()),
        "model": np.array(digest),
    }
    with writing_to(out):
        write_atomically(out, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
    if as_json:
        known = opened.features.fingerprint()
        size = {"tracks": len(rows), "size": rows.shape[1]}
        show_json({"out": str(out), **size, "model": digest, "fingerprint": known})
        return
    say(f"{out}: {len(rows)} embeddings of {rows.shape[1]} values by {model_file}")
