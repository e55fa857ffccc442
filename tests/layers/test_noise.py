"""Noise inside a network."""

import numpy as np
import pytest
import tensorflow as tf

from kgan.layers import NoiseInjection
from kgan.random import Draws
from layers.harness import LayerHarness, normal

X = normal(6, 5, 4, 3)


class TestNoiseInjection(LayerHarness):
    kind = NoiseInjection
    config = {"seed": 3}
    inputs = (X,)

    def noise(self, draws=None, rows=slice(None), layer=None):
        """What training adds, at a strength of 2."""
        layer = self.layer() if layer is None else layer
        layer.strength.assign(2.0)
        if draws is None:
            return (layer(X[rows], training=True) - X[rows]) / 2
        with draws:
            return (layer(X[rows], training=True) - X[rows]) / 2

    def test_value_in_inference_is_the_stored_noise(self):
        layer = self.layer()
        layer.strength.assign(2.0)
        for _ in range(2):
            np.testing.assert_array_equal(layer(X), X + 2.0 * layer.constant.numpy())

    def test_stored_noise_is_the_seeds(self):
        layers = [NoiseInjection(seed=s) for s in (3, 3, 4)]
        for layer in layers:
            layer.build(X.shape)
        a, b, c = (layer.constant.numpy() for layer in layers)
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)

    def test_strength_starts_at_zero_where_the_layer_is_the_identity(self):
        layer = NoiseInjection(dtype="float64")
        for training in (False, True):
            np.testing.assert_array_equal(layer(X, training=training), X)

    @pytest.mark.parametrize("inside", [False, True])
    def test_fresh_for_every_image_and_call_in_training(self, inside):
        draws = Draws(0, 0, 6) if inside else None
        layer = self.layer()
        one, other = self.noise(draws, layer=layer), self.noise(draws, layer=layer)
        maps = np.concatenate([one, other])[..., 0].reshape(12, -1).round(6)
        assert len(np.unique(maps, axis=0)) == 12
        np.testing.assert_allclose(one - one[..., :1], 0, atol=1e-14)  # alike in all channels

    def test_is_what_the_draws_of_the_step_give(self):
        expected = Draws(1, 2, 6).normal((5, 4, 1), dtype="float64")
        noise = self.noise(Draws(1, 2, 6))
        np.testing.assert_allclose(noise, np.broadcast_to(expected, X.shape), rtol=0, atol=1e-14)
        np.testing.assert_array_equal(self.noise(Draws(1, 2, 6)), noise)
        assert not np.allclose(self.noise(Draws(1, 3, 6)), noise)

    def test_replicas_together_hold_the_noise_of_one_device(self):
        first = self.noise(Draws(1, 2, 3, global_batch=6, offset=0), slice(0, 3))
        second = self.noise(Draws(1, 2, 3, global_batch=6, offset=3), slice(3, 6))
        np.testing.assert_array_equal(np.concatenate([first, second]), self.noise(Draws(1, 2, 6)))

    def test_strength_learns_in_training(self):
        layer, weights = self.layer(), normal(*X.shape, seed=5)
        with tf.GradientTape() as tape, Draws(1, 2, 6):
            loss = tf.reduce_sum(layer(X, training=True) * weights)
        expected = np.sum(self.noise(Draws(1, 2, 6)) * weights)
        np.testing.assert_allclose(tape.gradient(loss, layer.strength.value), expected, rtol=1e-12)

    def test_is_standard_normal(self):
        """12,000 values: four standard errors."""
        layer = self.layer()
        noise = np.stack([self.noise(Draws(0, i, 6), layer=layer)[..., 0] for i in range(100)])
        assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
        assert abs(noise.var() - 1) < 4 * np.sqrt(2 / noise.size)
