"""The networks of the family as Keras models that say what they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from kinet import losses
from kinet.errors import DataError, SettingsError, unknown_name
from kinet.metadata import Metadata

EMBEDDING = "embedding"
FEATURES = "features"
# The layers after the pooling that a new head replaces.
HEAD = ("head", "head_bn", FEATURES)
# Where unit rows are compared beside a classifier; the embedder ends elsewhere.
METRIC = "metric"
LOGITS = "logits"


@keras.saving.register_keras_serializable("kinet")
class Network(keras.Model):
    """An embedder or a classifier: a functional Keras model that carries its `Metadata`.

    So a file that Keras's own `save` writes, or its `ModelCheckpoint`, is one that `kinet.load`
    takes.

    Attributes
    ----------
    metadata : Metadata or None
        Settings, features and the rest; None for a copy that Keras has made of the layers.
    """

    metadata: Metadata | None = None

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, **options: Any) -> None:
        """As of `keras.Model`; `loss` may also be the name of a registered loss.

        Parameters
        ----------
        optimizer : str or keras.optimizers.Optimizer
            As Keras takes it.
        loss : str or keras.losses.Loss
            As Keras takes it, or a name such as ``"triplet"``: that loss with its defaults.
        **options
            As Keras takes them.

        Raises
        ------
        SettingsError
            If nobody knows a loss of that name, or it wants logits and this is an embedder, or the
            other way round.

        Examples
        --------
        >>> import kinet
        >>> model = kinet.build("simple", 1, channels=8, attention=(), embedding_size=16)
        >>> model.compile("adam", loss="supcon")
        >>> model.loss.temperature
        0.1
        """
        if isinstance(loss, str):
            loss = self._of_name(loss)
        super().compile(optimizer, loss, **options)

    def _of_name(self, name: str) -> Any:
        if name not in losses.registry.names():
            try:
                keras.losses.get(name)
            except ValueError as error:
                known = unknown_name("loss", name, losses.registry.names())
                raise SettingsError(f"{known}, and those of keras.losses") from error
            return name
        loss = losses.registry.get(name)
        if loss.output != self._output:
            raise SettingsError(
                f"the loss {name!r} wants {_WANTED[loss.output]}; this model gives "
                f"{_GIVEN[self._output]}"
            )
        return loss.with_options({})

    @property
    def _output(self) -> str:
        if is_embedder(self):
            return "embedding"
        return "logits" if LOGITS in {layer.name for layer in self.layers} else "cosines"

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """As of `keras.Model`, which leaves it to whoever has a `compile` of their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def get_config(self) -> dict[str, Any]:
        said = self.metadata.to_dict() if self.metadata else None
        return {**super().get_config(), "metadata": said}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Network:
        layers = {name: value for name, value in config.items() if name != "metadata"}
        network: Network = super().from_config(layers, custom_objects)
        if config.get("metadata"):
            network.metadata = Metadata.from_dict(config["metadata"])
        return network


_WANTED = {
    "logits": "a classifier, from kinet.build_classifier",
    "cosines": "cosines with songs, which a network of kinet.train gives",
    "embedding": "an embedder, from kinet.build",
}
_GIVEN = {"logits": "logits of songs", "cosines": "cosines with songs", "embedding": "embeddings"}


def make_network(inputs: Any, outputs: Any, name: str, metadata: Metadata | None) -> Network:
    """The functional model from `inputs` to `outputs`, which says `metadata`."""
    network = Network(inputs, outputs, name=name)
    network.metadata = metadata
    return network


def embedding_of(features: Any, name: str = EMBEDDING) -> Any:
    """Features ``(B, D)`` to unit rows, float32."""
    return keras.layers.UnitNormalization(axis=-1, dtype="float32", name=name)(features)


def is_embedder(model: keras.Model) -> bool:
    """Whether a model ends in embeddings.

    Not whether it has such a layer: an ``Embedding`` of Keras may be called the same.
    """
    return bool([layer.name for layer in getattr(model, "layers", ())][-1:] == [EMBEDDING])


def embedder_of(model: keras.Model) -> keras.Model:
    """The embedder within a classifier.

    Parameters
    ----------
    model : keras.Model
        A classifier, or an embedder, which is returned as it is.

    Returns
    -------
    keras.Model
        From HPCP ``(B, T, 12)`` to unit rows ``(B, D)``; it shares the classifier's weights.

    Raises
    ------
    DataError
        If the model is neither.
    """
    if is_embedder(model):
        return model
    if FEATURES not in {layer.name for layer in getattr(model, "layers", ())}:
        name = getattr(model, "name", type(model).__name__)
        raise DataError(
            f"the model {name!r} is not a network of kinet's; allowed: what kinet.build, "
            "kinet.build_classifier or kinet.load gives"
        )
    said = getattr(model, "metadata", None)
    return make_network(
        model.input,
        embedding_of(model.get_layer(FEATURES).output),
        "embedder",
        said and dataclasses.replace(said, songs=()),
    )
