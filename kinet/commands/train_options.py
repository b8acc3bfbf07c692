"""The options of ``kinet train``: what the settings of model and training are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from kinet.commands.options import data_option, list_option, path_type
from kinet.config import (
    HEADS,
    PITCH_AXES,
    POOLINGS,
    PRECISIONS,
    STAGE_COUNTS,
    ModelConfig,
    TrainConfig,
)
from kinet.losses.objective import losses_of

F = TypeVar("F", bound=Callable[..., Any])

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


def _losses(_: click.Context, __: click.Parameter, value: str) -> str | dict[str, float]:
    return losses_of(value)


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--tag", help="Name of the run. By default made from the settings."),
    click.option(
        "--preset",
        type=click.Choice(tuple(PRESETS)),
        is_eager=True,
        callback=_preset,
        expose_value=False,
        help="Other defaults: original, those of the original code. Options given beside it win.",
    ),
    data_option,
    list_option("TRAIN", "--train-list", "--train-ls", "train_list"),
    list_option("VAL", "--validation-list", "--val-ls", "validation_list"),
    click.option(
        "--scores",
        metavar="PACK",
        type=path_type,
        help="Train on versions of the works in this file of kinet scores, made on the way, in "
        "place of --train-list.",
    ),
    click.option(
        "--batches", type=click.IntRange(1), default=100, help="In an epoch, with --scores."
    ),
    click.option("--block", default=MODEL.block, help="See kinet plugins."),
    click.option(
        "--block-option",
        "block_options",
        multiple=True,
        metavar="NAME=NUMBER",
        callback=_numbers,
        help="A setting of the block, where it has some.",
    ),
    click.option(
        "-S",
        "--stages",
        "--ki-block-num",
        "stages",
        type=int,
        default=MODEL.stages,
        help=f"Stages, a divisor of 12: {', '.join(map(str, STAGE_COUNTS))}.",
    ),
    click.option(
        "--attention",
        default=",".join(MODEL.attention) or "none",
        callback=_attention,
        help="Attention modules in their order, or none. See kinet plugins.",
    ),
    click.option("--no-chnlatt", is_flag=True, help="Without channel attention."),
    click.option("--no-tempatt", is_flag=True, help="Without temporal attention."),
    click.option("--pitch-axis", type=click.Choice(PITCH_AXES), default=MODEL.pitch_axis),
    click.option(
        "--vectors",
        "--feature-len",
        "vectors",
        type=int,
        default=MODEL.vectors,
        help="T, in HPCP vectors.",
    ),
    click.option(
        "--time-field", type=int, default=MODEL.time_field, help="Receptive field in vectors."
    ),
    click.option(
        "--channels",
        "--ki-out-channel",
        "channels",
        type=int,
        default=MODEL.channels,
        help="Of the key-invariant part and the summary.",
    ),
    click.option(
        "--bottleneck-ratio",
        "--bn-ratio",
        "bottleneck_ratio",
        type=int,
        default=MODEL.bottleneck_ratio,
        help="Squeeze of blocks.",
    ),
    click.option(
        "--attention-ratio", type=int, default=MODEL.attention_ratio, help="Squeeze of attention."
    ),
    click.option(
        "--embedding-size",
        "--embedding-len",
        "embedding_size",
        type=int,
        default=MODEL.embedding_size,
        help="Length of an embedding.",
    ),
    click.option(
        "--pooling",
        type=click.Choice(POOLINGS),
        default=MODEL.pooling,
        help="Of time: the mean, or one of two with learned exponents.",
    ),
    click.option(
        "--head",
        type=click.Choice(HEADS),
        default=MODEL.head,
        help="Linear as the original's, or a batch-norm neck between two losses.",
    ),
    click.option(
        "--l2",
        "--regularize",
        "l2",
        type=float,
        default=MODEL.l2,
        help="Weight of the L2 penalty on kernels.",
    ),
    click.option(
        "--loss",
        default=TRAINING.loss,
        metavar="NAME[:WEIGHT],...",
        callback=_losses,
        help="See kinet plugins. Several are added up: supcon,softmax:0.5.",
    ),
    click.option(
        "--loss-option",
        "loss_options",
        multiple=True,
        metavar="NAME=NUMBER",
        callback=_numbers,
        help="A setting of the loss, such as margin=0.3; of several losses triplet.margin=0.3.",
    ),
    click.option(
        "--versions-per-song",
        type=int,
        help="K of batches of P songs x K versions. By default the loss's own.",
    ),
    click.option(
        "--batch-size",
        "--batchsize",
        "batch_size",
        type=int,
        default=TRAINING.batch_size,
        help="Tracks in a batch.",
    ),
    click.option(
        "--epochs", "--max-epoch", "epochs", type=int, default=TRAINING.epochs, help="Epochs."
    ),
    click.option(
        "--learning-rate",
        "--lr",
        "learning_rate",
        type=float,
        default=TRAINING.learning_rate,
        help="Of the first epoch.",
    ),
    click.option(
        "--warmup",
        type=int,
        default=TRAINING.warmup,
        help="Steps in which the rate rises from 0; it then falls step by step.",
    ),
    click.option(
        "--averaging",
        type=float,
        default=TRAINING.averaging,
        help="Validate and keep a moving average of the weights, such as 0.995; 0 is none.",
    ),
    click.option("--dropout", type=float, default=TRAINING.dropout, help="Before the classifier."),
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default=TRAINING.precision,
        help="Of the arithmetic.",
    ),
    click.option("--seed", type=int, default=TRAINING.seed, help="Same seed, same run."),
    click.option("--patience", type=int, help="Stop after so many epochs without a better mAP."),
    click.option(
        "--init",
        "--checkpoint",
        "init",
        type=path_type,
        help="Begin with the weights of this model file, or of a model of kinet models.",
    ),
    click.option(
        "--freeze", is_flag=True, help="Train a new head on the rest of the model of --init."
    ),
    click.option("--resume", is_flag=True, help="Go on with the run of this tag."),
    click.option(
        "--workers", type=click.IntRange(1), default=1, help="Threads that prepare batches."
    ),
    click.option(
        "--processes",
        type=click.IntRange(1),
        default=1,
        help="Train in so many processes of this machine, which share each batch and --gpu.",
    ),
)


def train_options(command: F) -> F:
    """The options of the command, in the order of its help."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
