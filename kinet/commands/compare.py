"""``kinet compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kinet.commands.options import path_type, require_target
from kinet.commands.output import json_option, say, show_json, show_table
from kinet.errors import DataError
from kinet.reading import show_path

if TYPE_CHECKING:
    from kinet.config import FeatureConfig
    from kinet.matching import Alignment, Passage
    from kinet.page import Recording


@click.command("compare")
@click.argument("first", metavar="A", type=path_type)
@click.argument("second", metavar="B", type=path_type)
@click.option("--picture", metavar="FILE.png", type=path_type, help="Draw where they match.")
@click.option(
    "--html", "page", metavar="FILE.html", type=path_type, help="Write a page to see and hear it."
)
@click.option("--force", is_flag=True, help="Replace a picture or a page that is there.")
@json_option
def command(
    first: Path,
    second: Path,
    picture: Path | None,
    page: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Find where the recordings A and B match, in which keys and at which tempi.

    A and B are recordings or .npy files of features. The score is how much of the shorter one the
    longest passage covers, from 0 to 1.
    """
    for target in filter(None, (picture, page)):
        require_target(target, force, "--force replaces it")
    config = _same_settings(first, second)
    a, b = _recording(first, config), _recording(second, config)
    from kinet.matching import align

    alignment = align(a.hpcp, b.hpcp, config)
    if picture:
        _draw(picture, a, b, alignment, config)
    if page:
        _write_page(page, a, b, alignment, config)
    if as_json:
        show_json(_report(a, b, alignment, config))
    else:
        _show(a, b, alignment)
    for target in filter(None, (picture, page)):
        say(f"{show_path(target)} is written")


def _is_feature_file(path: Path) -> bool:
    return path.suffix.lower() == ".npy"


def _same_settings(*paths: Path) -> FeatureConfig:
    """How the features of all are made, or will be.

    Raises
    ------
    DataError
        If they differ.
    """
    from kinet.config import FeatureConfig
    from kinet.data.settings_file import features_of

    settings = [
        (_is_feature_file(path) and features_of(path.parent)) or FeatureConfig() for path in paths
    ]
    if settings[0].fingerprint() != settings[1].fingerprint():
        told = " and ".join(
            f"{show_path(path)} with {config.fingerprint()}"
            for path, config in zip(paths, settings, strict=True)
        )
        raise DataError(f"features of different settings: {told}; need the same for both")
    return settings[0]


def _recording(path: Path, config: FeatureConfig) -> Recording:
    from kinet.data.feature_files import read_hpcp
    from kinet.extraction import extract_file
    from kinet.page import Recording

    title = show_path(path.name)
    if _is_feature_file(path):
        return Recording(title, read_hpcp(path))
    return Recording(title, extract_file(path, config), path)


def _draw(
    picture: Path, a: Recording, b: Recording, alignment: Alignment, config: FeatureConfig
) -> None:
    import numpy as np

    from kinet.matching.recurrence import cross_similarity, in_steps
    from kinet.pictures import draw_alignment

    rows, columns, step = in_steps(a.hpcp, b.hpcp)
    similarity = cross_similarity(rows, np.roll(columns, -alignment.transposition, axis=1))
    draw_alignment(picture, similarity, alignment, config, (a.title, b.title), step)


def _write_page(
    page: Path, a: Recording, b: Recording, alignment: Alignment, config: FeatureConfig
) -> None:
    from kinet.page import Match, write_page

    write_page(page, a, [Match(b, alignment)], config)


def _report(
    a: Recording, b: Recording, alignment: Alignment, config: FeatureConfig
) -> dict[str, Any]:
    seconds = config.seconds_per_vector
    return {
        "a": {"title": a.title, "seconds": len(a.hpcp) * seconds},
        "b": {"title": b.title, "seconds": len(b.hpcp) * seconds},
        "score": alignment.score,
        "transposition": alignment.transposition,
        "tempo_ratio": alignment.tempo_ratio,
        "passages": [_passage(passage, seconds) for passage in alignment.passages],
    }


def _passage(passage: Passage, seconds: float) -> dict[str, Any]:
    return {
        "start_a": passage.start_a,
        "end_a": passage.end_a,
        "start_b": passage.start_b,
        "end_b": passage.end_b,
        "length": passage.length,
        "path": (passage.path * seconds).tolist(),
    }


def _show(a: Recording, b: Recording, alignment: Alignment) -> None:
    from kinet.matching import BY_CHANCE, clock

    if not alignment.passages:
        say(f"no passage of {a.title} matches one of {b.title}")
        return
    rows = [
        [f"{clock(p.start_a)}-{clock(p.end_a)}", f"{clock(p.start_b)}-{clock(p.end_b)}"]
        for p in alignment.passages
    ]
    show_table([a.title, b.title], rows)
    say(
        f"score {alignment.score:.2f} of 1; {b.title} is "
        f"{_semitones(alignment.transposition)}, at {alignment.tempo_ratio:.2f} times the tempo"
    )
    if alignment.score < BY_CHANCE:
        say("so low a score is found between recordings of different songs too")


def _semitones(count: int) -> str:
    if not count:
        return "in the same key"
    plural = "s" if abs(count) > 1 else ""
    return f"{abs(count)} semitone{plural} {'higher' if count > 0 else 'lower'}"
