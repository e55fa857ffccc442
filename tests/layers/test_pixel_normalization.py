"""Pixelwise normalisation."""

import numpy as np
import pytest

from kgan.layers import PixelNormalization
from layers.harness import LayerHarness, normal


class TestPixelNormalization(LayerHarness):
    kind = PixelNormalization
    config = {"epsilon": 1e-3}

    @pytest.mark.parametrize("shape", [(4, 7), (2, 3, 5, 6)])
    def test_value(self, shape):
        x = normal(*shape)
        expected = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-3)
        np.testing.assert_allclose(self.layer()(x), expected, rtol=1e-13)

    @pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
    def test_zeros_stay_zeros_and_large_values_do_not_overflow(self, dtype):
        layer = PixelNormalization(dtype=dtype)
        np.testing.assert_array_equal(layer(np.zeros((1, 4))), 0)
        np.testing.assert_array_equal(layer(np.full((1, 4), 1000.0)), 1)
