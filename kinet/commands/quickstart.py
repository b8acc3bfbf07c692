"""``kinet quickstart``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from kinet.commands.find import show_answer
from kinet.commands.libraries import folder_or_library
from kinet.commands.options import engine_options, path_type, start_backend
from kinet.commands.output import json_option, say, show_json, tracks_progress

MODEL = "small"
# Songs by default: those that are looked through, and those that --train trains on and with.
SONGS, TRAINED_SONGS = 12, 150
# Songs that are shown for the recording.
SHOWN = 5


@click.command("quickstart")
@click.option("--out", type=path_type, default="quickstart", help="Folder.")
@click.option(
    "--songs",
    type=click.IntRange(2),
    help=f"Chorales; {SONGS} by default, {TRAINED_SONGS} with --train.",
    show_default=False,
)
@click.option("--seed", type=click.IntRange(0), default=0)
@click.option("--train", is_flag=True, help="Train a small network too, and evaluate it.")
@click.option("--versions", type=int, default=8, help="With --train: versions of each.")
@click.option("--epochs", "--max-epoch", "epochs", type=int, default=20, help="With --train.")
@engine_options
@json_option
def command(
    out: Path,
    songs: int | None,
    seed: int,
    train: bool,
    versions: int,
    epochs: int,
    backend: str | None,
    gpu: str | None,
    as_json: bool,
) -> None:
    """Find the song of a recording in a folder of music, all made here: chorales by J. S. Bach.

    The scores come with the music21 package. Some are played and written as sound files; one of
    them is played once more, in another key, at another tempo and with other sounds. Then kinet
    looks for its song in the folder, with the model that comes with kinet.

    With --train a small network is trained on versions of the chorales and evaluated on songs
    that it has not seen. That takes minutes, and can be stopped and gone on with.

    All is kept in the folder.
    """
    if train:
        from kinet.commands.quickstart_training import train_and_evaluate

        train_and_evaluate(
            out, songs or TRAINED_SONGS, versions, epochs, seed, backend, gpu, as_json
        )
        return
    _find(out, songs or SONGS, seed, backend, gpu, as_json)


def _find(
    out: Path, songs: int, seed: int, backend: str | None, gpu: str | None, as_json: bool
) -> None:
    from kinet.library.pages import write_answer
    from kinet.versions.recordings import write_music

    started = time.monotonic()
    start_backend(backend, gpu)
    with tracks_progress("1/3 playing chorales", unit="songs") as progress:
        made = write_music(out, songs, seed, progress=progress)
    say(f"2/3 reading {made.folder}: features and embeddings, kept there")
    with folder_or_library(made.folder, MODEL, None) as library:
        say(f"3/3 looking for the song of {made.query}: {made.title}, played in another way")
        [answer] = library.find([made.query], top=SHOWN)
        here = library.info()
    page = out / "recording.html"
    write_answer(page, answer)
    titles = [match.title for match in answer.matches]
    rank = titles.index(made.title) + 1 if made.title in titles else None
    if as_json:
        songs_found = [
            {
                **{"title": match.title, "score": match.score, "probability": match.probability},
                "transposition": match.transposition,
            }
            for match in answer.matches
        ]
        show_json(
            {
                "query": str(made.query),
                "folder": str(made.folder),
                "page": str(page),
                "title": made.title,
                "rank": rank,
                "songs": songs_found,
                "seconds": time.monotonic() - started,
            }
        )
        return
    show_answer(answer, made.folder, here.calibration is not None, 0.0)
    found = f"has rank {rank} of {here.recordings}" if rank else f"is not among the first {SHOWN}"
    say(f"its own song {found}; {time.monotonic() - started:.0f} s in all")
    say(f"to see and hear where they match: {page}")
    say("with your own music: kinet find RECORDING --in FOLDER")
