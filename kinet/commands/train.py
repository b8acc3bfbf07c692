"""``kinet train``."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kinet.commands.options import (
    engine_options,
    plugin_option,
    read_complete_list,
    start_backend,
)
from kinet.commands.output import say, show_json, show_table, training_progress
from kinet.commands.train_options import train_options
from kinet.commands.train_processes import how_to_go_on, is_watched, train_in_processes
from kinet.config import FeatureConfig, ModelConfig, TrainConfig
from kinet.data.settings_file import features_of, require_same_features
from kinet.data.tracks import Track
from kinet.errors import PeerLost, SettingsError
from kinet.peers import Place, place_here
from kinet.peers.child import LOST
from kinet.training.lists import doubts, doubts_about_lengths, require_lists
from kinet.training.runs import RunFolders, default_tag
from kinet.weights import model_path

if TYPE_CHECKING:
    from kinet.versions.made_batches import MadeBatches

DATA_FIELDS = ("data_dir", "train_list", "validation_list")


@click.command("train")
@train_options
@engine_options
@plugin_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.pass_context
def command(ctx: click.Context, **options: Any) -> None:
    """Train a model from HPCP files.

    With --scores it makes its own: versions of works, in processes, and validates after so many
    batches. Writes models/TAG/ (best, by validation mAP, and last, to resume from) and log/TAG/
    (TensorBoard events and history.csv).
    """
    _drop_attention(options)
    options["init"] = options["init"] and model_path(options["init"])
    settings = _settings(options)
    folders = RunFolders.of(options["tag"] or default_tag(*_configs(settings)))
    place = place_here()
    if options["resume"]:
        settings = _resumed(ctx, folders, settings)
    else:
        _require_new(folders)
    if (place.others or options["processes"] > 1) and not is_watched():
        _read(settings, folders, options)  # what is wrong is told before anything starts
        train_in_processes(place, folders, options, ctx.obj)
        return
    try:
        _run(settings, folders, options, place)
    except PeerLost:
        if not is_watched():
            raise
        ctx.exit(LOST)  # who watches tells of the other


def _require_new(folders: RunFolders) -> None:
    if folders.last.exists():
        raise SettingsError(
            f"the run {folders.models} is there already; go on with --resume, or choose another "
            "--tag"
        )


def _run(
    settings: dict[str, Any], folders: RunFolders, options: dict[str, Any], place: Place
) -> None:
    """Check all that can be checked without a backend, then train."""
    data = _read(settings, folders, options)
    if not place.is_first:
        _train(settings, folders, options, data, place)
        return
    with folders.alone():
        if not options["resume"]:
            _require_new(folders)  # another run may have come and gone
            folders.write_settings(settings)
        _train(settings, folders, options, data, place)


def _read(
    settings: dict[str, Any], folders: RunFolders, options: dict[str, Any]
) -> tuple[list[Track], list[Track], FeatureConfig]:
    """The training list, the validation list and how their features are made."""
    from kinet.attention import registry as attention_modules
    from kinet.blocks import registry as blocks
    from kinet.losses.objective import Objective

    model, training = _configs(settings)
    blocks.get(model.block).options(model.block_options)
    for name in model.attention:
        attention_modules.get(name)
    Objective.of(training).require_place(model)
    data_dir = Path(settings["data_dir"])
    made_of = settings["scores"] or settings["train_list"]
    tracks = [] if settings["scores"] else read_complete_list(Path(made_of), data_dir)
    validation = read_complete_list(Path(settings["validation_list"]), data_dir)
    require_lists(tracks, validation)
    begun = folders.last if options["resume"] and folders.last.exists() else None
    return tracks, validation, _features(data_dir, begun, options["init"])


def _train(
    settings: dict[str, Any],
    folders: RunFolders,
    options: dict[str, Any],
    data: tuple[list[Track], list[Track], FeatureConfig],
    place: Place,
) -> None:
    model, training = _configs(settings)
    tracks, validation, features = data
    devices = start_backend(options["backend"], options["gpu"], place)
    if place.is_first:
        say(
            f"training: {settings['scores'] or settings['train_list']}; validation: "
            f"{settings['validation_list']}; features: {settings['data_dir']}"
        )
        lengths = doubts_about_lengths([*tracks, *validation], model.vectors, features)
        for doubt in [*doubts(tracks, validation), *lengths]:
            say(doubt)
    start_from = _start_from(options["init"])

    from kinet.training.fitting import Task, train

    made = _made_batches(settings, options["workers"])
    task = Task(
        model=model,
        training=training,
        tracks=tracks,
        validation=validation,
        folders=folders,
        features=features,
        devices=devices,
        workers=options["workers"],
        batches=made,
        place=place,
    )
    progress = training_progress(training.epochs) if place.is_first else contextlib.nullcontext()
    try:
        with made or contextlib.nullcontext(), progress as listener:
            history = train(task, listener, resume=options["resume"], start_from=start_from)
    except KeyboardInterrupt:
        say(f"interrupted; go on with: {how_to_go_on(folders)}")
        raise
    if place.is_first:
        _report(history, folders, options["as_json"])


def _made_batches(settings: dict[str, Any], workers: int) -> MadeBatches | None:
    """Batches of versions of the works of --scores, None without it."""
    if not settings["scores"]:
        return None
    from kinet.losses.objective import Objective
    from kinet.model import fixed_vectors
    from kinet.versions.made_batches import Draw, MadeBatches, lengths_between
    from kinet.versions.note_pack import read_note_pack

    model, training = _configs(settings)
    fixed = fixed_vectors(model)
    versions = training.versions_per_song or Objective.of(training).versions_per_song or 4
    draw = Draw(
        lengths=(fixed,) if fixed else lengths_between(model.minimum_vectors, model.vectors),
        songs=max(2, training.batch_size // versions),
        versions=versions,
        batches=settings["batches"],
        seed=training.seed,
    )
    return MadeBatches(read_note_pack(settings["scores"]), draw, workers)


def _report(history: list[dict[str, Any]], folders: RunFolders, as_json: bool) -> None:
    best = max(history, key=lambda record: record["map"])
    if as_json:
        show_json({"best": str(folders.best), "last": str(folders.last), "history": history})
        return
    rows = [[r["epoch"], r["loss"], r["map"], r["p10"], r["mr1"]] for r in (best, history[-1])]
    show_table(["epoch", "loss", "mAP", "P@10", "MR1"], rows, title="best and last epoch")
    say(f"best model: {folders.best}")


def _drop_attention(options: dict[str, Any]) -> None:
    dropped = {"channel"} if options["no_chnlatt"] else set()
    if options["no_tempatt"]:
        dropped |= {"temporal", "local"}
    options["attention"] = tuple(n for n in options["attention"] if n not in dropped)


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """All that decides the result of a run, JSON-ready, validated."""
    model = ModelConfig(**{name: options[name] for name in _fields(ModelConfig)})
    training = TrainConfig(**{name: options[name] for name in _fields(TrainConfig)})
    data: dict[str, Any] = {name: str(options[name]) for name in DATA_FIELDS}
    data["scores"] = str(options["scores"] or "")
    data["batches"] = options["batches"]
    return {**data, "model": model.to_dict(), "training": training.to_dict()}


def _fields(settings: type) -> list[str]:
    """Names of the fields of a settings class, which are those of the options' values."""
    return [field.name for field in dataclasses.fields(settings)]


def _configs(settings: dict[str, Any]) -> tuple[ModelConfig, TrainConfig]:
    return ModelConfig.from_dict(settings["model"]), TrainConfig.from_dict(settings["training"])


def _resumed(ctx: click.Context, folders: RunFolders, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of the run; an option given now must not contradict them."""
    saved = folders.read_settings()
    # --preset sets others in place of the defaults.
    sources = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP)
    given = {name for name in ctx.params if ctx.get_parameter_source(name) in sources}
    if given & {"no_chnlatt", "no_tempatt"}:
        given.add("attention")
    options = {str(param.name): param.opts[0] for param in ctx.command.params}
    for part, fields in (("model", _fields(ModelConfig)), ("training", _fields(TrainConfig))):
        for name in fields:
            if name in given and saved[part][name] != settings[part][name]:
                by_preset = ctx.get_parameter_source(name) is sources[1]
                raise SettingsError(
                    f"{'--preset with ' * by_preset}{options[name]} {settings[part][name]!r} "
                    "contradicts "
                    f"{saved[part][name]!r}, with which the run {folders.models} began; "
                    "leave it out to resume"
                )
    # A run of before there were scores does not name them.
    saved = {"scores": "", "batches": settings["batches"], **saved}
    if "batches" in given and saved["batches"] != settings["batches"]:
        raise SettingsError(
            f"--batches {settings['batches']} contradicts {saved['batches']}, with which the run "
            f"{folders.models} began; leave it out to resume"
        )
    moved = {name: settings[name] for name in (*DATA_FIELDS, "scores") if name in given}
    return {**saved, **moved}


def _features(data_dir: Path, *models: Path | None) -> FeatureConfig:
    """Settings of the features, which a model that is gone on from must share.

    A folder that does not say has the model's, and without one the default settings.
    """
    from kinet.checkpoint import read_metadata

    found = features_of(data_dir)
    for path in filter(None, models):
        # The original's checkpoints do not say: the default settings are those of its data.
        is_original = path.suffix in (".h5", ".hdf5")
        features = FeatureConfig() if is_original else read_metadata(path).features
        require_same_features(data_dir, features, f"the model {path}")
        found = features
    return found or FeatureConfig()


def _start_from(checkpoint: Path | None) -> Any:
    if checkpoint is None:
        return None
    from kinet.original.conversion import load_any

    return load_any(checkpoint)
