"""Normalisation of each image by itself."""

import numpy as np
import pytest

from kgan.layers import InstanceNormalization
from layers.harness import LayerHarness, normal


class TestInstanceNormalization(LayerHarness):
    kind = InstanceNormalization
    config = {"epsilon": 1e-3}

    def test_value(self):
        x = 3.0 * normal(2, 5, 4, 3) + 7.0
        mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
        expected = (x - mean) / np.sqrt(variance + 1e-3)
        np.testing.assert_allclose(self.layer()(x), expected, rtol=1e-12)

    @pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
    def test_what_is_flat_becomes_0_and_large_values_do_not_overflow(self, dtype):
        layer = InstanceNormalization(dtype=dtype)
        np.testing.assert_array_equal(layer(np.full((1, 2, 2, 1), 3.0)), 0)
        large = np.array([1000.0, -1000.0]).reshape(1, 2, 1, 1)
        np.testing.assert_array_equal(layer(large), large / 1000)

    def test_large_images_lose_no_digits(self):
        """Keras' GroupNormalization is off by 2e-5 here."""
        x = np.random.default_rng(0).normal(0.3, 1, (1, 700, 900, 2)).astype("f4")
        exact = x.astype("f8")
        exact -= exact.mean((1, 2), keepdims=True)
        exact /= np.sqrt(exact.var((1, 2), keepdims=True) + 1e-5)
        assert np.abs(np.asarray(InstanceNormalization()(x)) - exact).max() < 2e-6
