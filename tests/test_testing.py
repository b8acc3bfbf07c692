"""The checks for plug-in authors find what is wrong, and say it in one line."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from kinet.attention import Attention
from kinet.blocks import Block
from kinet.errors import CheckpointError, PluginError
from kinet.losses import Loss
from kinet.testing import check_attention, check_block, check_loss

EXAMPLE = Path(__file__).parents[1] / "examples" / "kinet-plugin-dilated"


def message(check, plugin, *arguments, **options) -> str:
    with pytest.raises(PluginError) as caught:
        check(plugin, *arguments, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


def block(build) -> Block:
    return Block("bad", "does not keep its promises", build)


def attention(build, fixed_length=False) -> Attention:
    return Attention("bad", "does not keep its promises", build, fixed_length)


def test_what_is_no_plugin():
    text = message(check_block, 3)
    assert text == "block to check is a int; allowed: a kinet.blocks.Block or a registered name"
    assert "unknown block 'simpel', did you mean 'simple'?" in message(check_block, "simpel")


def test_a_block_that_loses_rows():
    def build(x, stage):
        return stage.conv(x, kernel=(stage.kernel[0] + 1, stage.kernel[1]))

    text = message(check_block, block(build), [2], ["unrolled"])
    assert text.startswith("block 'bad', S = 2, unrolled pitch axis, stage 0: shape (B, rows - ")
    assert text.endswith("received (None, 17, None, 8); expected (None, 18, None, 8)")


def test_a_block_that_loses_columns():
    def build(x, stage):
        return stage.conv(x, kernel=(stage.kernel[0], stage.kernel[1] + 1))

    text = message(check_block, block(build), [2], ["circular"])
    assert "S = 2, circular pitch axis, stage 0: shape" in text
    assert text.endswith("received (6, 12, 93, 8); expected (6, 12, 94, 8)")


def test_a_block_that_ends_with_too_few_channels():
    def build(x, stage):
        return stage.conv(x, stage.squeezed_channels)

    assert "stage 0: shape" in message(check_block, block(build), [1])


def test_a_block_that_gives_nothing():
    text = message(check_block, block(lambda x, stage: None), [1])
    assert text.endswith("received NoneType; expected (None, 12, None, 8)")


def test_a_block_that_tells_rows_apart_only_when_trained():
    import keras

    class RowBias(keras.layers.Layer):
        def build(self, shape):
            self.bias = self.add_weight(shape=(1, shape[1], 1, 1), initializer="zeros")

        def call(self, x):
            return x + self.bias

    def build(x, stage):
        return RowBias(name=f"bias{stage.index}")(stage.conv(x))

    for axis in ("unrolled", "circular"):
        text = message(check_block, block(build), [1], [axis])
        assert f"{axis} pitch axis, stage 0: rotating the input's rows" in text
        assert "received a difference of" in text


def test_a_block_with_a_weight_that_nothing_reaches():
    import keras

    class Idle(keras.layers.Layer):
        def build(self, shape):
            self.idle = self.add_weight(shape=(3,), name="idle")

        def call(self, x):
            return x + 0 * keras.ops.sum(keras.ops.stop_gradient(self.idle))

        def get_config(self):
            return super().get_config()

    keras.saving.register_keras_serializable("test_testing")(Idle)

    def build(x, stage):
        return Idle(name=f"idle{stage.index}")(stage.conv(x))

    text = message(check_block, block(build), [1], ["circular"])
    assert "a gradient reaches every trainable weight: received none for idle0/idle;" in text


def test_a_block_whose_names_are_keras_own_or_taken_twice():
    import keras

    def unnamed(x, stage):
        return keras.layers.BatchNormalization()(stage.conv(x))

    text = message(check_block, block(unnamed), [1])
    assert "names of layers with weights are the same in every model" in text

    def twice(x, stage):
        return stage.conv(stage.conv(x), kernel=(1, 1))

    assert "a model is built: received ValueError: " in message(check_block, block(twice), [1])


def test_a_layer_that_cannot_be_loaded():
    import keras

    class Unregistered(keras.layers.Layer):
        def call(self, x):
            return x

    def build(x, stage):
        return Unregistered(name=f"own{stage.index}")(stage.conv(x))

    with pytest.raises((PluginError, CheckpointError)) as caught:
        check_block(block(build), [1], ["circular"])
    assert "\n" not in str(caught.value)


def test_attention_that_changes_the_shape():
    text = message(check_attention, attention(lambda x, site: x[:, :, :, :2]), [1])
    assert "the output has the shape of the input: received (None, 12, None, 2)" in text


def test_attention_that_lies_about_fixed_length():
    from kinet.attention.temporal import build

    text = message(check_attention, attention(build), [1])
    assert "with fixed_length=False it is built without knowing T: received ValueError" in text
    check_attention(attention(build, fixed_length=True), [1], ["circular"])


def test_attention_that_gives_nan():
    from keras import ops

    text = message(check_attention, attention(lambda x, site: ops.sqrt(x - 1e3)), [1])
    assert "values are finite" in text


def test_attention_that_tells_rows_apart():
    from keras import ops

    def build(x, site):
        rows = x.shape[1]
        return x * ops.reshape(ops.arange(rows, dtype="float32") + 1, (1, rows, 1, 1))

    text = message(check_attention, attention(build), [1], ["circular"])
    assert "rotating the input's rows leaves the embedding as it is" in text


def loss(call, **fields) -> Loss:
    import keras

    class Bad(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return call(y_true, y_pred)

    return Loss("bad", "does not keep its promises", lambda **options: Bad(), **fields)


def test_a_loss_whose_gradient_is_nan():
    from keras import ops

    def call(y_true, y_pred):
        # The root is taken of an exact zero, where it has no slope.
        return ops.sqrt(ops.sum(y_pred**2, axis=1) * 0.0)

    text = message(check_loss, loss(call, output="embedding"))
    assert "the gradient is finite: received" in text


def test_a_loss_that_is_nan_for_a_song_of_one_version():
    from keras import ops

    def call(y_true, y_pred):
        labels = ops.reshape(y_true, (-1, 1))
        same = ops.cast(ops.equal(labels, ops.transpose(labels)), "float32")
        same = same * (1 - ops.eye(8))
        cosines = ops.matmul(y_pred, ops.transpose(y_pred))
        return -ops.sum(same * cosines, axis=1) / ops.sum(same, axis=1)

    text = message(check_loss, loss(call, output="embedding"))
    assert "finite for songs with one version: received nan" in text


def test_a_loss_that_depends_on_the_order():
    from keras import ops

    text = message(check_loss, loss(lambda t, p: ops.sum(p**2, axis=1) * ops.arange(8.0)))
    assert "the order of the batch does not matter" in text


def test_a_loss_that_does_not_fall():
    from keras import ops

    text = message(check_loss, loss(lambda t, p: ops.sum(p**2, axis=1) * 0 + 1))
    assert "steps of training on one batch bring it down" in text


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (Loss("bad", "", lambda: 0, output="rows"), "output: received 'rows'; expected logits or"),
        (Loss("bad", "", lambda: 0, versions_per_song=1), "versions_per_song: received 1; "),
        (Loss("bad", "", lambda: 0), "build gives a loss: received int; expected a keras.losses"),
        (Loss("bad", "", lambda: 0, defaults={"m": 1.0}), "build takes the options of defaults"),
    ],
)
def test_a_loss_that_is_declared_wrongly(bad, text):
    assert text in message(check_loss, bad)


@pytest.fixture
def example(install, monkeypatch):
    """The example plug-in, installed."""
    from kinet import attention as modules
    from kinet import blocks

    monkeypatch.syspath_prepend(str(EXAMPLE))
    before = set(sys.modules)
    package = "kinet_plugin_dilated"
    folder = install(
        "kinet-plugin-dilated",
        "0.1.0",
        {
            "kinet.blocks": {"dilated": f"{package}.block:block"},
            "kinet.attention": {"squeeze-excite": f"{package}.attention:attention"},
        },
    )
    importlib.invalidate_caches()
    # Loaded plug-ins and registered layers outlive a test otherwise.
    for registry in (blocks.registry, modules.registry):
        monkeypatch.setattr(registry, "_loaded", {})
    yield lambda: forget(folder)
    forget(folder)
    for name in set(sys.modules) - before:
        if name.startswith(package):
            del sys.modules[name]


def forget(folder):
    """As if the example had been uninstalled and a new process begun."""
    import keras

    from kinet import attention as modules
    from kinet import blocks

    keras.saving.get_custom_objects().pop("kinet_plugin_dilated>SqueezeExcite", None)
    for path in (str(folder), str(EXAMPLE)):
        if path in sys.path:
            sys.path.remove(path)
    for registry in (blocks.registry, modules.registry):
        for name in ("dilated", "squeeze-excite"):
            registry._loaded.pop(name, None)
    for name in [n for n in sys.modules if n.startswith("kinet_plugin_dilated")]:
        del sys.modules[name]


def saved(tmp_path, **settings):
    from kinet.checkpoint import save
    from kinet.config import ModelConfig
    from kinet.model import build_embedder
    from kinet.testing.probes import SIZES

    config = ModelConfig(stages=1, **SIZES, **settings)
    model = build_embedder(config)
    save(model, tmp_path / "m.keras")
    return model


def test_the_example_keeps_the_contract(example):
    check_block("dilated", [2], ["circular"])
    check_attention("squeeze-excite", [1], ["circular"])


def test_a_missing_plugin_with_layers_is_named_with_what_to_install(example, tmp_path):
    from kinet.checkpoint import load_model

    saved(tmp_path, block="simple", attention=("squeeze-excite",))
    example()
    with pytest.raises(CheckpointError) as caught:
        load_model(tmp_path / "m.keras")
    text = str(caught.value)
    assert "needs the attention 'squeeze-excite' of kinet-plugin-dilated 0.1.0" in text
    assert "pip install kinet-plugin-dilated==0.1.0" in text
    assert "\n" not in text


def test_an_installed_plugin_registers_its_layers_when_a_model_needs_them(example, tmp_path):
    import keras

    from kinet.checkpoint import load_model

    saved(tmp_path, block="simple", attention=("squeeze-excite",))
    # A new process: the distribution is there, its layers are not imported yet.
    keras.saving.get_custom_objects().pop("kinet_plugin_dilated>SqueezeExcite")
    for name in [n for n in sys.modules if n.startswith("kinet_plugin_dilated")]:
        del sys.modules[name]
    load_model(tmp_path / "m.keras")


def test_a_missing_plugin_without_layers_is_not_needed(example, tmp_path, rng):
    from kinet.checkpoint import load_model
    from kinet.testing.probes import run

    model = saved(tmp_path, block="dilated", attention=())
    example()
    loaded, metadata = load_model(tmp_path / "m.keras")
    assert metadata.plugins[0].distribution == "kinet-plugin-dilated"
    hpcp = rng.random((2, 99, 12), np.float32)
    np.testing.assert_allclose(run(loaded, hpcp), run(model, hpcp), rtol=1e-5)
