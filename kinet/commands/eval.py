"""``kinet eval``."""

from __future__ import annotations

from pathlib import Path

import click

from kinet.commands.model_files import open_model, say_of_short_tracks
from kinet.commands.options import (
    data_option,
    engine_options,
    list_option,
    path_type,
    plugin_option,
    read_complete_list,
    require_layout,
    require_target,
)
from kinet.commands.output import (
    csv_of,
    json_option,
    say,
    show_json,
    show_metrics,
    tracks_progress,
)
from kinet.data.manifest import origins_of
from kinet.data.settings_file import require_same_features
from kinet.data.tracks import Track, present, read_tracks
from kinet.evaluation import PROTOCOLS
from kinet.files import write_text_atomically
from kinet.metrics import Metrics


@click.command("eval")
@data_option
@list_option("TEST", "--test-list", "--test-ls", "test_list")
@click.option(
    "--model-file",
    type=path_type,
    help="A file, or a name of kinet models. By default the best of the newest run.",
)
@click.option(
    "-S",
    "--stages",
    "--ki-block-num",
    "stages",
    type=int,
    help="Accepted for the original's sake and checked: the model file knows its stages.",
)
@click.option(
    "--vectors", "--feature-len", "vectors", type=int, help="T. By default the model's own."
)
@click.option("--protocol", type=click.Choice(PROTOCOLS), default="standard")
@click.option("--allow-missing", is_flag=True, help="Evaluate on the files that are there.")
@click.option("--per-query", type=path_type, metavar="CSV", help="Write the values per query.")
@click.option("--batch-size", "--batchsize", "batch_size", type=click.IntRange(1), default=32)
@engine_options
@plugin_option
@json_option
def command(
    data_dir: Path,
    test_list: Path,
    model_file: Path | None,
    stages: int | None,
    vectors: int | None,
    protocol: str,
    allow_missing: bool,
    per_query: Path | None,
    batch_size: int,
    backend: str | None,
    gpu: str | None,
    as_json: bool,
) -> None:
    """Rank a list of tracks with a model: mAP, P@10, MR1, hit@1 with 95 % intervals.

    The model is a .keras file or an export. Each track in turn is the query and all others are
    ranked. Queries without another version in the list are left out, and counted.
    """
    from kinet.errors import SettingsError
    from kinet.training.runs import newest_best

    if per_query:
        require_target(per_query, force=True)
    missing: list[Track] = []
    if allow_missing:
        require_layout(test_list)
        tracks, missing = present(read_tracks(test_list, data_dir))
    else:
        tracks = read_complete_list(test_list, data_dir)
    origins = origins_of(data_dir, tracks) if per_query else []
    if model_file is None:
        model_file = newest_best()
        say(f"model: {model_file}")
    opened = open_model(model_file)
    require_same_features(data_dir, opened.features, f"the model {model_file}")
    if stages is not None and stages != opened.stages:
        raise SettingsError(f"-S {stages} was given, but {model_file} has {opened.stages} stages")
    say_of_short_tracks(opened, tracks, vectors)
    model = opened.load(len(tracks), backend, gpu)

    from kinet.embeddings import embed_tracks
    from kinet.evaluation import evaluate

    with tracks_progress("embedding") as progress:
        rows = embed_tracks(model, tracks, vectors, batch_size, progress)
    with tracks_progress("ranking") as progress:
        metrics = evaluate(
            rows, [track.song_id for track in tracks], protocol=protocol, progress=progress
        )
    if per_query:
        write_text_atomically(per_query, _per_query(metrics, tracks, origins))
    report = {
        "model": str(model_file),
        "list": str(test_list),
        "protocol": protocol,
        "listed": len(tracks) + len(missing),
        "missing": len(missing),
        **metrics.to_dict(),
    }
    if as_json:
        show_json(report)
    else:
        show_metrics(report)


def _per_query(metrics: Metrics, tracks: list[Track], origins: list[tuple[str, str]]) -> str:
    measures = ("average_precision", "precision_at_10", "first_rank")
    values = zip(
        metrics.query_index,
        metrics.average_precision,
        metrics.precision_at_10,
        metrics.first_rank,
        strict=True,
    )
    rows = [
        (tracks[index].song_id, tracks[index].version_id, *measured, *origins[index])
        for index, *measured in values
    ]
    return csv_of(("song_id", "version_id", *measures, "title", "recording"), rows)
