"""Real clips of several kinds, as mp3, ogg and flac: `python benchmarks/clips.py FOLDER`.

Scores of music21's corpus are rendered with FluidSynth and a General MIDI sound font; music,
speech and noise come from Debian's packages, so that anyone can have the same ones:

    apt-get install fluidsynth fluid-soundfont-gm espeak-ng alsa-utils sound-theme-freedesktop \
        extremetuxracer-data frozen-bubble-data
    pip install music21
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import click
import numpy as np
import soundfile
from numpy.typing import NDArray

from kinet.audio import read_audio

RATE = 44100
SECONDS = 30
SOUND_FONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
FORMATS = {
    "flac": {"format": "FLAC"},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III"},
}
# Work in music21's corpus: General MIDI programs, one for each part in turn.
SCORES: dict[str, tuple[int, ...]] = {
    "bach/bwv1.6": (52, 52, 52, 52),
    "bach/bwv66.6": (19, 19, 19, 19),
    "beethoven/opus18no1/movement1": (40, 40, 41, 42),
    "haydn/opus74no1/movement1": (40, 40, 41, 42),
    "mozart/k155/movement1": (73, 71, 70, 60),
    "joplin/maple_leaf_rag": (0, 0),
    "schumann_clara/polonaise_op1n1": (3, 3),
    "schoenberg/opus19/movement2": (0, 0),
    "handel/rinaldo/lascia_chio_pianga": (53, 48, 48, 48),
    "corelli/opus3no1/1grave": (56, 57, 58),
}
# Clip: file of a Debian package.
FILES = {
    "music-spunkyrace": "/usr/share/games/etr/music/spunkyrace-ks.ogg",
    "music-calmrace": "/usr/share/games/etr/music/calmrace-ks.ogg",
    "music-freezingpoint": "/usr/share/games/etr/music/freezingpoint.ogg",
    "music-start": "/usr/share/games/etr/music/start1-jt.ogg",
    "music-race": "/usr/share/games/etr/music/race1-jt.ogg",
    "music-frozen-1": "/usr/share/games/frozen-bubble/snd/frozen-mainzik-1p.ogg",
    "music-frozen-2": "/usr/share/games/frozen-bubble/snd/frozen-mainzik-2p.ogg",
    "noise-test": "/usr/share/sounds/alsa/Noise.wav",
    "noise-mud": "/usr/share/games/etr/sounds/mud_slide.wav",
    "noise-leaves": "/usr/share/games/etr/sounds/leaves_slide.wav",
    "noise-applause": "/usr/share/games/frozen-bubble/snd/applause.ogg",
    "sound-telephone": "/usr/share/sounds/freedesktop/stereo/phone-incoming-call.oga",
}
TEXT = {
    "en": "A cover may be in another key, at another tempo and with other instruments.",
    "de": "Eine andere Fassung steht oft in einer anderen Tonart und hat ein anderes Tempo.",
    "fr": "Une reprise peut avoir une autre tonalité, un autre tempo et d'autres instruments.",
}


def rendered_score(work: str, programs: tuple[int, ...], folder: Path) -> NDArray[np.float32]:
    """A score of music21's corpus, played by FluidSynth."""
    from music21 import corpus, instrument

    score = corpus.parse(work)
    for part, program in zip(score.parts, programs, strict=False):
        for found in list(part.recurse().getElementsByClass("Instrument")):
            found.activeSite.remove(found)
        played = instrument.Instrument()
        played.midiProgram = program
        part.insert(0, played)
    midi, wav = folder / "score.mid", folder / "score.wav"
    score.write("midi", midi)
    command = ["fluidsynth", "-niq", "-r", str(RATE), "-F", str(wav), SOUND_FONT, str(midi)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return read_audio(wav, RATE)


def spoken(language: str, folder: Path) -> NDArray[np.float32]:
    """A sentence, by espeak-ng."""
    wav = folder / "speech.wav"
    subprocess.run(["espeak-ng", "-v", language, "-w", str(wav), TEXT[language]], check=True)
    return read_audio(wav, RATE)


def write_clips(folder: Path) -> list[Path]:
    """Write every clip in every format; what is there is not made again."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        makers = {
            f"score-{name.replace('/', '-')}": lambda n=name, p=programs: rendered_score(n, p, work)
            for name, programs in SCORES.items()
        }
        makers |= {name: lambda p=path: read_audio(p, RATE) for name, path in FILES.items()}
        makers |= {f"speech-{code}": lambda c=code: spoken(c, work) for code in TEXT}
        for name, make in makers.items():
            paths = [folder / f"{name}.{suffix}" for suffix in FORMATS]
            written += paths
            if all(path.exists() for path in paths):
                continue
            signal = make()[: SECONDS * RATE]
            for path, options in zip(paths, FORMATS.values(), strict=True):
                soundfile.write(path, signal, RATE, **options)
    return written


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Write the clips into FOLDER."""
    click.echo(f"{len(write_clips(folder))} files in {folder}")


if __name__ == "__main__":
    main()
