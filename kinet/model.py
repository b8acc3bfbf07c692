"""Settings to embedder and classifier: where stages, attention, summary and head meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras.src.backend.common import global_state

from kinet import attention as attention_modules
from kinet import blocks
from kinet.attention import AttentionSettings
from kinet.blocks import Stage
from kinet.config import (
    LEAKY_SLOPE,
    PITCH_CLASSES,
    SUMMARY_DILATION,
    SUMMARY_KERNEL,
    SUMMARY_POOL,
    SUMMARY_REPEATS,
    SUMMARY_STRIDE,
    FeatureConfig,
    ModelConfig,
)
from kinet.layers import AutoPool, GeneralisedMean, PitchRows, PitchWrap
from kinet.metadata import Metadata
from kinet.network import FEATURES, LOGITS, METRIC, Network, embedding_of, make_network
from kinet.plugins import plugins_of
from kinet.proxies import Proxies

LAYOUT = "channels_last"
_WAITING = "uninitialized_variables"


def build_embedder(config: ModelConfig, features: FeatureConfig | None = None) -> Network:
    """Build the network that embeds tracks.

    Parameters
    ----------
    config : ModelConfig
        The member of the family.
    features : FeatureConfig, optional
        How the HPCP that it will see are made; by default as kinet makes them.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, embedding_size)``, float32. T is
        ``config.vectors`` if an attention module ties the model to it, otherwise anything from
        ``config.minimum_vectors``.

    Raises
    ------
    PluginError
        If the block or an attention module is unknown or broken.

    Examples
    --------
    >>> from kinet.config import ModelConfig
    >>> config = ModelConfig(block="simple", stages=1, attention=(), channels=4, embedding_size=8)
    >>> build_embedder(config).output_shape
    (None, 8)
    """
    inputs = keras.Input((fixed_vectors(config), PITCH_CLASSES), name="hpcp")
    outputs = embedding_of(_head(_pooled(inputs, config), config)[1])
    return make_network(inputs, outputs, "embedder", _metadata(config, features, ()))


def build_classifier(
    config: ModelConfig,
    songs: Sequence[str],
    dropout: float = 0.5,
    features: FeatureConfig | None = None,
) -> Network:
    """Build the network that is trained to tell `songs` songs apart.

    Parameters
    ----------
    config : ModelConfig
        The member of the family.
    songs : sequence of str
        Their ids, in the order of the columns of the output.
    dropout : float
        Between features and classifier.
    features : FeatureConfig, optional
        How the HPCP that it will see are made; by default as kinet makes them.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to logits ``(B, len(songs))``, float32.
        `kinet.network.embedder_of` gives the embedder that shares its weights.
    """
    inputs = keras.Input((fixed_vectors(config), PITCH_CLASSES), name="hpcp")
    logits = _logits(_head(_pooled(inputs, config), config)[1], config, len(songs), dropout)
    return make_network(inputs, logits, "classifier", _metadata(config, features, songs))


def build_for(
    outputs: Sequence[str],
    config: ModelConfig,
    songs: Sequence[str],
    dropout: float = 0.5,
    features: FeatureConfig | None = None,
) -> Network:
    """Build the network that gives all that losses want.

    Parameters
    ----------
    outputs : sequence of str
        Of `kinet.losses.OUTPUTS`, each once.
    config, songs, dropout, features
        As of `build_classifier`; an embedder has no use for songs and dropout.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to the output, or to a dictionary of several.
        `kinet.network.embedder_of` gives the embedder in it.

    Examples
    --------
    >>> config = ModelConfig("simple", 1, (), channels=4, embedding_size=8)
    >>> network = build_for(("logits", "embedding"), config, ["s1", "s2"])
    >>> given = network(keras.ops.ones((1, 140, 12)))
    >>> tuple(given["logits"].shape), tuple(given["embedding"].shape)
    ((1, 2), (1, 8))
    """
    if list(outputs) == ["embedding"]:
        return build_embedder(config, features)
    if list(outputs) == ["logits"]:
        return build_classifier(config, songs, dropout, features)
    inputs = keras.Input((fixed_vectors(config), PITCH_CLASSES), name="hpcp")
    compared, x = _head(_pooled(inputs, config), config)
    build = {
        "logits": lambda: _logits(x, config, len(songs), dropout),
        "cosines": lambda: Proxies(len(songs), name="cosines", dtype="float32")(x),
        "embedding": lambda: embedding_of(compared, METRIC),
    }
    given = {output: build[output]() for output in outputs}
    only = given[outputs[0]] if len(outputs) == 1 else given
    return make_network(inputs, only, "joint", _metadata(config, features, songs))


def _logits(x: Any, config: ModelConfig, songs: int, dropout: float) -> Any:
    # With a seed PyTorch's dropout too draws from the layer's own state, which training sets.
    x = keras.layers.Dropout(dropout, seed=0, name="dropout")(x)
    penalty = _penalty(config)
    return keras.layers.Dense(
        songs, use_bias=False, kernel_regularizer=penalty, name=LOGITS, dtype="float32"
    )(x)


def _metadata(
    config: ModelConfig, features: FeatureConfig | None, songs: Sequence[str]
) -> Metadata:
    return Metadata(
        config, features or FeatureConfig(), songs=tuple(songs), plugins=plugins_of(config)
    )


def shapes_without_memory(build: Callable[[], Any]) -> dict[str, list[tuple[int, ...]]]:
    """The shapes of the weights of what `build` builds, by layer, without memory for any of them.

    Examples
    --------
    >>> dense = keras.layers.Dense(10**6, name="large")
    >>> shapes_without_memory(lambda: keras.Sequential([keras.Input((10**6,)), dense]))
    {'large': [(1000000, 1000000), (1000000,)]}
    """
    # Keras keeps a list of variables that wait for their values, gives them these when the next
    # scope ends, whoever's it is, and has no public way to take them off again.
    waiting = list(global_state.get_global_attribute(_WAITING, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            return {
                layer.name: [tuple(weight.shape) for weight in layer.weights]
                for layer in build().layers
                if layer.weights
            }
    finally:
        global_state.set_global_attribute(_WAITING, waiting)


def fixed_vectors(config: ModelConfig) -> int | None:
    """T of a model whose attention is tied to it, None where any T will do."""
    tied = any(attention_modules.registry.get(name).fixed_length for name in config.attention)
    return config.vectors if tied else None


def _pooled(inputs: Any, config: ModelConfig) -> Any:
    """From HPCP to ``(B, channels)``."""
    unit = _Unit(config)
    block = blocks.registry.get(config.block)
    options = block.options(config.block_options)
    x = PitchRows(config.rows, config.minimum_vectors, config.vectors, name="pitch_rows")(inputs)
    for index in range(config.stages):
        x = block.build(x, Stage.of(config, index, unit), **options)
    x = keras.layers.MaxPooling2D((PITCH_CLASSES, 1), data_format=LAYOUT, name="key_pool")(x)
    for index in range(SUMMARY_REPEATS):
        kernel, dilation = (1, SUMMARY_KERNEL), (1, SUMMARY_DILATION)
        x = unit.conv(x, f"summary{index}", config.channels, kernel, dilation)
        x = unit.finish(x, f"summary{index}")
        x = keras.layers.MaxPooling2D(
            (1, SUMMARY_POOL), (1, SUMMARY_STRIDE), data_format=LAYOUT, name=f"summary{index}_pool"
        )(x)
    return _pooling(config)(x)


def _head(x: Any, config: ModelConfig) -> tuple[Any, Any]:
    """What versions are compared by, and what songs are told apart and tracks embedded by.

    Both ``(B, embedding_size)``, and one and the same but for a batch-norm neck.
    """
    x = keras.layers.Dense(
        config.embedding_size, use_bias=False, kernel_regularizer=_penalty(config), name="head"
    )(x)
    if config.head == "bnneck":
        return x, keras.layers.BatchNormalization(center=False, name=FEATURES)(x)
    x = keras.layers.BatchNormalization(name="head_bn")(x)
    x = keras.layers.LeakyReLU(LEAKY_SLOPE, name=FEATURES)(x)
    return x, x


def _pooling(config: ModelConfig) -> keras.layers.Layer:
    """From ``(B, 1, T, C)`` to ``(B, C)``."""
    if config.pooling == "mean":
        return keras.layers.GlobalAveragePooling2D(data_format=LAYOUT, name="summary")
    # Powers, roots and exponentials need more digits than half of a float.
    learned = {"gem": GeneralisedMean, "autopool": AutoPool}[config.pooling]
    return learned(name="summary", dtype="float32")


def _penalty(config: ModelConfig) -> Any:
    return keras.regularizers.L2(config.l2)


class _Unit:
    """The steps of a convolution unit, for stages and summary; see `kinet.blocks.Unit`."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config

    def wrap(self, x: Any, name: str, rows: int) -> Any:
        if self.config.pitch_axis != "circular" or not rows:
            return x
        return PitchWrap(rows, name=f"{name}_wrap")(x)

    def conv(
        self,
        x: Any,
        name: str,
        filters: int,
        kernel: tuple[int, int],
        dilation: tuple[int, int] = (1, 1),
    ) -> Any:
        return keras.layers.Conv2D(
            filters,
            kernel,
            dilation_rate=dilation,
            use_bias=False,
            kernel_regularizer=_penalty(self.config),
            data_format=LAYOUT,
            name=f"{name}_conv",
        )(x)

    def finish(self, x: Any, name: str, attend: bool = True, activate: bool = True) -> Any:
        config = self.config
        x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
        for module in config.attention if attend else ():
            settings = AttentionSettings(f"{name}_{module}", config.attention_ratio, config.l2)
            x = attention_modules.registry.get(module).build(x, settings)
        return keras.layers.LeakyReLU(LEAKY_SLOPE, name=f"{name}_act")(x) if activate else x

    def crop(self, x: Any, name: str, kernel: tuple[int, int]) -> Any:
        rows, columns = (size - 1 for size in kernel)
        lost = rows if self.config.pitch_axis == "unrolled" else 0
        before = columns // 2
        return keras.layers.Cropping2D(
            ((0, lost), (before, columns - before)), data_format=LAYOUT, name=name
        )(x)
