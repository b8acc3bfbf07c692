"""The descriptor without a network."""

from __future__ import annotations

import numpy as np
import pytest

from kinet.embeddings import Embedder, embed_arrays
from kinet.errors import DataError, SettingsError
from kinet.features.fourier_magnitudes import (
    Components,
    fourier_magnitudes,
    learn_components,
    learn_discriminants,
    read_components,
    write_components,
)


@pytest.fixture
def components(rng):
    return learn_components([rng.random((90, 12)) for _ in range(30)], size=8)


def test_a_constant_has_its_energy_in_the_first_number():
    magnitudes = fourier_magnitudes(np.ones((40, 12)), (36,))
    assert magnitudes[0] == pytest.approx(1.0)
    np.testing.assert_allclose(magnitudes[1:], 0, atol=1e-6)


def test_a_cosine_in_time_is_one_column_at_its_frequency():
    # Two periods in 36 vectors around a mean of one: amplitude 1 counts as two halves.
    time = np.cos(2 * np.pi * 2 * np.arange(36) / 36)
    magnitudes = fourier_magnitudes(np.tile(1 + time[:, None], (1, 12)), (36,)).reshape(12, 19)
    assert np.argwhere(magnitudes > 1e-6).tolist() == [[0, 0], [0, 2]]
    assert magnitudes[0, 2] / magnitudes[0, 0] == pytest.approx(np.sqrt(2) / 2)


def test_length_of_the_whole_is_that_of_every_patch_length(rng):
    magnitudes = fourier_magnitudes(rng.random((100, 12)))
    parts = np.split(magnitudes, [12 * 13, 12 * (13 + 25)])
    assert [len(part) for part in parts] == [12 * 13, 12 * 25, 12 * 49]
    np.testing.assert_allclose([np.linalg.norm(part) for part in parts], 1, atol=1e-6)


@pytest.mark.parametrize("semitones", range(12))
def test_no_key_changes_it(semitones, rng):
    hpcp = rng.random((120, 12))
    np.testing.assert_allclose(
        fourier_magnitudes(np.roll(hpcp, semitones, axis=1)), fourier_magnitudes(hpcp), atol=1e-6
    )


def test_padding_is_not_heard(rng, components):
    hpcp = rng.random((90, 12))
    padded = np.pad(hpcp, ((0, 310), (0, 0)))
    assert components.describe(padded).tobytes() == components.describe(hpcp).tobytes()


def test_a_short_track_is_played_again(rng):
    hpcp = rng.random((20, 12))
    np.testing.assert_allclose(
        fourier_magnitudes(hpcp, (40,)), fourier_magnitudes(np.tile(hpcp, (2, 1)), (40,))
    )


def test_silence_gives_numbers(components):
    assert np.isfinite(components.describe(np.zeros((10, 12)))).all()
    assert not fourier_magnitudes(np.zeros((10, 12))).any()


def test_versions_are_found_in_another_key_and_excerpt(rng):
    songs = [np.repeat(rng.random((60, 12)), 3, axis=0) for _ in range(40)]
    components = learn_components(songs[20:], size=16)
    first = np.stack([components.describe(song[:160]) for song in songs[:20]])
    second = np.stack([components.describe(np.roll(song[20:], 5, axis=1)) for song in songs[:20]])
    assert ((first @ second.T).argmax(axis=1) == np.arange(20)).all()


def test_descriptors_are_unit_vectors_and_batches_are_their_rows(rng, components):
    batch = rng.random((3, 90, 12))
    rows = components.describe_batch(batch)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert rows[1].tobytes() == components.describe(batch[1]).tobytes()
    assert components.describe_batch(batch[:0]).shape == (0, 8)


def test_whitening_makes_all_axes_count_the_same(rng):
    # Magnitudes that differ in a few ways, some by far more than others.
    tracks = [rng.random((90, 12)) ** rng.uniform(0.3, 3) for _ in range(60)]
    rows = np.stack([fourier_magnitudes(track) for track in tracks])
    spread = [
        np.std((rows - c.mean) @ c.axes.T, axis=0)
        for c in (learn_components(tracks, 10, whitening) for whitening in (0.0, 1.0))
    ]
    assert spread[0][0] > 2 * spread[0][-1]
    np.testing.assert_allclose(spread[1], spread[1][0], rtol=1e-3)


def test_components_are_read_as_they_were_written(tmp_path, components, rng):
    write_components(components, tmp_path / "c.npz")
    read = read_components(tmp_path / "c.npz")
    assert read.patches == components.patches
    hpcp = rng.random((90, 12))
    assert read.describe(hpcp).tobytes() == components.describe(hpcp).tobytes()


def test_components_can_stand_where_a_network_does(rng, components):
    embedder = Embedder(components.describe_batch, components.size, 400, 1, None)
    tracks = [rng.random((n, 12)) for n in (50, 400, 500)]
    rows = embed_arrays(embedder, tracks, None, 2)
    np.testing.assert_allclose(rows[0], components.describe(tracks[0]), atol=1e-6)
    np.testing.assert_allclose(rows[2], components.describe(tracks[2][:400]), atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive"])
def test_a_damaged_file_is_told_in_one_line(tmp_path, content):
    (tmp_path / "c.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read") as told:
        read_components(tmp_path / "c.npz")
    assert "\n" not in str(told.value)
    with pytest.raises(DataError, match="no file"):
        read_components(tmp_path / "absent")


def test_components_of_other_patches_are_refused(tmp_path, components):
    write_components(Components((50,), components.mean, components.axes), tmp_path / "c.npz")
    with pytest.raises(DataError, match="expected 312 columns"):
        read_components(tmp_path / "c.npz")


@pytest.mark.parametrize("hpcp", [np.ones((12, 30)), np.ones((0, 12)), np.full((9, 12), np.nan)])
def test_what_is_no_hpcp_is_told(hpcp):
    with pytest.raises(DataError, match="allowed"):
        fourier_magnitudes(hpcp)


def test_impossible_settings_are_told(rng):
    tracks = [rng.random((90, 12)) for _ in range(4)]
    with pytest.raises(DataError, match="too few"):
        learn_components(tracks, 4)
    for settings in ({"size": 0}, {"whitening": 2.0}, {"patches": (1,)}, {"patches": ()}):
        with pytest.raises(SettingsError, match="allowed"):
            learn_components(tracks, **{"size": 2, **settings})


def test_discriminants_see_what_songs_differ_in_and_not_what_versions_do(rng):
    """Songs have a soft pulse every 12 vectors, versions a loud one every 8."""

    def track(song, version):
        soft, loud = (np.cos(2 * np.pi * np.arange(96) / period) for period in (12, 8))
        return np.tile((1 + 0.1 * song * soft + 0.8 * version * loud)[:, None], (1, 12))

    depths = np.repeat(rng.random(20), 6)
    tracks = [track(depth, rng.random()) for depth in depths]
    rows = np.stack([fourier_magnitudes(hpcp) for hpcp in tracks])

    def agreement(components):
        return abs(np.corrcoef((rows - components.mean) @ components.axes[0], depths)[0, 1])

    songs = [f"{depth:.6f}" for depth in depths]
    assert agreement(learn_discriminants(rows, songs, 1, shrinkage=0.01)) > 0.9
    assert agreement(learn_components(tracks, 1)) < 0.5


def test_the_first_direction_is_the_one_that_tells_most(rng):
    songs = np.repeat(np.arange(12), 4)
    tunes = rng.random((12, 90, 12))
    tracks = [np.clip(tunes[s] + 0.1 * rng.random((90, 12)), 0, 1) for s in songs]
    magnitudes = np.stack([fourier_magnitudes(hpcp) for hpcp in tracks])
    components = learn_discriminants(magnitudes, songs.tolist(), 5)
    rows = (magnitudes - components.mean) @ components.axes.T
    between = np.stack([rows[songs == s].mean(axis=0) for s in range(12)]).var(axis=0)
    assert (np.diff(between) < 0).all()


def test_songs_that_cannot_be_told_apart_are_told(rng):
    tracks = rng.random((6, 1044))
    for songs in (["a"] * 6, list("abcdef"), list("aabb")):
        with pytest.raises(DataError, match="allowed"):
            learn_discriminants(tracks, songs, 3)
    with pytest.raises(SettingsError, match="shrinkage"):
        learn_discriminants(tracks, list("aabbcc"), 2, shrinkage=2.0)
    with pytest.raises(DataError, match=r"magnitudes of shape \(6, 1044\); allowed: \(N, 156\)"):
        learn_discriminants(tracks, list("aabbcc"), 2, patches=(24,))
