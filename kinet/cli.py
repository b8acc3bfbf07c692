"""The command line: parses, calls, prints. Each command is a file in `kinet.commands`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from kinet.errors import KinetError, printable, unknown_name

COMMANDS = {
    "find": "Find the songs of recordings in a folder of music, or in a library.",
    "duplicates": "Show which recordings of a folder or library are versions of each other.",
    "compare": "Find where two recordings match: passages, keys, tempi; hear both.",
    "serve": "Open a page on this machine: drop a recording, see and hear its songs.",
    "index": "Keep a library: add, remove, list, info, check, compact, merge, calibrate, upgrade.",
    "extract": "Make features of audio files.",
    "show": "Draw the HPCP of a recording or a feature file, or tell what a model is.",
    "train": "Train a model from HPCP files.",
    "eval": "Rank a list of tracks with a model: mAP, P@10, MR1, hit@1.",
    "models": "List the models that come with kinet.",
    "export": "Write a model as ONNX, SavedModel, LiteRT or OpenVINO.",
    "embed": "Write the embeddings of a list of tracks.",
    "check": "Look for faults in a list file and its features.",
    "pack": "Write the features of lists to one file, for training.",
    "split": "Split a list into training, validation and test lists that share no song.",
    "scores": "Read MIDI, MusicXML, ABC and kern into one file of notes.",
    "synth": "Make versions of the works in a file of notes, as a data set.",
    "convert": "Bring a checkpoint of the original code over.",
    "plugins": "List blocks, attention modules, losses and data sets, and where they come from.",
    "quickstart": "Train, evaluate and draw on a small corpus of real music.",
}


class LazyGroup(click.Group):
    """A group that imports a command's file when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"kinet.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As Click's, which names no command that was meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(unknown_name("command", args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List names and one-liners without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.version_option(package_name="mulkinet", prog_name="kinet")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Find the covers of a song: train, evaluate and export key-invariant networks."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `kinet` command; turns every expected error into one line."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code: 0, 1 (error), 2 (usage) or 130 (Ctrl-C)."""
    # --debug is accepted at any place, because it is added to a command that has failed.
    rest = [argument for argument in arguments if argument != "--debug"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow greets on stderr
    try:
        outcome = cli.main(
            args=rest, prog_name="kinet", standalone_mode=False, obj=tuple(arguments)
        )
        return outcome if isinstance(outcome, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except (click.ClickException, click.Abort, KeyboardInterrupt, KinetError, OSError) as error:
        if len(rest) < len(arguments):
            raise
        message, code = _explain(error)
        click.echo(printable(" ".join(message.split())), err=True)
        return code


def _explain(error: BaseException) -> tuple[str, int]:
    """One line and an exit code for an expected error."""
    if isinstance(error, click.UsageError):
        where = error.ctx.command_path if error.ctx else "kinet"
        return f"{where}: {error.format_message()} See '{where} --help'.", 2
    if isinstance(error, click.ClickException):
        return f"kinet: {error.format_message()}", error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "kinet: interrupted", 130
    if isinstance(error, OSError):
        name = f": {error.filename}" if error.filename else ""
        return f"kinet: {error.strerror or error}{name}", 1
    return f"kinet: {error}", 1


if __name__ == "__main__":
    main()
