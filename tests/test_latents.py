"""Latents and labels are pure functions of (seed, i); walks go along arcs between them."""

import numpy as np

from kgan.latents import sample_labels, sample_latents, slerp, walk_latents


def test_latent_of_an_image_depends_on_seed_and_index_alone():
    whole = sample_latents(5, 0, 20, latent_dim=7)
    np.testing.assert_array_equal(sample_latents(5, 13, 17, latent_dim=7), whole[13:17])
    assert not np.array_equal(sample_latents(6, 0, 20, latent_dim=7), whole)


def test_latents_are_box_muller_of_raw_philox_bits():
    bits = np.random.Philox(key=np.array([3, 11], np.uint64)).random_raw(2)
    u, v = (int(b) / 2**64 for b in bits)
    expected = np.sqrt(-2 * np.log(1 - u)) * np.array(
        [np.cos(2 * np.pi * v), np.sin(2 * np.pi * v)]
    )
    np.testing.assert_allclose(sample_latents(3, 11, 12, latent_dim=2)[0], expected, rtol=1e-5)


def test_latents_are_standard_normal():
    latents = sample_latents(0, 0, 2000, latent_dim=50).astype(np.float64)
    n = latents.size
    assert abs(latents.mean()) < 4 / np.sqrt(n)
    assert abs(latents.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((latents**4).mean() - 3) < 4 * np.sqrt(96 / n)
    correlations = np.corrcoef(latents, rowvar=False)[np.triu_indices(50, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(2000)


def test_labels_are_uniform_and_leave_latents_alone():
    labels = sample_labels(0, 0, 5000, num_classes=10)
    counts = np.bincount(labels, minlength=10)
    assert ((counts - 500) ** 2 / 500).sum() < 27.9  # chi-square, 9 degrees, 0.1%
    np.testing.assert_array_equal(sample_labels(0, 40, 50, num_classes=10), labels[40:50])


def _angles(a, b):
    """Angles between vectors: of their sum and difference, which is exact for small ones too."""
    a, b = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (a, b))
    return 2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))


def test_slerp_keeps_norms_and_turns_evenly():
    """Against the rotation of the start in the plane of both, by a share of their angle."""
    start, stop = np.random.default_rng(0).normal(size=(2, 5, 32))
    start, stop = (7 * v / np.linalg.norm(v, axis=1, keepdims=True) for v in (start, stop))
    u = start / 7
    aside = stop - np.sum(stop * u, axis=1, keepdims=True) * u  # Gram and Schmidt
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    angle = _angles(start, stop)[:, None]
    for t in (0.0, 0.1, 0.5, 0.75, 1.0):
        point = slerp(start, stop, t)
        np.testing.assert_allclose(np.linalg.norm(point, axis=1), 7, rtol=1e-12)
        expected = 7 * (np.cos(t * angle) * u + np.sin(t * angle) * aside)
        np.testing.assert_allclose(point, expected, rtol=0, atol=1e-12)


def test_slerp_interpolates_norms_that_differ():
    """Between nearly opposite vectors too, where weights of the formula are of thousands."""
    for stop in ([0.0, 4.0], [-4.0, 1e-4]):
        points = [slerp([2.0, 0.0], stop, t) for t in (0, 0.25, 0.5, 1)]
        np.testing.assert_allclose(np.linalg.norm(points, axis=1), [2, 2.5, 3, 4], rtol=1e-6)


def test_slerp_without_a_plane_is_linear():
    np.testing.assert_allclose(slerp([1.0, 2.0], [2.0, 4.0], 0.5), [1.5, 3.0])
    np.testing.assert_allclose(slerp([[2.0], [3.0]], [[-2.0], [3.0]], 0.5), [[0.0], [3.0]])


def test_walk_passes_the_latents_of_the_seed():
    walk = walk_latents(3, walkers=5, stops=3, steps=4, latent_dim=6)
    assert walk.shape == (12, 5, 6) and walk.dtype == np.float32
    np.testing.assert_array_equal(walk[::4].reshape(15, 6), sample_latents(3, 0, 15, 6))


def test_walk_is_closed_and_its_steps_are_even():
    walk = walk_latents(3, walkers=5, stops=3, steps=4, latent_dim=6).astype(np.float64)
    steps = _angles(walk, np.roll(walk, -1, axis=0)).reshape(3, 4, 5)  # the last to the first
    stops = walk[::4]
    whole = _angles(stops, np.roll(stops, -1, axis=0))  # (stops, walkers)
    np.testing.assert_allclose(steps, np.repeat(whole[:, None] / 4, 4, axis=1), atol=1e-6)
