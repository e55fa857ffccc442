"""Minibatch standard deviation."""

import numpy as np
import pytest

from kgan.layers import MinibatchStddev
from layers.harness import LayerHarness, normal


class TestMinibatchStddev(LayerHarness):
    kind = MinibatchStddev
    config = {"group_size": 3}
    inputs = (normal(7, 4, 2, 3),)  # groups of 3, 3 and 1

    @pytest.mark.parametrize("batch", [1, 3, 6, 7, 8])
    def test_value(self, batch):
        x = normal(batch, 4, 2, 3)
        y = self.layer()(x).numpy()
        for start in range(0, batch, 3):  # contiguous groups
            group = x[start : start + 3]
            stddev = np.sqrt(group.var(axis=0) + 1e-8).mean()
            np.testing.assert_allclose(y[start : start + 3, :, :, 3], stddev, rtol=1e-11)
        np.testing.assert_array_equal(y[..., :3], x)

    def test_batch_cut_at_a_multiple_of_the_group_is_the_whole(self):
        layer, x = self.layer(), normal(9, 4, 2, 3)
        parts = np.concatenate([layer(x[:6]), layer(x[6:])])
        np.testing.assert_allclose(parts, layer(x), rtol=1e-13)

    @pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
    def test_neither_overflows_nor_vanishes(self, dtype):
        layer = MinibatchStddev(2, dtype=dtype)
        x = np.reshape([0.0, 2000.0, 1.0, 1.0], (4, 1, 1, 1))
        expected = np.reshape([1000, 1000, 1e-4, 1e-4], (4, 1, 1))
        np.testing.assert_allclose(layer(x)[..., 1], expected, rtol=1e-3)

    def test_bad_group_size(self):
        with pytest.raises(ValueError, match="group_size to be an int >= 1. Received: .*=0"):
            MinibatchStddev(0)
