"""Lists to embeddings: by a network, by its compiled inference form, by whatever embeds batches."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from kinet.backend import can_fuse, compiled_for_inference
from kinet.config import ModelConfig
from kinet.data.tracks import Track
from kinet.embeddings import Embedder, embed_arrays, embed_tracks, fast_embedder, usable_vectors
from kinet.errors import DataError, SettingsError
from kinet.inference import fast_form, steps
from kinet.inference.convolutions import with_fast_convolutions
from kinet.inference.twelve_rows import with_twelve_rows
from kinet.model import build_embedder

CONFIG = ModelConfig(
    "simple",
    2,
    ("channel",),
    "circular",
    channels=16,
    time_field=12,
    vectors=110,
    embedding_size=16,
)


def hpcp(lengths):
    rng = np.random.default_rng(0)
    return [
        (rng.random((length, 12)) ** (1 + index)).astype("float32")
        for index, length in enumerate(lengths)
    ]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return build_embedder(CONFIG)


@pytest.fixture
def tracks(tmp_path):
    found = []
    for index, values in enumerate(hpcp([110, 60, 200])):
        path = tmp_path / f"s{index}_v.npy"
        np.save(path, values)
        found.append(Track(f"s{index}", "v", path))
    return found


def test_the_fast_form_gives_the_same_embeddings_at_every_length_and_batch(model, tracks):
    embedder = fast_embedder(model)
    assert (embedder.size, embedder.vectors) == (16, 110)
    assert (embedder.minimum_vectors, embedder.fixed_vectors) == (CONFIG.minimum_vectors, None)
    for vectors in (None, 101):
        expected = embed_tracks(model, tracks, vectors, batch_size=2)
        found = embed_tracks(embedder, tracks, vectors, batch_size=2)
        assert np.ptp(expected, axis=0).max() > 1e-3
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert found.dtype == np.float32


@pytest.mark.parametrize("stages", [1, 2])
def test_pieces_of_a_batch_keep_their_order(model, stages):
    if stages == 1:  # pieces of another size
        model = build_embedder(replace(CONFIG, stages=1))
    values = hpcp([110] * 23)
    found = embed_arrays(fast_embedder(model), values, None, 23)
    np.testing.assert_allclose(found, embed_arrays(model, values, None, 23), atol=1e-5)


def test_short_and_narrow_networks_take_more_tracks_at_once(model, monkeypatch):
    sizes = []
    monkeypatch.setattr("kinet.inference.running.in_pieces", lambda embed, size: sizes.append(size))
    monkeypatch.setattr("kinet.backend.cores", lambda: 6)
    fast_form(build_embedder(replace(CONFIG, stages=1, channels=64)))
    fast_form(model)
    fast_form(build_embedder(replace(CONFIG, stages=1, channels=65)))
    narrow = 4 if keras.config.backend() == "tensorflow" else 2
    assert sizes == ([6 * narrow, 3 * narrow, 6] if can_fuse() else [12, 12, 12])


def test_what_is_trained_later_does_not_reach_the_fast_form(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    embedder, values = fast_embedder(copy), hpcp([110])
    before = embed_arrays(embedder, values, None, 1)
    copy.set_weights([np.ones_like(weight) for weight in copy.get_weights()])
    np.testing.assert_array_equal(embed_arrays(embedder, values, None, 1), before)


def test_transforms_are_taken_only_where_a_compiler_fuses_their_steps(monkeypatch):
    always = ["12 rows", "joined attention"]
    transformed = ["12 rows", "transformed convolutions", "joined attention"]
    assert list(steps()) == (transformed if can_fuse() else always)
    monkeypatch.setattr("kinet.backend.on_cpu", lambda: False)
    assert list(steps()) == always


@pytest.mark.parametrize("fused", [False, True])
def test_a_compiled_model_takes_any_shape(model, fused):
    run = compiled_for_inference(
        with_fast_convolutions(with_twelve_rows(model)) if fused else model, fused
    )
    for shape in ((1, 110, 12), (3, 101, 12)):
        batch = np.random.default_rng(0).random(shape, np.float32)
        rows = run(batch)
        assert isinstance(rows, np.ndarray)
        np.testing.assert_allclose(
            rows, keras.ops.convert_to_numpy(model(batch, training=False)), atol=1e-5
        )


def means(seen=None):
    """An embedder whose rows are mean vectors; it keeps the shapes that it was given."""

    def embed(batch):
        if seen is not None:
            seen.append(batch.shape)
        return batch.mean(axis=1)

    return Embedder(embed, size=12, vectors=100, minimum_vectors=40, fixed_vectors=None)


def test_all_batches_have_one_shape_and_rows_keep_their_order(tracks):
    seen, told = [], []
    rows = embed_tracks(means(seen), tracks, None, 2, lambda *done: told.append(done))
    assert seen == [(2, 100, 12)] * 2
    assert told == [(2, 3), (3, 3)]
    for row, track in zip(rows, tracks, strict=True):
        values = np.load(track.path)[:100]
        np.testing.assert_allclose(row, values.sum(axis=0) / 100, rtol=1e-5)
    assert embed_tracks(means(), [], None, 2).shape == (0, 12)


def test_a_length_that_the_embedder_does_not_take_is_refused(tracks):
    with pytest.raises(DataError, match="T = 39 vectors was asked for; this model needs at least"):
        embed_tracks(means(), tracks, 39)
    tied = Embedder(lambda batch: batch, 12, 100, 100, fixed_vectors=100)
    with pytest.raises(DataError, match="temporal attention ties this model to T = 100"):
        usable_vectors(tied, 101)
    assert usable_vectors(tied, None) == usable_vectors(tied, 100) == 100


class TestWhatIsNotFinite:
    """No row that says nothing goes out as an embedding."""

    @staticmethod
    def embedder(value):
        return Embedder(lambda batch: batch[:, 0, :4] * value, 4, 20, 20, None)

    @pytest.mark.parametrize("size", [0, -1])
    def test_batches_of_less_than_one_track(self, size):
        with pytest.raises(SettingsError, match=f"batch size is {size}; allowed: an integer from"):
            embed_arrays(self.embedder(1.0), [np.ones((20, 12))], None, size)
        with pytest.raises(SettingsError, match=f"batch size is {size}; allowed: an integer from"):
            embed_tracks(self.embedder(1.0), [], batch_size=size)

    def test_values_that_float32_does_not_have(self):
        with pytest.raises(DataError, match="240 of 240 values are NaN or infinite"):
            embed_arrays(self.embedder(1.0), [np.full((20, 12), 1e300)], None, 1)

    def test_embeddings_that_are_not_finite(self):
        hpcp = [np.ones((20, 12)), np.full((20, 12), 0.5)]
        message = "2 of 2 embeddings have NaN or infinite values, from HPCP of values up to 1"
        with pytest.raises(DataError, match=message):
            embed_arrays(self.embedder(np.float32(np.nan)), hpcp, None, 2)
