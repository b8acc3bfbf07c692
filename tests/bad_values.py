"""Values that no command and no function wants, and a folder full of files of that kind."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from libraries import library_of, tune, write

TEXTS = (
    *("", " ", "-", "--", ".", "..", "/", "/nope/x", "nope", "a b", "x" * 300, "\x1b[2J", "\u202e"),
    *("caf\udce9", "=cmd|'/c calc'!A0", "0", "-1", "1", "3", "1e308", "-1e308", "nan", "inf"),
    *("99999999999999999999", "0x10", "1,5", "none", "wider", "supcon", "channel,channel", "a=b"),
    *("a=1", "expansion=1e999", "%s%n", "../../../etc/passwd", "a\nb"),
)
# Whoever takes these for a folder of music takes in the machine.
WHOLE_MACHINE = ("/", "../../../etc/passwd")
WILD = tuple(text for text in TEXTS if text not in WHOLE_MACHINE)
FILES = (
    *("list", "empty", "noise", "noise.npy", "objects.npy", "a_1.npy", "noise.keras", "noise.h5"),
    *("noise.wav", "tone.wav", "songs.csv", "folder", "features", "plugin.py", "noise.onnx"),
    *("pipe.wav", "loop", "features.json", "noise.npz", "out.png", "music", "noise.db"),
)
LIBRARIES = ("one.library", "two.library")
LISTS = ("all.shards", "noise.shards", "none.shards")
ADDRESSES = (
    *("postgresql://", "postgresql://ann@127.0.0.1:9/covers", "postgres://ann:secret@/covers"),
    *("postgresql://ann:secret@127.0.0.1:1x/covers", "postgresql://[::1/covers", "postgresql:/a@b"),
    *("postgresql://ann@127.0.0.1:99999/covers", "postgresql://ann@127.0.0.1/covers?sslmode=no"),
    *("postgresql://ann@/covers?host=/nope&port=-1", "postgresql://ann@/covers?port=9999999"),
    *("postgresql://ann@127.0.0.1:0/covers", "postgresql://caf\udce9@127.0.0.1:9/\u202e"),
    *("postgresql://ann@127.0.0.1:9/covers?sslmode=verify-full&sslrootcert=noise", "postgresql:"),
    *("postgresql://a%00b@127.0.0.1:9/%00", "postgresql://ann@/covers?host=/a%00b"),
    *("postgresql://ann@xn--/covers", "postgresql://ann@.../covers", "postgresql://ann@%/c"),
)
CLUSTERS = (
    *("tcp://", "tcp://127.0.0.1", "127.0.0.1:9", "http://127.0.0.1:9", "tcp://127.0.0.1:99999"),
    *("tcp://[::1]:9", "tcp://...:9", "tls://127.0.0.1:9", "tcp://a b:9", "tcp://ann@127.0.0.1:9"),
)
MODELS = ("small", "fourier", "smal", "Small", "large", "models/none/best.keras")
# What is near to what an option wants; others are wild.
NEAR: dict[str, tuple[str, ...]] = {
    "loss": (
        *("supcon,softmax:0.5", "supcon,supcon", "softmax:nan", "supcon:-1", ":", ",", "supcon:"),
        *("supcon:1,softmax:0", "triplet,clews:2", "supcn", "softmax,nope", "supcon;softmax"),
    ),
    "loss_options": ("margin=0.3", "triplet.margin=1", "segments=0", "nope.margin=1", "margin=nan"),
    "block_options": ("expansion=2", "expansion=-1", "rank=1", "=1", "expansion=", "a=1=2"),
    "processes": ("1", "2", "0", "-1", "99999"),
    "init": MODELS,
    "model_file": MODELS,
    "model": MODELS,
    "cluster": CLUSTERS,
    "songs_by": ("folder", "title", "tags", "auto", "album"),
    "port": ("0", "80", "8484", "65536"),
    "attention": ("channel", "local,channel", "chanel", "none,none"),
    "precision": ("float16", "mixed_bfloat16"),
    "plugin": ("good.py", "plugin.py", "exits.py", "good"),
    "gpu": ("0", "0,0", "none", "-1", "0,1"),
}
# Where a recording, or a library, is named.
RECORDINGS = ("query.npy", "short.npy", "tone.wav", "noise.wav", "music", "songs.csv")
PLACES = (*LIBRARIES, *LISTS, *ADDRESSES, "damaged.library", "later.library", "music", "noise.db")
TAKES = {
    **dict.fromkeys(("queries", "sources", "first", "second", "paths"), RECORDINGS),
    **dict.fromkeys(("where", "library", "others"), PLACES),
}


def furnish(folder: Path) -> None:
    """Files of many kinds, few of which are what an option wants."""
    shutil.copytree(furnished_once(), folder, symlinks=True, dirs_exist_ok=True)
    os.mkfifo(folder / "pipe.wav")


@functools.cache
def furnished_once() -> Path:
    """All of them but the pipe, made once."""
    folder = Path(tempfile.mkdtemp(prefix="kinet-furnished-"))
    noise = np.random.default_rng(0).bytes(3000)
    for name in (*FILES, "noise.shards"):
        path = folder / name
        if name in ("folder", "features", "music"):
            path.mkdir()
        elif name.startswith("noise"):
            path.write_bytes(noise)
        elif name == "loop":
            path.symlink_to(path)
    hpcp = np.ones((200, 12), np.float32)
    for version in (1, 2):
        np.save(folder / "features" / f"a_{version}.npy", hpcp)
    np.save(folder / "a_1.npy", hpcp)
    np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    write(folder / "query.npy", tune(1, 40))
    write(folder / "short.npy", tune(2, 9))
    (folder / "list").write_text("a 1\na 2\n")
    (folder / "empty").touch()
    (folder / "features.json").write_text('{"features": [[[')
    (folder / "songs.csv").write_text("path,song_id,version_id\nnoise.wav,=a,\x1b[2J\n")
    (folder / "plugin.py").write_text("1 / 0\n")
    (folder / "exits.py").write_text("print('hello')\nraise SystemExit(0)\n")
    (folder / "good.py").write_text(
        "from kinet.blocks import Block, register\n"
        "register(Block('mine', 'one convolution', lambda x, stage: stage.conv(x)))\n"
    )
    (folder / "out.png").write_text("mine")
    soundfile.write(folder / "tone.wav", np.sin(np.arange(50000) / 9), 44100)
    shutil.copy(folder / "tone.wav", folder / "music" / "=cmd \x1b[2J\n\u202e.wav")
    for number, name in enumerate(LIBRARIES):
        made = folder / f"of {name}"
        library_of(made, songs=2 + number, where=folder / name).close()
    (folder / "all.shards").write_text("\n".join(["# both", *LIBRARIES]))
    (folder / "none.shards").write_text(f"{LIBRARIES[0]}\nnope\n{ADDRESSES[1]}\na\0b\n")
    whole = bytearray((folder / LIBRARIES[0]).read_bytes())
    whole[60:64] = (99).to_bytes(4, "big")
    (folder / "later.library").write_bytes(whole)
    middle = len(whole) // 2
    whole[60:64] = (1).to_bytes(4, "big")
    whole[middle : middle + 4000] = np.random.default_rng(1).bytes(4000)
    (folder / "damaged.library").write_bytes(whole)
    return folder


@contextlib.contextmanager
def in_furnished_folder() -> Iterator[Path]:
    """A folder of its own to stand in, in one where nothing else is."""
    with tempfile.TemporaryDirectory(prefix="kinet-calls-") as name:
        folder = Path(name, "here")
        folder.mkdir()
        furnish(folder)
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir("/")
