"""``kinet train``."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kinet.commands.options import (
    data_option,
    engine_options,
    list_option,
    path_type,
    plugin_option,
    read_complete_list,
    start_backend,
)
from kinet.commands.output import say, show_json, show_table, training_progress
from kinet.config import (
    PITCH_AXES,
    POOLINGS,
    PRECISIONS,
    STAGE_COUNTS,
    FeatureConfig,
    ModelConfig,
    TrainConfig,
)
from kinet.data.manifest import features_of, require_same_features
from kinet.data.tracks import Track
from kinet.errors import SettingsError
from kinet.plugins import imported_files
from kinet.training.lists import doubts, require_lists
from kinet.training.runs import RunFolders, default_tag
from kinet.weights import model_path

if TYPE_CHECKING:
    from kinet.versions.made_batches import MadeBatches

DATA_FIELDS = ("data_dir", "train_list", "validation_list")
MODEL = ModelConfig()
TRAINING = TrainConfig()
# Settings by name: they stand in for the defaults, and options given beside them win.
PRESETS = {"original": (ModelConfig.original(), TrainConfig.original())}


def _attention(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    names = [name.strip() for name in value.split(",")]
    return tuple(name for name in names if name and name != "none")


def _preset(ctx: click.Context, _: click.Parameter, name: str | None) -> str | None:
    if name is not None:
        model, training = PRESETS[name]
        settings = {**model.to_dict(), **training.to_dict()}
        settings["attention"] = ",".join(model.attention)
        for without_text in ("block_options", "loss_options"):
            del settings[without_text]
        ctx.default_map = settings
    return name


def _numbers(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    try:
        pairs = (value.split("=", 1) for value in values)
        return {name: float(number) for name, number in pairs}
    except ValueError as error:
        raise click.BadParameter("allowed: NAME=NUMBER, such as margin=0.3") from error


@click.command("train")
@click.option("--tag", help="Name of the run. By default made from the settings.")
@click.option(
    "--preset",
    type=click.Choice(tuple(PRESETS)),
    is_eager=True,
    callback=_preset,
    expose_value=False,
    help="Other defaults: original, those of the original code. Options given beside it win.",
)
@data_option
@list_option("TRAIN", "--train-list", "--train-ls", "train_list")
@list_option("VAL", "--validation-list", "--val-ls", "validation_list")
@click.option(
    "--scores",
    metavar="PACK",
    type=path_type,
    help="Train on versions of the works in this file of kinet scores, made on the way, in place "
    "of --train-list.",
)
@click.option("--batches", type=click.IntRange(1), default=100, help="In an epoch, with --scores.")
@click.option("--block", default=MODEL.block, help="See kinet plugins.")
@click.option(
    "--block-option",
    "block_options",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=_numbers,
    help="A setting of the block, where it has some.",
)
@click.option(
    "-S",
    "--stages",
    "--ki-block-num",
    "stages",
    type=int,
    default=MODEL.stages,
    help=f"Stages, a divisor of 12: {', '.join(map(str, STAGE_COUNTS))}.",
)
@click.option(
    "--attention",
    default=",".join(MODEL.attention) or "none",
    callback=_attention,
    help="Attention modules in their order, or none. See kinet plugins.",
)
@click.option("--no-chnlatt", is_flag=True, help="Without channel attention.")
@click.option("--no-tempatt", is_flag=True, help="Without temporal attention.")
@click.option("--pitch-axis", type=click.Choice(PITCH_AXES), default=MODEL.pitch_axis)
@click.option(
    "--vectors",
    "--feature-len",
    "vectors",
    type=int,
    default=MODEL.vectors,
    help="T, in HPCP vectors.",
)
@click.option(
    "--time-field", type=int, default=MODEL.time_field, help="Receptive field in vectors."
)
@click.option(
    "--channels",
    "--ki-out-channel",
    "channels",
    type=int,
    default=MODEL.channels,
    help="Of the key-invariant part and the summary.",
)
@click.option(
    "--bottleneck-ratio",
    "--bn-ratio",
    "bottleneck_ratio",
    type=int,
    default=MODEL.bottleneck_ratio,
    help="Squeeze of blocks.",
)
@click.option(
    "--attention-ratio", type=int, default=MODEL.attention_ratio, help="Squeeze of attention."
)
@click.option(
    "--embedding-size",
    "--embedding-len",
    "embedding_size",
    type=int,
    default=MODEL.embedding_size,
    help="Length of an embedding.",
)
@click.option(
    "--pooling",
    type=click.Choice(POOLINGS),
    default=MODEL.pooling,
    help="Of time: the mean, or a generalised mean with learned exponents.",
)
@click.option(
    "--l2",
    "--regularize",
    "l2",
    type=float,
    default=MODEL.l2,
    help="Weight of the L2 penalty on kernels.",
)
@click.option("--loss", default=TRAINING.loss, help="See kinet plugins.")
@click.option(
    "--loss-option",
    "loss_options",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=_numbers,
    help="A setting of the loss, such as margin=0.3.",
)
@click.option(
    "--versions-per-song",
    type=int,
    help="K of batches of P songs x K versions. By default the loss's own.",
)
@click.option(
    "--batch-size",
    "--batchsize",
    "batch_size",
    type=int,
    default=TRAINING.batch_size,
    help="Tracks in a batch.",
)
@click.option(
    "--epochs", "--max-epoch", "epochs", type=int, default=TRAINING.epochs, help="Epochs."
)
@click.option(
    "--learning-rate",
    "--lr",
    "learning_rate",
    type=float,
    default=TRAINING.learning_rate,
    help="Of the first epoch.",
)
@click.option(
    "--warmup",
    type=int,
    default=TRAINING.warmup,
    help="Steps in which the rate rises from 0; it then falls step by step.",
)
@click.option(
    "--averaging",
    type=float,
    default=TRAINING.averaging,
    help="Validate and keep a moving average of the weights, such as 0.995; 0 is none.",
)
@click.option("--dropout", type=float, default=TRAINING.dropout, help="Before the classifier.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=TRAINING.precision,
    help="Of the arithmetic.",
)
@click.option("--seed", type=int, default=TRAINING.seed, help="Same seed, same run.")
@click.option("--patience", type=int, help="Stop after so many epochs without a better mAP.")
@click.option(
    "--init",
    "--checkpoint",
    "init",
    type=path_type,
    help="Begin with the weights of this model file, or of a model of kinet models.",
)
@click.option("--resume", is_flag=True, help="Go on with the run of this tag.")
@click.option("--workers", type=click.IntRange(1), default=1, help="Threads that prepare batches.")
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
    if options["resume"]:
        settings = _resumed(ctx, folders, settings)
    else:
        _require_new(folders)
    _run(settings, folders, options)


def _require_new(folders: RunFolders) -> None:
    if folders.last.exists():
        raise SettingsError(
            f"the run {folders.models} is there already; go on with --resume, or choose another "
            "--tag"
        )


def _run(settings: dict[str, Any], folders: RunFolders, options: dict[str, Any]) -> None:
    """Check all that can be checked without a backend, then train."""
    from kinet.attention import registry as attention_modules
    from kinet.blocks import registry as blocks
    from kinet.losses import registry as losses

    model, training = _configs(settings)
    blocks.get(model.block).options(model.block_options)
    for name in model.attention:
        attention_modules.get(name)
    losses.get(training.loss).options(training.loss_options)
    data_dir = Path(settings["data_dir"])
    made_of = settings["scores"] or settings["train_list"]
    tracks = [] if settings["scores"] else read_complete_list(Path(made_of), data_dir)
    validation = read_complete_list(Path(settings["validation_list"]), data_dir)
    require_lists(tracks, validation)
    begun = folders.last if options["resume"] and folders.last.exists() else None
    features = _features(data_dir, begun, options["init"])
    with folders.alone():
        if not options["resume"]:
            _require_new(folders)  # another run may have come and gone
            folders.write_settings(settings)
        _train(settings, folders, options, features, tracks, validation)


def _train(
    settings: dict[str, Any],
    folders: RunFolders,
    options: dict[str, Any],
    features: FeatureConfig,
    tracks: list[Track],
    validation: list[Track],
) -> None:
    model, training = _configs(settings)
    devices = start_backend(options["backend"], options["gpu"])
    say(
        f"training: {settings['scores'] or settings['train_list']}; validation: "
        f"{settings['validation_list']}; features: {settings['data_dir']}"
    )
    for doubt in doubts(tracks, validation):
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
    )
    try:
        with made or contextlib.nullcontext(), training_progress(training.epochs) as listener:
            history = train(task, listener, resume=options["resume"], start_from=start_from)
    except KeyboardInterrupt:
        files = "".join(f" --plugin {shlex.quote(str(file))}" for file in imported_files())
        say(f"interrupted; go on with: kinet train --resume --tag {folders.models.name}{files}")
        raise
    _report(history, folders, options["as_json"])


def _made_batches(settings: dict[str, Any], workers: int) -> MadeBatches | None:
    """Batches of versions of the works of --scores, None without it."""
    if not settings["scores"]:
        return None
    from kinet.losses import registry as losses
    from kinet.model import fixed_vectors
    from kinet.versions.made_batches import Draw, MadeBatches, lengths_between
    from kinet.versions.note_pack import read_note_pack

    model, training = _configs(settings)
    fixed = fixed_vectors(model)
    versions = training.versions_per_song or losses.get(training.loss).versions_per_song or 4
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
