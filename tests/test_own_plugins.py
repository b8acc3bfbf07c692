"""Plug-ins of a file of one's own: registered, trained with, saved, loaded again, asked for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from quick import ONCE, ONE_OF_MANY
from test_training import write_layout

import kinet
from kinet.attention import Attention
from kinet.blocks import Block
from kinet.checkpoint import load_model, read_metadata, save
from kinet.cli import run
from kinet.config import ModelConfig
from kinet.errors import CheckpointError, ExportError, PluginError, SettingsError
from kinet.export.formats import FORMATS, choose_converter
from kinet.losses import Loss
from kinet.metadata import PluginUse
from kinet.plugins import files_of, import_file, imported_files
from kinet.testing import check_attention, check_block, check_loss
from kinet.testing.probes import SIZES

PAGE = (Path(__file__).parents[1] / "docs" / "howto" / "own-block.md").read_text()
FILES = {
    name: re.search(rf"```python\n(# {name}\.py\n.*?)```", PAGE, re.DOTALL)[1]
    for name in ("crossed", "gated", "inverted")
}
ABSENT = "of gated.py, whose layers are not here; name that file with --plugin"
SMALL = [
    *("-S", "2", "--channels", "8", "--embedding-size", "8", "--attention", "channel"),
    *("--vectors", "110", "--time-field", "12", "--batch-size", "8", "--epochs", "1"),
]


def usable(form):
    try:
        return choose_converter(FORMATS[form]) is not None
    except ExportError:
        return False


pytestmark = pytest.mark.usefixtures("plugins_forgotten")


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """The documented layout, with the three files of the page in it."""
    monkeypatch.chdir(write_layout(tmp_path))
    for name, source in FILES.items():
        Path(f"{name}.py").write_text(source)
    return tmp_path


def written(tmp_path, source, name="mine"):
    path = tmp_path / f"{name}.py"
    path.write_text(source)
    return path


# The blocks of the page


@pytest.mark.parametrize(
    "name", ["gated", *(pytest.param(n, marks=ONE_OF_MANY) for n in FILES if n != "gated")]
)
def test_the_blocks_of_the_page_keep_the_contract(layout, name):
    import_file(f"{name}.py")
    check_block(name, [2], attention=("channel",))


@pytest.mark.parametrize("name", FILES)
def test_both_pitch_axes_compute_the_same_with_layers_of_ones_own(layout, name, rng):
    import_file(f"{name}.py")
    hpcp = rng.random((2, 99, 12), np.float32)
    circular, unrolled = (
        kinet.build(name, 3, attention=(), pitch_axis=axis, **SIZES)
        for axis in ("circular", "unrolled")
    )
    unrolled.set_weights(circular.get_weights())
    rows = [model.predict_on_batch(hpcp) for model in (circular, unrolled)]
    np.testing.assert_allclose(rows[1], rows[0], atol=1e-5)


def test_an_option_of_a_block_changes_the_network_and_is_kept(layout):
    import_file("inverted.py")
    sizes = {**SIZES, "attention": (), "stages": 2}
    channels = {
        expansion: kinet.build("inverted", block_options=options, **sizes)
        .get_layer("stage1_expand_conv")
        .filters
        for expansion, options in {4: {}, 3: {"expansion": 3.0}}.items()
    }
    assert channels == {4: 4 * 8, 3: 3 * 8}  # the last stage has all 8 channels
    with pytest.raises(SettingsError, match="unknown option of the block inverted 'expand', did"):
        kinet.build("inverted", block_options={"expand": 3}, **sizes)
    with pytest.raises(SettingsError, match="unknown option of the block wider 'x'"):
        kinet.build("wider", block_options={"x": 1}, **sizes)
    with pytest.raises(SettingsError, match=r"block options is 3; allowed: names and numbers"):
        ModelConfig(block_options=3)


def test_a_block_that_does_not_take_its_own_options_breaks_the_contract():
    block = Block("bad", "no options", lambda x, stage: stage.conv(x), defaults={"width": 3})
    with pytest.raises(PluginError, match=r"a model is built: received TypeError: .*'width'"):
        check_block(block, [1], ["circular"])


def test_a_stage_knows_pitch_axis_penalty_and_slope():
    seen = []

    def build(x, stage):
        seen.append((stage.pitch_axis, stage.l2, stage.slope, stage.name("part")))
        return stage.conv(x)

    config = {"attention": (), **SIZES, "l2": 0.25, "stages": 2}
    for axis in ("circular", "unrolled"):
        with kinet.blocks.registry.registered(Block("seeing", "looks around", build)):
            kinet.build("seeing", pitch_axis=axis, **config)
    # 0.3 is the original's.
    assert seen == [
        (axis, 0.25, 0.3, f"stage{index}_part")
        for axis in ("circular", "unrolled")
        for index in range(2)
    ]


def network_of_stage(build, axis):
    """A model of one stage of 3 x 5, and what `build` gave."""
    given = []

    def keep(x, stage):
        given.append((x, build(x, stage)))
        return stage.conv(x)

    with kinet.blocks.registry.registered(Block("kept", "for a test", keep)):
        kinet.build("kept", 6, attention=("channel",), pitch_axis=axis, **SIZES)
    x, output = given[1]  # S = 6: kernels of 3 x 3 after the first
    return keras.Model(x, output)


@pytest.mark.parametrize(("rows", "appended"), [(None, 2), (3, 3)])
def test_wrap_appends_the_first_rows_on_the_circular_axis(rows, appended, rng):
    model = network_of_stage(lambda x, stage: stage.wrap(x, rows, part="own"), "circular")
    x = rng.random((1, 12, 9, model.input_shape[3]), np.float32)
    wrapped = np.concatenate([x, x[:, :appended]], axis=1)
    np.testing.assert_array_equal(model.predict_on_batch(x), wrapped)


def test_wrap_leaves_the_unrolled_axis_as_it_is():
    seen = []

    def build(x, stage):
        seen.append(stage.wrap(x, part="own") is x)
        return stage.conv(x)

    with kinet.blocks.registry.registered(Block("seeing", "looks around", build)):
        kinet.build("seeing", 6, attention=(), pitch_axis="unrolled", **SIZES)
    assert seen == [True] * 6


@pytest.mark.parametrize(("axis", "rows"), [("circular", 12), ("unrolled", 20)])
def test_crop_cuts_to_the_first_rows_and_the_columns_in_the_middle(axis, rows, rng):
    model = network_of_stage(lambda x, stage: stage.crop(x), axis)
    x = rng.random((1, model.input_shape[1], 9, model.input_shape[3]), np.float32)
    np.testing.assert_array_equal(model.predict_on_batch(x), x[:, :rows, 1:8])


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["bn", "channel", "act"]),
        ({"attend": False}, ["bn", "act"]),
        ({"activate": False}, ["bn", "channel"]),
    ],
)
def test_finish_is_normalisation_attention_and_activation(options, names):
    model = network_of_stage(lambda x, stage: stage.finish(x, part="own", **options), "circular")
    assert [layer.name for layer in model.layers[1:]] == [f"stage1_own_{name}" for name in names]


# Register, train, save, load


TRAIN = """
import numpy as np
import gated

import kinet
from kinet.config import ModelConfig, TrainConfig
from kinet.data.tracks import read_tracks
from kinet.training.fitting import Task, train
from kinet.training.runs import RunFolders

kinet.blocks.register(kinet.blocks.registry.get("gated"))
data = "data/youtube_hpcp_npy"

class Quiet:
    def on_batch(self, *_): pass
    def on_epoch(self, *_): pass

model = ModelConfig("gated", 2, ("channel",), vectors=110, channels=8, time_field=12,
                    embedding_size=8)
task = Task(model, TrainConfig(batch_size=8, epochs=1), read_tracks("meta/SHS100K-TRAIN", data),
            read_tracks("meta/SHS100K-VAL", data), RunFolders.of("own"))
train(task, Quiet())
hpcp = np.random.default_rng(0).random((3, 110, 12))
np.save("rows.npy", kinet.embed(kinet.load("models/own/best.keras"), hpcp))
"""
LOAD = """
import numpy as np
import kinet
try:
    kinet.load("models/own/best.keras")
except kinet.errors.CheckpointError as error:
    print(error)
import gated
hpcp = np.random.default_rng(0).random((3, 110, 12))
model = kinet.load("models/own/best.keras")
np.testing.assert_allclose(kinet.embed(model, hpcp), np.load("rows.npy"), atol=1e-6)
"""


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_a_registered_block_trains_is_saved_and_is_loaded_where_it_is_registered(layout):
    done = python(TRAIN)
    assert done.returncode == 0, done.stderr
    used = read_metadata("models/own/best.keras").plugins[0]
    assert (used.kind, used.name, used.distribution, used.version) == ("block", "gated", "", "")
    assert used.file == "gated.py"
    done = python(LOAD)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "models/own/best.keras needs the block 'gated' of gated.py, whose layers are not here; "
        "name that file with --plugin, or import it first (unknown block 'gated'"
    )


@ONCE
def test_from_the_shell_a_block_of_a_file_trains_resumes_and_is_evaluated(
    layout, capsys, plugins_forgotten
):
    command = ["train", *SMALL, "--block", "gated", "--tag", "own"]
    assert run(command) == 1
    assert "unknown block 'gated'" in capsys.readouterr().err
    assert run([*command, "--plugin", "gated.py"]) == 0
    plugins_forgotten()
    assert run(["eval"]) == 1
    assert (
        "of gated.py, whose layers are not here; name that file with --plugin"
        in capsys.readouterr().err
    )
    assert run(["eval", "--plugin", "gated.py"]) == 0
    assert "mAP" in capsys.readouterr().out
    assert run(["embed", "--plugin", "gated.py", "--out", "rows.npz"]) == 0
    resumed = ["train", "--resume", "--tag", "own", "--plugin", "gated.py"]
    assert run(resumed) == 0
    capsys.readouterr()
    assert run(["plugins", "--plugin", "gated.py", "--json"]) == 0
    assert "gated.py" in capsys.readouterr().out


@ONCE
def test_without_layers_of_its_own_a_model_is_loaded_without_its_block(
    layout, capsys, plugins_forgotten
):
    options = ["--plugin", "inverted.py", "--block", "inverted", "--block-option", "expansion=3"]
    assert run(["train", *SMALL, *options, "--tag", "own"]) == 0
    plugins_forgotten()
    assert run(["eval"]) == 0
    metadata = read_metadata("models/own/best.keras")
    assert metadata.model.block_options == {"expansion": 3.0}
    assert metadata.plugins[0].file == "inverted.py"
    capsys.readouterr()
    options[-1] = "expansion=2.5"
    assert run(["train", *SMALL, *options, "--tag", "other"]) == 1
    assert capsys.readouterr().err == (
        "kinet: option expansion of the block inverted is 2.5; allowed: a whole number, such as 4\n"
    )


ANY = next((name for name in FORMATS if usable(name)), None)


def test_a_process_gets_the_files_of_a_models_plug_ins_alone(layout):
    for name in ("crossed", "gated"):
        import_file(f"{name}.py")
    found = files_of([PluginUse("block", "gated", "", "", "gated.py")])
    assert [path.name for path in found] == ["gated.py"]


@ONCE
@pytest.mark.skipif(ANY is None, reason="no library here that writes a format")
def test_a_model_with_layers_of_a_file_is_exported_by_a_process_that_gets_the_file(
    layout, capsys, plugins_forgotten
):
    import_file("gated.py")
    config = ModelConfig("gated", 1, attention=(), **SIZES)
    model = kinet.build(**config.to_dict())
    save(model, "m.keras")
    plugins_forgotten()
    command = ["export", "m.keras", "--format", str(ANY)]
    assert run(command) == 1
    assert (
        "of gated.py, whose layers are not here; name that file with --plugin"
        in capsys.readouterr().err
    )
    assert run([*command, "--plugin", "gated.py"]) == 0


@ONCE
def test_attention_and_losses_are_registered_alike(layout):
    def weigh(x, settings):
        return keras.layers.Rescaling(0.5, name=settings.name)(x)

    kinet.attention.register(Attention("halved", "half of everything", weigh))
    crossentropy = keras.losses.SparseCategoricalCrossentropy
    kinet.losses.register(Loss("plain", "cross-entropy", lambda: crossentropy(from_logits=True)))
    check_attention("halved", [1], ["circular"])
    check_loss("plain")
    options = ["--attention", "halved", "--loss", "plain", "--tag", "own"]
    assert run(["train", *SMALL[:-6], *SMALL[-6:], *options]) == 0
    used = {use.kind: use for use in read_metadata("models/own/best.keras").plugins}
    assert used["loss"].file == used["attention"].file == Path(__file__).name


def test_what_was_registered_without_a_file_says_so(tmp_path):
    @keras.saving.register_keras_serializable("test_own_plugins")
    class Own(keras.layers.Layer):
        def call(self, x):
            return x

    block = Block("fleeting", "in a notebook", lambda x, s: Own(name=s.name("own"))(s.conv(x)))
    path = tmp_path / "m.keras"
    with kinet.blocks.registry.registered(block):
        config = ModelConfig("fleeting", 1, attention=(), **SIZES)
        save(kinet.build(**config.to_dict()), path)
    keras.saving.get_custom_objects().pop("test_own_plugins>Own")
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    assert (
        "needs the block 'fleeting' of a running process, whose layers are not here; register it "
        "in this one too" in str(caught.value)
    )


# Files that cannot be used


GOOD = """
from kinet.blocks import Block, register
print("loading")
register(Block("mine", "one convolution", lambda x, stage: stage.conv(x)))
"""


def test_a_file_is_imported_once_and_what_it_prints_goes_to_stderr(tmp_path, capsys):
    path = written(tmp_path, GOOD)
    import_file(path)
    import_file(str(path))
    assert capsys.readouterr() == ("", "loading\n")
    assert imported_files() == [path]
    assert kinet.blocks.registry.origin("mine").file == str(path)


def test_a_file_can_import_what_lies_beside_it(tmp_path):
    written(tmp_path, GOOD, "beside")
    import_file(written(tmp_path, "import beside"))
    assert "mine" in kinet.blocks.registry.names()


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("x = 1\nraise ValueError('no\\nsuch')", "line 2: ValueError: no"),
        ("x = 1\n\ndef f(:\n", "line 3: SyntaxError: invalid syntax"),
        ("import sys\nsys.exit(3)", "line 2: SystemExit: 3"),
        ("import not_there", "line 1: ModuleNotFoundError: No module named 'not_there'"),
        (
            GOOD.replace("mine", "wider"),
            "line 4: block 'wider' is the name of one of mulkinet",
        ),
    ],
)
def test_a_file_that_fails_is_told_in_one_line_with_the_line_in_it(tmp_path, source, cause):
    path = written(tmp_path, source)
    with pytest.raises(PluginError) as caught:
        import_file(path)
    assert str(caught.value).startswith(f"{path}, {cause}")
    assert "\n" not in str(caught.value)


def test_a_file_that_registers_nothing_is_an_error(tmp_path):
    path = written(tmp_path, "x = 1")
    with pytest.raises(PluginError) as caught:
        import_file(path)
    assert str(caught.value) == (
        f"{path} registers nothing; it must call kinet.blocks.register(block), or that of "
        "kinet.attention, kinet.losses or kinet.datasets"
    )


def test_a_file_needs_a_name_of_its_own(tmp_path):
    for name in ("wave", "argparse", "rich"):
        with pytest.raises(PluginError) as caught:
            import_file(written(tmp_path, GOOD, name))
        assert re.search(
            rf"cannot be imported by its name: {name} is .+; rename it", str(caught.value)
        )
    with pytest.raises(PluginError, match=r"cannot be imported by its name: need letters, digits"):
        import_file(written(tmp_path, GOOD, "my.block"))


@pytest.mark.parametrize("name", ["absent.py", "text.txt", "."])
def test_what_is_no_python_file_is_refused(tmp_path, name, capsys):
    (tmp_path / "text.txt").touch()
    assert run(["plugins", "--plugin", str(tmp_path / name)]) == 1
    assert capsys.readouterr().err == (
        f"kinet: no plug-in file {tmp_path / name}; need a Python file, NAME.py\n"
    )
